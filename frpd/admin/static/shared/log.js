// The page with the last lines of the log, of both programs.

import { h } from "./view.js"
import { change } from "./daemon.js"
import { clock, moment } from "./format.js"
import { choice, emptyState, loading, searchBox, select } from "./parts.js"
import { t } from "./text.js"

const KEPT = 500
const ORDER = "TDIWE"
const LEVELS = ["trace", "debug", "info", "warn", "error"]

function stateOf(app) {
  return app.state("log", { lines: [], next: 0, least: "T", search: "", follow: true })
}

export const logPage = {
  path: "log",
  nav: "nav.log",
  title: () => t("nav.log"),

  sources: (app) => ({
    lines: `/api/frpd/logs?after=${stateOf(app).next}&limit=${KEPT}`,
    level: { path: "/api/log-level", every: 10 },
  }),

  received(app, name, value) {
    if (name !== "lines") return
    const state = stateOf(app)
    if (value.next < state.next) {
      // The daemon was started again, and counts from the beginning.
      Object.assign(state, { lines: [], next: 0 })
      return
    }
    const news = value.lines.filter((line) => !state.lines.length || line.n > state.lines.at(-1).n)
    state.lines = [...state.lines, ...news].slice(-KEPT)
    state.next = value.next
  },

  view(app) {
    if (app.error("lines")) return emptyState(t("log.absent"))
    if (!app.get("lines")) return loading()
    const state = stateOf(app)
    const wanted = state.search.toLowerCase()
    const lines = state.lines.filter((line) =>
      ORDER.indexOf(line.level) >= ORDER.indexOf(state.least) &&
      `${line.where} ${line.text}`.toLowerCase().includes(wanted))
    return [toolbar(app, state), lines.length ? list(state, lines)
      : emptyState(t(state.lines.length ? "log.no-match" : "log.none"))]
  },
}

function toolbar(app, state) {
  const set = (name) => (value) => { state[name] = value; app.redraw() }
  const least = [["T", t("log.all")], ["I", t("level.info")], ["W", t("level.warn")], ["E", t("level.error")]]
  return h("div", { class: "toolbar" },
    choice(t("log.least"), least, state.least, set("least")),
    searchBox(t("log.search"), state.search, set("search")),
    h("label", { class: "check" },
      h("input", { type: "checkbox", checked: state.follow,
        onchange: (event) => set("follow")(event.target.checked) }), t("log.follow")),
    app.get("level") && select(t("log.level"), LEVELS.map((name) => [name, t(`level.${name}`)]),
      app.get("level").level, (level) => setLevel(app, level), { id: "log-level", shown: true }))
}

async function setLevel(app, level) {
  try {
    await change("PUT", "/api/log-level", { level })
    app.answers.delete("level")
    app.say("good", t("log.level.set", { level: t(`level.${level}`) }))
  } catch (error) {
    app.say("bad", error.message)
  }
  app.refresh()
}

function list(state, lines) {
  return h("div", {
    class: "log", id: "log", tabindex: "0", role: "log", "aria-live": "off",
    "aria-label": t("nav.log"),
    update: (element) => { if (state.follow) element.scrollTop = element.scrollHeight },
  }, lines.map((line) =>
    h("p", { class: `log-line level-${line.level}`, key: line.n },
      h("time", { title: moment(line.time) }, clock(line.time)),
      h("span", { class: "log-level", title: t(`letter.${line.level}`) }, line.level),
      h("span", { class: "log-text" }, line.where && h("b", {}, line.where, " "), line.text))))
}
