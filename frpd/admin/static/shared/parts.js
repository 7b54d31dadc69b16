// What pages are made of: cards, figures, facts, states.

import { h } from "./view.js"
import { t, word } from "./text.js"

export function card(title, props, ...children) {
  const { id, tools, wide, hint } = props || {}
  const heading = `card-${id || title.replace(/\W+/g, "-")}`
  return h("section", { class: wide ? "card wide" : "card", "aria-labelledby": heading, key: heading },
    h("div", { class: "card-head" },
      h("div", {}, h("h2", { id: heading }, title), hint && h("div", { class: "hint" }, hint)),
      tools && h("div", { class: "tools" }, tools)),
    children)
}

/** A large figure with its name, and a link to more. */
export function figure(name, value, { note, href, title } = {}) {
  const inside = [
    h("span", { class: "figure-name" }, name),
    h("span", { class: "figure-value", title }, value),
    note && h("span", { class: "figure-note" }, note),
  ]
  return href ? h("a", { class: "figure", href }, inside) : h("div", { class: "figure" }, inside)
}

/** Pairs of a name and a value; those without a value are left out. */
export function facts(pairs, { columns = false } = {}) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
  return h("dl", { class: columns ? "facts columns" : "facts" },
    shown.map(([name, value]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value))))
}

const GOOD = new Set(["online", "running", "connected"])
const WAITING = new Set(["new", "wait start", "connecting", "waiting", "listening"])

/** A state in words, with a mark whose shape tells too, not the colour alone. */
export function badge(state) {
  const kind = GOOD.has(state) ? "good" : WAITING.has(state) ? "waiting" : state === "offline" ||
    state === "closed" ? "off" : "bad"
  return h("span", { class: `badge ${kind}` }, word("state", state))
}

export function emptyState(title, ...children) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), children)
}

export function code(text) {
  return h("pre", { class: "code", tabindex: "0" }, text)
}

export function loading() {
  return h("p", { class: "loading", role: "status" }, t("loading"))
}

export function button(label, onclick, { kind = "", disabled = false, id, title } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, disabled, id, title }, label)
}

/** One of several, as buttons. */
export function choice(label, options, chosen, onchoose) {
  return h("div", { class: "choice", role: "group", "aria-label": label },
    options.map(([value, text, note]) =>
      h("button", {
        type: "button", key: value, "aria-pressed": String(value === chosen),
        onclick: () => onchoose(value),
      }, text, note !== undefined && h("span", { class: "choice-note" }, String(note)))))
}

export function searchBox(label, value, oninput) {
  return h("input", {
    type: "search", class: "search", placeholder: label, "aria-label": label, value,
    autocomplete: "off", spellcheck: "false", oninput: (event) => oninput(event.target.value),
  })
}

export function select(label, options, value, onchange, { id, shown = false } = {}) {
  return h("label", { class: "select" },
    h("span", { class: shown ? "" : "unseen" }, label),
    h("select", { id, value, onchange: (event) => onchange(event.target.value) },
      options.map(([name, text]) => h("option", { value: name, key: name }, text))))
}

/** How much of something is used, with the figures in words. */
export function gauge(name, used, total, text) {
  const part = total > 0 ? Math.min(1, used / total) : 0
  return h("div", { class: "gauge" },
    h("div", { class: "gauge-head" }, h("span", {}, name), h("span", { class: "n" }, text)),
    h("div", { class: part > 0.9 ? "gauge-bar high" : "gauge-bar", "aria-hidden": "true" },
      h("span", { vars: { "--part": part } })))
}

export function notice(kind, ...children) {
  return h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, children)
}
