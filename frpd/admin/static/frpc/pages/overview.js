// frpc at one glance: the server, and how each proxy does.

import { h } from "../../shared/view.js"
import { legend, trafficChart } from "../../shared/chart.js"
import { bytes, bytesCell, clock, count, duration, milliseconds, moment, rate, since } from "../../shared/format.js"
import { badge, card, choice, code, emptyState, facts, figure, loading, searchBox } from "../../shared/parts.js"
import { Meter, Series } from "../../shared/series.js"
import { table } from "../../shared/table.js"
import { t, word } from "../../shared/text.js"

const live = new Series()
const meter = new Meter(150)

export const proxyLink = (name) => `#/proxy/${encodeURIComponent(name)}`

export function noteStatus(status, at) {
  const sum = (name) => status.proxies.reduce((total, one) => total + one[name], 0)
  live.note(sum("traffic_in"), sum("traffic_out"), at)
  meter.note(status.proxies, (one) => one.name, (one) => one.traffic_in, (one) => one.traffic_out, at)
}

/** The rates of one proxy since this page is open. */
export function seriesOf(name) {
  return meter.series.get(name) || new Series()
}

export const overviewPage = {
  path: "",
  nav: "nav.overview",
  title: () => t("nav.overview"),

  view(app) {
    const status = app.base
    if (!status) return loading()
    return [
      serverNotice(status.server),
      figures(status),
      h("div", { class: "grid" },
        proxiesCard(app, status.proxies),
        card(t("traffic.title"), { id: "traffic", wide: true, hint: legend() },
          trafficChart("live", live, { span: 60, label: t("traffic.live.label", {
            in: rate(live.rateIn), out: rate(live.rateOut) }) })),
        serverCard(app, status),
        historyCard(app, status.server.history)),
    ]
  },
}

function serverNotice(server) {
  if (server.state === "connected") return null
  const retry = server.retry_in_seconds
  return h("div", { class: "notice bad" },
    h("strong", {}, t("server.lost", { address: server.address })),
    server.last_error && h("div", {}, server.last_error),
    Number.isFinite(retry) && h("div", {}, t("server.retry", { time: duration(Math.ceil(retry)) })))
}

function figures(status) {
  const running = status.proxies.filter((one) => one.status === "running").length
  const sum = (name) => status.proxies.reduce((total, one) => total + one[name], 0)
  const [bytesIn, bytesOut] = [sum("traffic_in"), sum("traffic_out")]
  return h("div", { class: "figures" },
    figure(t("server"), word("state", status.server.state), { note: status.server.address }),
    figure(t("proxies.running"), `${count(running)} / ${count(status.proxies.length)}`),
    figure(t("conns.now"), count(sum("cur_conns"))),
    figure(t("rate.now"), rate(live.rateIn + live.rateOut), {
      note: h("span", {}, "↓ ", rate(live.rateIn), " ↑ ", rate(live.rateOut)) }),
    figure(t("traffic.start"), bytes(bytesIn + bytesOut), {
      title: `${count(bytesIn + bytesOut)} ${t("unit.bytes")}`,
      note: h("span", {}, "↓ ", bytesCell(bytesIn), " ↑ ", bytesCell(bytesOut)) }))
}

function proxiesCard(app, proxies) {
  const state = app.state("proxies", { search: "", which: "all", sort: "name" })
  const bad = proxies.filter((one) => one.status !== "running").length
  const set = (name) => (value) => { state[name] = value; app.redraw() }
  const wanted = state.search.toLowerCase()
  const rows = proxies.filter((one) => state.which === "all" || one.status !== "running")
    .filter((one) => [one.name, one.type, one.local_addr, one.plugin, one.remote_addr, one.reason]
      .join(" ").toLowerCase().includes(wanted))
  const tools = proxies.length > 0 && [
    choice(t("status"), [["all", t("all"), proxies.length], ["bad", t("proxies.bad"), bad]], state.which, set("which")),
    searchBox(t("search"), state.search, set("search"))]
  return card(t("nav.proxies"), { id: "proxies", wide: true, tools },
    !proxies.length ? noProxies()
      : rows.length ? table({ caption: t("nav.proxies"), columns: columns(app), rows,
        key: (one) => one.name, state, redraw: () => app.redraw(), detail: (one) => one.reason })
        : emptyState(t("proxies.no-match")))
}

/** Where visitors find it: a domain once, not once for each location. */
export function remote(one) {
  return [...new Set(one.remote_addr.split(","))].join(", ")
}

function columns(app) {
  return [
    { id: "name", label: t("name"), main: true, value: (one) => one.name,
      cell: (one) => h("a", { href: proxyLink(one.name) }, one.name) },
    { id: "status", label: t("status"), class: "state", value: (one) => one.status,
      cell: (one) => badge(one.status) },
    { id: "type", label: t("type"), minor: true, value: (one) => one.type,
      cell: (one) => h("span", { class: "tag" }, one.type) },
    { id: "local", label: t("local"), class: "long", value: (one) => one.local_addr || one.plugin,
      cell: (one) => (one.plugin ? h("span", {}, t("plugin"), " ", h("code", {}, one.plugin))
        : h("span", { class: "n" }, one.local_addr || "–")) },
    { id: "remote", label: t("remote"), class: "long", value: remote,
      cell: (one) => h("span", { class: "n place" }, remote(one) || "–") },
    { id: "conns", label: t("conns.short"), note: t("conns.now"), number: true,
      value: (one) => one.cur_conns,
      cell: (one) => h("span", { title: t("conns.total", { n: count(one.total_conns) }) }, count(one.cur_conns)) },
    { id: "in", label: t("traffic.in"), note: t("traffic.in.long"), number: true,
      value: (one) => one.traffic_in, cell: (one) => bytesCell(one.traffic_in) },
    { id: "out", label: t("traffic.out"), note: t("traffic.out.long"), number: true,
      value: (one) => one.traffic_out, cell: (one) => bytesCell(one.traffic_out) },
    { id: "rate", label: t("rate"), number: true, value: (one) => meter.rate(one.name),
      cell: (one) => rate(meter.rate(one.name)) },
    { id: "since", label: t("since"), minor: true, number: true, value: (one) => -(one.since || 0),
      cell: (one) => since(one.since, app.now()) },
  ]
}

function noProxies() {
  return emptyState(t("proxies.none"), h("p", {}, t("proxies.none.frpc")),
    code("[ssh]\ntype = tcp\nlocal_port = 22\nremote_port = 6000\n"),
    h("p", {}, h("a", { class: "button primary", href: "#/editor" }, t("nav.editor"))))
}

function serverCard(app, status) {
  const server = status.server
  return card(t("server.connection"), { id: "server" }, facts([
    [t("status"), badge(server.state)],
    [t("address"), h("span", { class: "n" }, server.address)],
    [t("server.protocol"), [server.protocol, server.tls && "tls"].filter(Boolean).join(" + ")],
    [t("client.since"), server.since && h("span", { title: moment(server.since) },
      t("ago", { time: duration(app.now() - server.since) }))],
    [t("rtt"), Number.isFinite(server.rtt_ms) ? milliseconds(server.rtt_ms) : ""],
    [t("speaks"), server.speaks],
    [t("server.version"), server.version],
    [t("client.features"), server.features?.join(", ")],
    [t("server.logins"), count(server.logins)],
    [t("client.run-id"), server.run_id && h("code", {}, server.run_id)],
    [t("server.log-level"), status.log_level],
    [t("server.file"), status.config_file && h("code", {}, status.config_file)],
  ]),
  server.weak?.length > 0 && [
    h("h3", {}, t("security")),
    h("ul", { class: "weak" }, server.weak.map((one) => h("li", {}, word("weak", one)))),
    h("p", { class: "hint" }, t("weak.remedy.frpc"))])
}

const EVENT_STATES = { connected: "good", lost: "bad", refused: "bad", unreachable: "warning" }

function historyCard(app, history) {
  if (!history) return null
  return card(t("history.title"), { id: "history", hint: t("history.hint") },
    history.length ? h("ol", { class: "history" }, history.map((one) =>
      h("li", { key: `${one.at} ${one.event}` },
        h("time", { class: "n", title: moment(one.at) }, clock(one.at)),
        h("span", { class: `badge ${EVENT_STATES[one.event] || "off"}` }, word("event", one.event)),
        h("span", {}, one.text))))
      : emptyState(t("history.none")))
}
