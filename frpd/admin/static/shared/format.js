// Figures for people; the exact ones go into title attributes.

import { h } from "./view.js"
import { currentLanguage, t } from "./text.js"

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

function locale() {
  return currentLanguage() === "zh" ? "zh-CN" : "en-GB"
}

export function count(value) {
  return Number.isFinite(value) ? new Intl.NumberFormat(locale()).format(value) : "–"
}

export function bytes(value) {
  if (!Number.isFinite(value)) return "–"
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

export function rate(value) {
  return Number.isFinite(value) ? `${bytes(value < 1 ? 0 : Math.round(value))}/s` : "–"
}

export function percent(value) {
  return Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} %` : "–"
}

export function milliseconds(value) {
  if (!Number.isFinite(value)) return "–"
  return `${value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0)} ms`
}

const STEPS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]

/** Seconds in two units at most: 3 d 4 h. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–"
  let rest = Math.max(0, Math.floor(seconds))
  const found = []
  for (const [unit, size] of STEPS) {
    if (rest >= size || (unit === "s" && !found.length)) {
      found.push(`${Math.floor(rest / size)} ${t(`unit.${unit}`)}`)
      rest %= size
      if (found.length === 2) break
    } else if (found.length) break
  }
  return found.join(" ")
}

export function moment(unix) {
  if (!unix) return "–"
  const style = { dateStyle: "medium", timeStyle: "medium" }
  return new Intl.DateTimeFormat(locale(), style).format(new Date(unix * 1000))
}

/** The time alone, with the day if it is not today. */
export function clock(unix) {
  if (!unix) return "–"
  const when = new Date(unix * 1000)
  const style = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }
  if (when.toDateString() !== new Date().toDateString()) {
    style.month = "short"
    style.day = "numeric"
  }
  return new Intl.DateTimeFormat(locale(), style).format(when)
}

/** The name of the day that was so many days ago. */
export function day(ago) {
  if (ago === 0) return t("day.today")
  const when = new Date()
  when.setDate(when.getDate() - ago)
  return new Intl.DateTimeFormat(locale(), { weekday: "short", day: "numeric" }).format(when)
}

export function dayLong(ago) {
  const when = new Date()
  when.setDate(when.getDate() - ago)
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(when)
}

// The same as elements, exact figures in their titles.

export function bytesCell(value) {
  return h("span", { class: "n", title: `${count(value)} ${t("unit.bytes")}` }, bytes(value))
}

export function since(unix, now) {
  return h("span", { class: "n", title: moment(unix) }, unix ? duration(now - unix) : "–")
}
