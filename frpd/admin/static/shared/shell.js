// The frame around the pages: navigation, polling, and what is wrong if the daemon is silent.

import { h, put } from "./view.js"
import { DaemonError, get, now } from "./daemon.js"
import { clock, duration } from "./format.js"
import { look, onLookChange, setTheme, theme, THEMES } from "./look.js"
import { emptyState, loading, notice, select } from "./parts.js"
import { currentLanguage, LANGUAGES, setLanguage, t } from "./text.js"

const POLL_MS = 2000
const SPARING = 4 // at least so many times as long as the answers took is waited
const ABSENT_MS = 60000 // before a path that is not there is tried again

/**
 * A page: {path, nav, title(app), sources(app), received(app, name, value, at), view(app)}.
 * `path` is the first part of the address behind #/; what follows it is app.param. `sources` maps
 * names to paths of the API, or to {path, every} with seconds between two requests. A page that
 * `keeps` has the same data whatever app.param is.
 */
export function start({ program, pages, base, noteBase }) {
  const app = new App(program, pages, base, noteBase)
  app.go(false)
  window.addEventListener("hashchange", () => app.go(true))
  document.addEventListener("visibilitychange", () => app.refresh())
  onLookChange(() => app.redraw())
}

class App {
  constructor(program, pages, base, noteBase) {
    this.program = program
    this.pages = pages
    this.basePath = base
    this.noteBase = noteBase
    this.root = document.getElementById("app")
    this.states = new Map()
    this.answers = new Map() // by name: {path, value, error, at}
    this.page = pages[0]
    this.param = ""
    this.contact = 0 // when the daemon last answered, in milliseconds
    this.problem = null
    this.message = null
    this.turns = 0
    this.timer = 0
  }

  // For pages.

  get(name) {
    return this.answers.get(name)?.value
  }

  error(name) {
    return this.answers.get(name)?.error
  }

  get base() {
    return this.get("base")
  }

  now() {
    return now()
  }

  /** What a page remembers of its user while the application runs. */
  state(name, initial) {
    if (!this.states.has(name)) this.states.set(name, { ...initial })
    return this.states.get(name)
  }

  say(kind, text) {
    this.message = { kind, text }
    this.redraw()
  }

  refresh() {
    clearTimeout(this.timer)
    if (!document.hidden) this.turn()
    this.redraw()
  }

  // Navigation.

  go(isMove) {
    const before = this.page
    const [path, ...rest] = location.hash.replace(/^#\/?/, "").split("/")
    this.page = this.pages.find((one) => one.path === path) || this.pages[0]
    let param = rest.join("/")
    try {
      param = decodeURIComponent(param)
    } catch {
      // As it is, then: somebody typed it.
    }
    this.param = param
    if (isMove) this.message = null
    const stays = this.page.keeps && this.page === before
    if (!stays) {
      for (const name of this.answers.keys()) if (name !== "base") this.answers.delete(name)
    }
    this.refresh()
    if (isMove && !stays) {
      window.scrollTo(0, 0)
      document.getElementById("title")?.focus({ preventScroll: true })
    }
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" })
  }

  // Polling.

  async turn() {
    const turn = ++this.turns
    const begun = performance.now()
    const sources = { base: this.basePath, ...this.page.sources?.(this) }
    const jobs = Object.entries(sources).filter(([, source]) => source)
      .map(([name, source]) => this.fetch(turn, name, source))
    const outcomes = (await Promise.all(jobs)).filter((one) => one !== undefined)
    if (turn !== this.turns) return
    const failed = outcomes.find((one) => one instanceof DaemonError)
    if (failed) this.problem = failed
    else if (outcomes.length) {
      this.problem = null
      this.contact = Date.now()
    }
    this.redraw()
    // A login that is not valid any more would count as guessing.
    if (failed?.status === 401) return
    const wait = Math.max(POLL_MS, SPARING * (performance.now() - begun))
    if (!document.hidden) this.timer = setTimeout(() => this.turn(), wait)
  }

  /** Returns true for an answer, an error if there was none, undefined if it was not asked for. */
  async fetch(turn, name, source) {
    const { path, every = 0 } = typeof source === "string" ? { path: source } : source
    const before = this.answers.get(name)
    const age = before?.path === path ? Date.now() - before.at : Infinity
    if (age < (before?.error?.status === 404 ? ABSENT_MS : every * 1000 - POLL_MS / 2)) return undefined
    try {
      const value = await get(path)
      if (turn !== this.turns) return undefined
      const at = Date.now()
      this.answers.set(name, { path, value, at })
      if (name === "base") this.noteBase?.(value, at)
      else this.page.received?.(this, name, value, at)
      return true
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error
      if (turn !== this.turns) return undefined
      const isAnswer = [400, 404, 405, 501].includes(error.status)
      // What is not there is no failure; of what cannot be had now the last figures stay.
      if (isAnswer) this.answers.set(name, { path, error, at: Date.now() })
      return isAnswer ? true : error
    }
  }

  // The screen.

  redraw() {
    const title = this.page.title(this)
    document.title = `${title} · ${this.program}`
    put(this.root,
      h("a", { class: "skip", href: "#main", onclick: skip }, t("skip")),
      this.header(),
      h("main", { id: "main", tabindex: "-1", class: this.problem ? "stale" : "" },
        this.problemNotice(),
        this.message && notice(this.message.kind, this.message.text,
          h("button", { type: "button", class: "dismiss", "aria-label": t("dismiss"),
            onclick: () => { this.message = null; this.redraw() } }, "×")),
        h("div", { class: "page", key: this.page.keeps ? this.page.path : `${this.page.path}/${this.param}` },
          this.base || this.problem ? this.body(title) : loading())),
      this.footer())
  }

  body(title) {
    try {
      return [h("h1", { id: "title", tabindex: "-1" }, title), this.page.view(this)]
    } catch (error) {
      console.error(error)
      return emptyState(t("page.failed"), h("p", {}, String(error)))
    }
  }

  header() {
    const active = this.page.nav || this.page.under
    return h("header", {},
      h("div", { class: "topbar" },
        h("a", { class: "brand", href: "#/" }, logo(), h("span", {}, this.program),
          h("span", { class: "brand-note" }, t(`program.${this.program}`))),
        this.liveness(),
        h("div", { class: "looks" },
          select(t("look.language"), Object.entries(LANGUAGES), currentLanguage(),
            (name) => { setLanguage(name); this.redraw() }, { id: "language" }),
          select(t("look.theme"), THEMES.map((name) => [name, t(`theme.${name}`)]), theme(),
            (name) => { setTheme(name); this.redraw() }, { id: "theme" }))),
      h("nav", { "aria-label": t("nav") },
        h("ul", {}, this.pages.filter((page) => page.nav).map((page) =>
          h("li", {}, h("a", {
            href: `#/${page.path}`, "aria-current": page.nav === active ? "page" : null,
          }, t(page.nav)))))))
  }

  liveness() {
    const kind = this.problem ? "bad" : document.hidden ? "off" : "good"
    const text = this.problem ? t("live.no") : document.hidden ? t("live.paused") : t("live.yes")
    const title = this.contact ? t("live.last", { time: clock(this.contact / 1000) }) : ""
    return h("span", { class: `live ${kind}`, id: "live", title }, text)
  }

  problemNotice() {
    if (!this.problem) return null
    const { status, message } = this.problem
    const last = this.contact && h("span", {}, " ", t("problem.last", {
      time: clock(this.contact / 1000), ago: duration((Date.now() - this.contact) / 1000),
    }))
    const what = status === 0 ? t("problem.silent", { program: this.program })
      : status === 401 ? t("problem.login") : message
    return h("div", { class: "notice bad", key: "problem" },
      h("span", { role: "alert" }, what), last,
      status === 401 && h("button", { type: "button", class: "button",
        onclick: () => location.reload() }, t("problem.reload")))
  }

  footer() {
    const { version, pid, uptime_seconds: uptime } = this.base || {}
    return h("footer", {},
      version && h("span", {}, `frpd ${version}`),
      pid && h("span", {}, t("footer.process", { pid })),
      uptime !== undefined && h("span", {}, t("footer.uptime", { time: duration(uptime) })),
      h("span", { class: "unseen" }, look()))
  }
}

function skip(event) {
  event.preventDefault()
  document.getElementById("main").focus()
}

function logo() {
  return h("svg", { viewBox: "0 0 24 24", width: "22", height: "22", "aria-hidden": "true" },
    h("path", { class: "logo-arch", d: "M3 20v-7a9 9 0 0 1 18 0v7" }),
    h("path", { class: "logo-way", d: "M8 20v-7a4 4 0 0 1 8 0v7M12 20v-7" }))
}
