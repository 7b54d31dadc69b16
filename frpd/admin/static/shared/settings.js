// The page with the configuration as it was loaded, and the question whether to reload it.

import { h } from "./view.js"
import { change } from "./daemon.js"
import { ask } from "./dialog.js"
import { button, card, choice, emptyState, loading, searchBox } from "./parts.js"
import { t } from "./text.js"

/** Settings as the daemon sees them; `card(s)` for a page. */
export function settingsView(app) {
  if (app.error("config")) return emptyState(t("config.absent"))
  const config = app.get("config")
  if (!config) return loading()
  const state = app.state("settings", { search: "", which: "set" })
  const all = rowsOf(config)
  const wanted = state.search.toLowerCase()
  const rows = all.filter((row) => (state.which === "all" || row.is_set) &&
    `${row.section} ${row.key} ${row.value} ${row.doc || ""}`.toLowerCase().includes(wanted))
  const set = (name) => (value) => { state[name] = value; app.redraw() }
  const which = [["set", t("config.set"), all.filter((row) => row.is_set).length],
    ["all", t("config.all"), all.length]]
  return [
    h("div", { class: "toolbar" }, choice(t("config.which"), which, state.which, set("which")),
      searchBox(t("config.search"), state.search, set("search"))),
    rows.length ? bySection(rows) : emptyState(t("config.no-match")),
  ]
}

function rowsOf(config) {
  const found = []
  const collect = (value, section) => {
    if (Array.isArray(value)) value.forEach((one) => collect(one, section))
    else if (value && typeof value === "object") {
      if ("key" in value) found.push({ section, ...value })
      else for (const [name, one] of Object.entries(value)) collect(one, name)
    }
  }
  for (const [name, value] of Object.entries(config)) {
    if (name !== "file" && name !== "dialect") collect(value, name === "settings" ? "common" : name)
  }
  return found
}

function bySection(rows) {
  const sections = new Map()
  for (const row of rows) {
    if (!sections.has(row.section)) sections.set(row.section, [])
    sections.get(row.section).push(row)
  }
  return [...sections].map(([name, found]) =>
    card(`[${name}]`, { id: `section-${name}`, wide: true },
      h("div", { class: "settings" }, found.map(setting))))
}

function setting(row) {
  const value = text(row.value)
  const standard = text(row.default)
  return h("div", { class: row.is_set ? "setting is-set" : "setting", key: row.key },
    h("div", { class: "setting-name" }, h("code", {}, row.key),
      row.live === false && h("span", { class: "tag", title: t("config.restart.long") },
        t("config.restart"))),
    h("div", { class: "setting-value" }, h("code", {}, value === "" ? t("config.empty") : value),
      row.is_set && standard !== "" && standard !== value &&
        h("span", { class: "hint" }, t("config.default", { value: standard }))),
    row.doc && h("p", { class: "hint" }, words(row.doc)))
}

/** A sentence in which `names` are marked as in Markdown. */
function words(sentence) {
  return sentence.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part))
}

function text(value) {
  return value === null || value === undefined ? "" : String(value)
}

export function reloadButton(app) {
  return button(t("reload.button"), () => reload(app), { id: "reload" })
}

/** Show what a reload would change; do it for yes. */
export async function reload(app) {
  let planned
  try {
    planned = await change("POST", "/api/reload?dry_run=true")
  } catch (error) {
    const why = error.status === 0 ? t(`daemon.${error.message}`) : error.message
    await ask({ title: t("reload.impossible"), content: () => h("p", { class: "complaint" }, why) })
    return
  }
  const done = await ask({
    title: t("reload.title"),
    content: () => report(planned),
    yes: t("reload.yes"),
    act: () => change("POST", "/api/reload"),
  })
  if (!done) return
  app.answers.delete("config")
  app.say("good", done.not_live?.length
    ? t("reload.done.restart", { keys: done.not_live.join(", ") }) : t("reload.done"))
  app.refresh()
}

/** What a reload changes, or would change. */
export function report(of) {
  const lists = [["added", "+"], ["removed", "−"], ["changed", "~"]]
    .filter(([name]) => of[name]?.length)
    .map(([name, mark]) => h("div", { class: `report ${name}` },
      h("h3", {}, t(`report.${name}`)),
      h("ul", {}, of[name].map((one) => h("li", {}, h("span", { "aria-hidden": "true" }, mark), " ", one)))))
  const said = (name) => of[name]?.length && h("div", { class: `report ${name}` },
    h("h3", {}, t(`report.${name}`)), h("ul", {}, of[name].map((one) => h("li", {}, one))))
  return [
    lists.length ? lists : h("p", {}, t("report.nothing")),
    said("not_live"),
    said("warnings"),
    Number.isFinite(of.unchanged) && h("p", { class: "hint" }, t("report.unchanged", { n: of.unchanged })),
  ]
}
