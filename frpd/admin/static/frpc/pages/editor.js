// The configuration file: edited, checked, and only then saved and reloaded.

import { h } from "../../shared/view.js"
import { change, DaemonError, get } from "../../shared/daemon.js"
import { difference, excerpt } from "../../shared/diff.js"
import { ask } from "../../shared/dialog.js"
import { button, emptyState, loading } from "../../shared/parts.js"
import { report } from "../../shared/settings.js"
import { t } from "../../shared/text.js"

const FILE = "/api/config"

// Kept while the application runs: a look at another page loses nothing.
const draft = { saved: null, text: "", error: "", complaint: "", busy: false, good: null }

const isChanged = () => draft.saved !== null && draft.text !== draft.saved

window.addEventListener("beforeunload", (event) => {
  if (isChanged()) event.preventDefault()
})

export const editorPage = {
  path: "editor",
  nav: "nav.editor",
  title: () => t("nav.editor"),
  sources: () => ({ file: { path: FILE, every: 4 } }),

  received(_app, name, value) {
    if (name !== "file") return
    const isOurs = draft.saved === null || !isChanged()
    if (isOurs) Object.assign(draft, { saved: value, text: value })
    draft.elsewhere = !isOurs && value !== draft.saved ? value : null
  },

  view(app) {
    if (app.error("file")) return emptyState(t("editor.no-file"), h("p", {}, app.error("file").message))
    if (draft.saved === null) return loading()
    return [
      h("p", { class: "hint", id: "editor-hint" }, t("editor.hint", { file: app.base?.config_file || "frpc.ini" })),
      draft.elsewhere && h("div", { class: "notice warning", role: "status" }, t("editor.elsewhere"), " ",
        button(t("editor.take"), () => take(app))),
      h("textarea", {
        id: "editor", class: draft.complaint ? "editor wrong" : "editor", spellcheck: "false",
        autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": t("nav.editor"),
        "aria-describedby": "editor-hint editor-verdict", "aria-invalid": draft.complaint ? "true" : null,
        value: draft.text,
        oninput: (event) => {
          Object.assign(draft, { text: event.target.value, complaint: "", good: null })
          app.redraw()
        },
      }),
      h("div", { id: "editor-verdict", "aria-live": "polite" }, verdict()),
      h("div", { class: "toolbar" },
        button(t("editor.review"), () => review(app), { kind: "primary", id: "review",
          disabled: draft.busy || !isChanged() }),
        button(t("editor.check"), () => check(app), { id: "check", disabled: draft.busy }),
        button(t("editor.undo"), () => undo(app), { id: "undo", disabled: draft.busy || !isChanged() }),
        h("span", { class: "hint" }, isChanged() ? t("editor.changed") : t("editor.same"))),
    ]
  },
}

function verdict() {
  if (draft.complaint) return h("p", { class: "notice bad complaint" }, draft.complaint)
  if (!draft.good) return null
  return h("div", { class: "notice good" }, h("strong", {}, t("editor.good")), report(draft.good))
}

function take(app) {
  Object.assign(draft, { saved: draft.elsewhere, text: draft.elsewhere, elsewhere: null, complaint: "", good: null })
  app.redraw()
}

function undo(app) {
  Object.assign(draft, { text: draft.saved, complaint: "", good: null })
  app.redraw()
}

/** Have the daemon look at the text; returns what it would change, or null if it cannot be used. */
async function check(app) {
  Object.assign(draft, { busy: true, complaint: "", good: null })
  app.redraw()
  const text = draft.text
  try {
    const said = await change("POST", "/api/frpd/check", { text })
    if (text === draft.text) Object.assign(draft, said.error ? { complaint: said.error } : { good: said })
    return said.error ? null : said
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error
    draft.complaint = error.status === 0 ? t(`daemon.${error.message}`) : error.message
    return null
  } finally {
    draft.busy = false
    app.redraw()
  }
}

/** Check, show what would change, and save and reload if that is what is wanted. */
async function review(app) {
  const planned = await check(app)
  if (!planned) {
    document.getElementById("editor")?.focus()
    return
  }
  const text = draft.text
  const done = await ask({
    title: t("editor.review.title"),
    wide: true,
    content: () => [changes(draft.saved, text), h("h3", {}, t("editor.effect")), report(planned)],
    yes: t("editor.save"),
    act: () => save(text),
  })
  if (!done) return
  app.answers.delete("file")
  app.say("good", done.not_live?.length
    ? t("reload.done.restart", { keys: done.not_live.join(", ") }) : t("editor.done"))
  app.refresh()
}

async function save(text) {
  await change("PUT", `${FILE}?check=true`, text)
  Object.assign(draft, { saved: text, complaint: "", good: null })
  const done = await change("POST", "/api/reload")
  const kept = await get(FILE) // the daemon has put the token back, and may show the rest otherwise
  Object.assign(draft, { saved: kept, text: kept })
  return done
}

const NAMES = { "+": "added", "-": "removed", " ": "same" }

function changes(before, after) {
  return h("div", { class: "diff", tabindex: "0", role: "group", "aria-label": t("editor.changes") },
    excerpt(difference(before, after)).map((line) => (line === null ? h("p", { class: "gap" }, "⋯")
      : h("p", { class: NAMES[line.kind] },
        line.kind !== " " && h("span", { class: "unseen" }, t(`diff.${NAMES[line.kind]}`)),
        h("span", { "aria-hidden": "true" }, line.kind), " ", line.text))))
}
