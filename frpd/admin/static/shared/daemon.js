// Asks the daemon. What it said before is kept with its ETag, so that no change costs no bytes.

export class DaemonError extends Error {
  constructor(status, message) {
    super(message)
    this.status = status // 0: no answer at all
  }
}

const kept = new Map() // by path
const MAX_KEPT = 100
const ASK_MS = 15000

/** Seconds that the daemon's clock is ahead of ours. */
let ahead = 0

export function now() {
  return Date.now() / 1000 + ahead
}

async function ask(method, path, options) {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), options.ms || ASK_MS)
  try {
    // location.origin has no password, even where the address had one, and fetch wants none.
    const answer = await fetch(location.origin + path, {
      method,
      cache: "no-store",
      credentials: "same-origin",
      signal: limit.signal,
      ...options,
    })
    return [answer, await answer.text()]
  } catch (error) {
    throw new DaemonError(0, error.name === "AbortError" ? "timeout" : "unreachable")
  } finally {
    clearTimeout(timer)
  }
}

function complaint(answer, text) {
  let said = ""
  try {
    said = JSON.parse(text).msg
  } catch {
    said = text.trim()
  }
  return new DaemonError(answer.status, said || answer.statusText)
}

function setClock(answer) {
  const said = Date.parse(answer.headers.get("Date")) / 1000
  const difference = said - Date.now() / 1000
  // The header has whole seconds, and took a while: a small difference is none.
  if (Number.isFinite(difference)) ahead = Math.abs(difference) > 5 ? difference : 0
}

/** GET; JSON, or text where it is none. */
export async function get(path) {
  const before = kept.get(path)
  const headers = before?.tag ? { "If-None-Match": before.tag } : {}
  const [answer, text] = await ask("GET", path, { headers })
  if (answer.status === 304 && before) return before.value
  if (!answer.ok) throw complaint(answer, text)
  setClock(answer)
  const isJson = (answer.headers.get("Content-Type") || "").includes("json") || path !== "/api/config"
  const value = isJson ? JSON.parse(text) : text
  if (kept.size >= MAX_KEPT) kept.clear()
  kept.set(path, { tag: answer.headers.get("ETag"), value })
  return value
}

/** A change: POST, PUT, DELETE. Objects are sent as JSON. */
export async function change(method, path, body) {
  const isText = typeof body === "string"
  const headers = body === undefined || isText ? {} : { "Content-Type": "application/json" }
  const sent = body === undefined || isText ? body : JSON.stringify(body)
  const [answer, text] = await ask(method, path, { headers, body: sent, ms: 40000 })
  if (!answer.ok) throw complaint(answer, text)
  return text ? JSON.parse(text) : {}
}
