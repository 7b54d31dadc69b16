// All proxies, by type.

import { h } from "../../shared/view.js"
import { change } from "../../shared/daemon.js"
import { ask } from "../../shared/dialog.js"
import { bytesCell, count, moment, rate, since } from "../../shared/format.js"
import { badge, button, choice, code, emptyState, loading, searchBox } from "../../shared/parts.js"
import { Meter } from "../../shared/series.js"
import { table } from "../../shared/table.js"
import { t } from "../../shared/text.js"
import { clientLink, clientName, place, placeCell, port, proxyLink, TYPES } from "../names.js"

const meter = new Meter()

export const proxiesPage = {
  path: "proxies",
  nav: "nav.proxies",
  keeps: true, // what follows the path is the type alone
  title: () => t("nav.proxies"),
  sources: () => ({
    proxies: "/api/frpd/proxies",
    clients: { path: "/api/clients", every: 10 },
    server: { path: "/api/serverinfo", every: 60 },
  }),

  received(app, name, value, at) {
    if (name !== "proxies") return
    meter.note(value.proxies, (row) => row.name, (row) => row.bytes_in, (row) => row.bytes_out, at)
  },

  view(app) {
    const answer = app.get("proxies")
    if (!answer) return loading()
    const all = answer.proxies
    if (!all.length) return noProxies(app)
    const state = app.state("proxies", { search: "", status: "all", sort: "name" })
    const type = TYPES.includes(app.param) ? app.param : "all"
    const clients = new Map((app.get("clients") || []).map((one) => [one.key, one]))
    const server = app.get("server")
    const rows = all.filter((row) => type === "all" || row.type === type)
      .filter((row) => state.status === "all" || row.status === state.status)
      .map((row) => ({ ...row, client: clients.get(row.run_id), rate: meter.rate(row.name) }))
      .filter((row) => matches(row, server, state.search))
    return [
      toolbar(app, all, type, state),
      rows.length ? list(app, rows, server, state) : emptyState(t("proxies.no-match")),
    ]
  },
}

/** The table, also for the page of a client. */
export function list(app, rows, server, state, without = "") {
  return table({ caption: t("nav.proxies"), rows, key: (row) => row.name, state, redraw: () => app.redraw(),
    columns: columns(app, server).filter((one) => one.id !== without) })
}

function matches(row, server, search) {
  const words = search.toLowerCase().split(/\s+/)
  const text = [row.name, row.type, place(row, server), clientName(row.client), row.client?.version]
    .join(" ").toLowerCase()
  return words.every((one) => text.includes(one))
}

function columns(app, server) {
  return [
    { id: "name", label: t("name"), main: true, value: (row) => row.name,
      cell: (row) => h("a", { href: proxyLink(row.name) }, row.name) },
    { id: "status", label: t("status"), class: "state", value: (row) => row.status,
      cell: (row) => badge(row.status) },
    { id: "type", label: t("type"), minor: true, value: (row) => row.type,
      cell: (row) => h("span", { class: "tag" }, row.type) },
    { id: "place", label: t("place"), class: "long", note: t("place.long"),
      value: (row) => place(row, server) || String(port(row, server)),
      cell: (row) => placeCell(row, server) },
    { id: "client", label: t("client"), value: (row) => clientName(row.client),
      cell: (row) => row.client ? h("a", { href: clientLink(row.client.key), title: row.client.version },
        clientName(row.client)) : "–" },
    { id: "conns", label: t("conns.short"), note: t("conns.now"), number: true,
      value: (row) => row.cur_conns,
      cell: (row) => h("span", { title: t("conns.total", { n: count(row.total_conns) }) }, count(row.cur_conns)) },
    { id: "in", label: t("in.today"), note: t("traffic.in.long"), number: true,
      value: (row) => row.today_traffic_in, cell: (row) => bytesCell(row.today_traffic_in) },
    { id: "out", label: t("out.today"), note: t("traffic.out.long"), number: true,
      value: (row) => row.today_traffic_out, cell: (row) => bytesCell(row.today_traffic_out) },
    { id: "rate", label: t("rate"), number: true, value: (row) => row.rate,
      cell: (row) => rate(row.rate) },
    { id: "since", label: t("since"), minor: true, note: t("since.long"), number: true,
      value: (row) => -(row.since || 0),
      cell: (row) => h("span", { title: moment(row.since) }, since(row.since, app.now())) },
  ]
}

function toolbar(app, all, type, state) {
  const counted = (name) => all.filter((row) => row.type === name).length
  const types = [["all", t("all"), all.length],
    ...TYPES.filter((name) => counted(name) || name === type).map((name) => [name, name.toUpperCase(), counted(name)])]
  const set = (name) => (value) => { state[name] = value; state.all = false; app.redraw() }
  const offline = all.filter((row) => row.status === "offline").length
  const states = [["all", t("all")], ["online", t("state.online"), all.length - offline],
    ["offline", t("state.offline"), offline]]
  return h("div", { class: "toolbar" },
    choice(t("type"), types, type, (name) => { location.hash = name === "all" ? "#/proxies" : `#/proxies/${name}` }),
    choice(t("status"), states, state.status, set("status")),
    searchBox(t("proxies.search"), state.search, set("search")),
    offline > 0 && button(t("proxies.forget"), () => forget(app, offline), { id: "forget" }))
}

async function forget(app, offline) {
  const done = await ask({
    title: t("proxies.forget.title", { n: offline }),
    content: () => h("p", {}, t("proxies.forget.text")),
    yes: t("proxies.forget"),
    danger: true,
    act: () => change("DELETE", "/api/proxies?status=offline"),
  })
  if (done) app.say("good", t("proxies.forget.done"))
  app.refresh()
}

function noProxies(app) {
  const server = app.get("server")
  return emptyState(t("proxies.none"),
    h("p", {}, t("proxies.none.why")),
    code(`[common]\nserver_addr = ${location.hostname}\nserver_port = ${server?.bind_port ?? 7000}\n` +
      "token = …\n\n[ssh]\ntype = tcp\nlocal_port = 22\nremote_port = 6000\n"),
    h("p", {}, t("proxies.none.start"), " ", h("code", {}, "frpc -c frpc.ini")))
}
