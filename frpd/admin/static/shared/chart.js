// Charts: lines by uPlot, which is loaded when the first one is drawn; bars of days by CSS.

import { h } from "./view.js"
import { bytes, clock, day, dayLong, rate } from "./format.js"
import { t } from "./text.js"
import { look } from "./look.js"

const HEIGHT = 210
let loading = null

function uplot() {
  if (!loading) {
    const sheet = document.createElement("link")
    sheet.rel = "stylesheet"
    sheet.href = new URL("./vendor/uplot-1.6.32.css", import.meta.url).pathname
    document.head.append(sheet)
    loading = import("./vendor/uplot-1.6.32.js").then((module) => module.default)
    loading.catch(() => { loading = null })
  }
  return loading
}

/**
 * Traffic by time. `data` has times (seconds), in and out; `format` makes texts of values,
 * `span` is how many seconds are shown at least.
 */
export function trafficChart(id, data, { label, format = rate, span = 0 }) {
  return h("div", {
    key: `${id} ${look()}`,
    class: "chart",
    role: "img",
    "aria-label": label,
    data, // not an attribute: see mount
    mount: (element) => draw(element, format, span),
    update: (element) => element.show?.(element.described.props.data),
  })
}

function draw(element, format, span) {
  let chart = null
  let over = false
  let shown = 0
  const resize = new ResizeObserver(() => {
    if (chart && element.clientWidth) chart.setSize({ width: element.clientWidth, height: HEIGHT })
  })
  uplot().then((UPlot) => {
    if (over) return
    chart = new UPlot(options(element, format, span), arrays(element.described.props.data), element)
    resize.observe(element)
  }, () => { element.textContent = t("chart.failed") })
  element.show = (data) => {
    if (!chart || shown === data.times.at(-1)) return
    shown = data.times.at(-1)
    chart.setData(arrays(data))
  }
  return () => {
    over = true
    resize.disconnect()
    chart?.destroy()
  }
}

function arrays(data) {
  return [data.times.slice(), data.in.slice(), data.out.slice()]
}

function options(element, format, span) {
  const style = getComputedStyle(document.documentElement)
  const colour = (name) => style.getPropertyValue(name).trim()
  const font = `12px ${style.getPropertyValue("--font")}`
  const axis = {
    font,
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  }
  const line = (label, name) => ({
    label,
    stroke: colour(`--${name}`),
    fill: colour(`--${name}-fill`),
    width: 1.75,
    points: { show: false },
    value: (_chart, value) => (value === null || value === undefined ? "–" : format(value)),
  })
  return {
    width: element.clientWidth || 600,
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      x: { range: (chart) => times(chart.data[0], span) },
      y: { range: (_chart, _low, high) => [0, Math.max(high || 0, 1024) * 1.08] },
    },
    axes: [
      { ...axis, size: 32, space: 80, values: (_chart, splits) => splits.map((at) => clock(at).slice(-8)) },
      { ...axis, size: 84, space: 40, incrs: STEPS,
        values: (_chart, splits) => splits.map((value) => brief(format(value))) },
    ],
    series: [
      { label: t("chart.time"), value: (_chart, value) => (value ? clock(value) : "–") },
      line(t("traffic.in"), "in"),
      line(t("traffic.out"), "out"),
    ],
  }
}

// From when to when is shown; where there is nothing yet, up to now.
function times(moments, span) {
  const end = moments.at(-1) ?? Date.now() / 1000
  return [Math.min(moments[0] ?? end, end - Math.max(span, 1)), end]
}

// Steps that are round in units of 1024, and their texts without zeros that say nothing.
const STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power)
const brief = (text) => text.replace(/(\.\d*?)0+(?= )/, "$1").replace(/\.(?= )/, "")

/** Seven days, today's first in the lists, as frp counts them. */
export function dayBars(daysIn, daysOut, caption) {
  const most = Math.max(1, ...daysIn, ...daysOut)
  const days = daysIn.map((value, ago) => ({ ago, in: value, out: daysOut[ago] || 0 })).reverse()
  const title = (one) =>
    `${dayLong(one.ago)}: ${t("traffic.in")} ${bytes(one.in)}, ${t("traffic.out")} ${bytes(one.out)}`
  const bar = (name, value) =>
    h("span", { class: `day-bar ${name}`, vars: { "--part": value / most } })
  const column = (one) =>
    h("div", { class: "bar-day", title: title(one) },
      h("div", { class: "bar-pair" }, bar("in", one.in), bar("out", one.out)),
      h("span", { class: "bar-sum" }, bytes(one.in + one.out)),
      h("span", { class: "bar-name" }, day(one.ago)))
  const row = (one) =>
    h("tr", {}, h("th", { scope: "row" }, dayLong(one.ago)),
      h("td", {}, bytes(one.in)), h("td", {}, bytes(one.out)))
  return [
    h("div", { class: "bars", "aria-hidden": "true" }, days.map(column)),
    h("table", { class: "unseen" },
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("chart.day")),
        h("th", { scope: "col" }, t("traffic.in")), h("th", { scope: "col" }, t("traffic.out")))),
      h("tbody", {}, days.map(row))),
  ]
}

export function legend() {
  return h("div", { class: "legend" },
    h("span", {}, h("span", { class: "swatch in" }), t("traffic.in.long")),
    h("span", {}, h("span", { class: "swatch out" }), t("traffic.out.long")))
}
