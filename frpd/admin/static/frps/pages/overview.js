// frps at one glance.

import { h } from "../../shared/view.js"
import { dayBars, legend, trafficChart } from "../../shared/chart.js"
import { bytes, bytesCell, count, duration, milliseconds, moment, percent, rate } from "../../shared/format.js"
import { card, choice, emptyState, facts, figure, gauge, loading } from "../../shared/parts.js"
import { Series } from "../../shared/series.js"
import { t } from "../../shared/text.js"
import { proxyLink, TYPES } from "../names.js"

const live = new Series()

export function noteOverview(overview, at) {
  live.note(overview.traffic_today.in, overview.traffic_today.out, at)
}

export const overviewPage = {
  path: "",
  nav: "nav.overview",
  title: () => t("nav.overview"),
  sources: () => ({ server: { path: "/api/serverinfo", every: 20 } }),

  view(app) {
    const overview = app.base
    if (!overview) return loading()
    const state = app.state("overview", { range: "live" })
    return [
      figures(overview),
      h("div", { class: "grid" },
        trafficCard(app, overview, state),
        card(t("days.title"), { id: "days", hint: t("days.hint") },
          dayBars(overview.traffic_days.in, overview.traffic_days.out, t("days.title")), legend()),
        typesCard(overview),
        overview.ports && portsCard(overview.ports),
        overview.host && overview.process && healthCard(overview),
        serverCard(app.get("server"), overview)),
    ]
  },
}

function figures(overview) {
  const proxies = Object.values(overview.proxies).reduce((sum, one) => sum + one, 0)
  const { in: bytesIn, out: bytesOut } = overview.traffic_today
  return h("div", { class: "figures" },
    figure(t("clients.online"), count(overview.clients), { href: "#/clients" }),
    figure(t("proxies.online"), count(proxies), { href: "#/proxies" }),
    figure(t("conns.now"), count(overview.connections)),
    figure(t("rate.now"), rate(live.rateIn + live.rateOut), {
      note: h("span", {}, "↓ ", rate(live.rateIn), " ↑ ", rate(live.rateOut)) }),
    figure(t("traffic.today"), bytes(bytesIn + bytesOut), {
      title: `${count(bytesIn + bytesOut)} ${t("unit.bytes")}`,
      note: h("span", {}, "↓ ", bytesCell(bytesIn), " ↑ ", bytesCell(bytesOut)) }))
}

function trafficCard(app, overview, state) {
  const history = overview.history
  const ranges = [["live", t("range.live")], ...(history ? [["hour", t("range.hour")]] : [])]
  const choose = (value) => { state.range = value; app.redraw() }
  const isHour = state.range === "hour" && history
  return card(t("traffic.title"), { id: "traffic", wide: true, hint: legend(),
    tools: history && choice(t("range"), ranges, state.range, choose) },
  isHour
    ? trafficChart("hour", perSecond(history), { span: 3600, label: t("traffic.hour.label") })
    : trafficChart("live", live, { span: 60, label: t("traffic.live.label", {
      in: rate(live.rateIn), out: rate(live.rateOut) }) }))
}

function perSecond({ interval_seconds: step, from, in: totalsIn, out: totalsOut }) {
  return {
    times: totalsIn.map((_total, index) => from + (index + 1) * step),
    in: totalsIn.map((total) => total / step),
    out: totalsOut.map((total) => total / step),
  }
}

function typesCard(overview) {
  const most = Math.max(1, ...Object.values(overview.proxies))
  const types = TYPES.filter((type) => type in overview.proxies)
  return card(t("types.title"), { id: "types", hint: t("types.hint") },
    types.length ? h("ul", { class: "types" }, types.map((type) =>
      h("li", { key: type },
        h("a", { href: `#/proxies/${type}` }, type.toUpperCase()),
        h("span", { class: "type-bar", "aria-hidden": "true" },
          h("span", { vars: { "--part": overview.proxies[type] / most } })),
        h("span", { class: "n" }, count(overview.proxies[type])))))
      : emptyState(t("proxies.none"), h("p", {}, t("proxies.none.short"))))
}

const OWN = new Set(["clients", "http", "https", "dashboard", "tcpmux", "kcp", "quic", "ssh"])

function portsCard(ports) {
  const name = (what) => (OWN.has(what) ? t(`port.${what}`)
    : h("a", { href: proxyLink(what) }, what))
  return card(t("ports.title"), { id: "ports", hint: t("ports.hint", { n: count(ports.length) }) },
    h("ul", { class: "ports" }, [...ports].sort((one, other) => one.port - other.port).map((one) =>
      h("li", { key: `${one.protocol} ${one.port} ${one.what}` },
        h("span", { class: "n port" }, String(one.port)),
        h("span", { class: "tag" }, one.protocol), h("span", { class: "port-what" }, name(one.what))))))
}

function healthCard({ host, process, loop }) {
  const used = host.memory_total - host.memory_available
  return card(t("health.title"), { id: "health" },
    gauge(t("health.cpu"), host.cpu_percent, 100,
      t("health.cpu.text", { part: percent(host.cpu_percent), n: host.cpu_count })),
    gauge(t("health.memory"), used, host.memory_total, `${bytes(used)} / ${bytes(host.memory_total)}`),
    gauge(t("health.fds"), process.fds, process.fd_limit, `${count(process.fds)} / ${count(process.fd_limit)}`),
    facts([
      [t("health.own.cpu"), percent(process.cpu_percent)],
      [t("health.own.memory"), bytesCell(process.rss)],
      [t("health.load"), host.load.map((one) => one.toFixed(2)).join("  ")],
      [t("health.threads"), count(process.threads)],
      [t("health.lag"), h("span", { title: t("health.lag.long") }, t("health.lag.text", {
        now: milliseconds(loop.lag_seconds * 1000), worst: milliseconds(loop.worst_lag_seconds * 1000) }))],
    ]))
}

function serverCard(server, overview) {
  if (!server) return null
  const portOf = (value) => (value ? String(value) : h("span", { class: "dim" }, t("off")))
  return card(t("server.title"), { id: "server", wide: true }, facts([
    [t("server.version"), t("server.version.text", { own: server.frpd_version, frp: server.version })],
    [t("server.started"), h("span", { title: moment(overview.started_at) },
      t("ago", { time: duration(overview.uptime_seconds) }))],
    ["bind_port", portOf(server.bind_port)],
    ["bind_udp_port", portOf(server.bind_udp_port)],
    ["kcp_bind_port", portOf(server.kcp_bind_port)],
    ["quic_bind_port", portOf(server.quic_bind_port)],
    ["vhost_http_port", portOf(server.vhost_http_port)],
    ["vhost_https_port", portOf(server.vhost_https_port)],
    ["tcpmux_httpconnect_port", portOf(server.tcpmux_httpconnect_port)],
    ["subdomain_host", server.subdomain_host || h("span", { class: "dim" }, t("off"))],
    ["allow_ports", server.allow_ports_str ? h("span", { class: "n" }, server.allow_ports_str)
      : t("server.any-port")],
    ["max_pool_count", count(server.max_pool_count)],
    ["max_ports_per_client", server.max_ports_per_client ? count(server.max_ports_per_client)
      : t("server.no-limit")],
    ["heartbeat_timeout", t("seconds", { n: server.heart_beat_timeout })],
    ["authentication_timeout", t("seconds", { n: server.auth_timeout })],
    ["tls_only", t(server.tls_only ? "yes" : "no")],
    [t("server.log-level"), overview.log_level],
    [t("server.file"), overview.config_file && h("code", {}, overview.config_file)],
  ], { columns: true }))
}
