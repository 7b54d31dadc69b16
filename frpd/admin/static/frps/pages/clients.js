// All clients, those too that are gone.

import { h } from "../../shared/view.js"
import { count, milliseconds, moment, since } from "../../shared/format.js"
import { badge, choice, code, emptyState, loading, searchBox } from "../../shared/parts.js"
import { table } from "../../shared/table.js"
import { t, word } from "../../shared/text.js"
import { clientLink, clientName } from "../names.js"

export const clientsPage = {
  path: "clients",
  nav: "nav.clients",
  title: () => t("nav.clients"),
  sources: () => ({ clients: "/api/clients", server: { path: "/api/serverinfo", every: 60 } }),

  view(app) {
    const all = app.get("clients")
    if (!all) return loading()
    if (!all.length) return noClients(app)
    const state = app.state("clients", { search: "", status: "online", sort: "name" })
    const online = all.filter((one) => one.online).length
    const set = (name) => (value) => { state[name] = value; app.redraw() }
    const states = [["online", t("state.online"), online], ["offline", t("state.offline"), all.length - online],
      ["all", t("all"), all.length]]
    const wanted = state.search.toLowerCase()
    const rows = all.filter((one) => state.status === "all" || one.online === (state.status === "online"))
      .filter((one) => [one.user, one.hostname, one.clientIP, one.version, one.key, ...(one.proxies || [])]
        .join(" ").toLowerCase().includes(wanted))
    return [
      h("div", { class: "toolbar" }, choice(t("status"), states, state.status, set("status")),
        searchBox(t("clients.search"), state.search, set("search"))),
      rows.length ? table({ caption: t("nav.clients"), columns: columns(app, rows), rows,
        key: (one) => one.key, state, redraw: () => app.redraw() })
        : emptyState(t("clients.no-match")),
    ]
  },
}

function columns(app, rows) {
  const hasRtt = rows.some((one) => Number.isFinite(one.rtt_ms))
  return [
    { id: "name", label: t("client"), main: true, value: (one) => clientName(one),
      cell: (one) => h("a", { href: clientLink(one.key), title: one.key }, clientName(one)) },
    { id: "status", label: t("status"), class: "state", value: (one) => (one.online ? 0 : 1),
      cell: (one) => badge(one.online ? "online" : "offline") },
    { id: "address", label: t("address"), value: (one) => one.clientIP,
      cell: (one) => h("span", { class: "n", title: one.address }, one.clientIP || "–") },
    { id: "version", label: t("version"), minor: true, value: (one) => one.version || "",
      cell: (one) => h("span", { class: "n", title: [one.os, one.arch].filter(Boolean).join("/") },
        one.version || "–") },
    { id: "speaks", label: t("speaks"), minor: true, note: t("speaks.long"), value: (one) => one.speaks || "",
      cell: (one) => one.speaks || "–" },
    { id: "weak", label: t("security"), value: (one) => one.weak?.length || 0, cell: weakness },
    hasRtt && { id: "rtt", label: t("rtt"), note: t("rtt.long"), number: true,
      value: (one) => one.rtt_ms ?? -1, cell: (one) => milliseconds(one.rtt_ms ?? NaN) },
    { id: "proxies", label: t("nav.proxies"), number: true, value: (one) => one.proxies?.length || 0,
      cell: (one) => h("span", { title: (one.proxies || []).join(", ") }, count(one.proxies?.length || 0)) },
    { id: "conns", label: t("conns.short"), note: t("conns.now"), number: true,
      value: (one) => one.cur_conns || 0, cell: (one) => count(one.cur_conns || 0) },
    { id: "since", label: t("since"), note: t("clients.since.long"), number: true,
      value: (one) => -(one.since || one.disconnectedAt || 0),
      cell: (one) => h("span", { title: moment(one.since || one.disconnectedAt) },
        since(one.since || one.disconnectedAt, app.now())) },
  ].filter(Boolean)
}

/** Whether something is weak, and what. */
export function weakness(one) {
  if (!one.online) return "–"
  if (!one.weak?.length) return h("span", { class: "badge good" }, t("weak.no"))
  return h("span", { class: "badge warning", title: one.weak.map((text) => word("weak", text)).join("\n") }, t("weak.yes", { n: one.weak.length }))
}

function noClients(app) {
  const port = app.get("server")?.bind_port ?? 7000
  return emptyState(t("clients.none"), h("p", {}, t("clients.none.why")),
    code(`frpc tcp -s ${location.hostname}:${port} -t TOKEN -l 22 -r 6000`))
}
