// One proxy: its traffic now and of the week, its settings, and who is connected.

import { h } from "../../shared/view.js"
import { dayBars, legend, trafficChart } from "../../shared/chart.js"
import { Connections, connsPath } from "../../shared/conns.js"
import { change } from "../../shared/daemon.js"
import { ask } from "../../shared/dialog.js"
import { bytes, bytesCell, count, duration, moment, rate } from "../../shared/format.js"
import { badge, button, card, emptyState, facts, figure, loading } from "../../shared/parts.js"
import { Series } from "../../shared/series.js"
import { t } from "../../shared/text.js"
import { clientLink, clientName, domainsOf, placeCell, port } from "../names.js"

let shown = { name: "", live: new Series(), connections: new Connections() }

export const proxyPage = {
  path: "proxy",
  under: "nav.proxies",
  title: (app) => app.param,

  sources(app) {
    const name = encodeURIComponent(app.param)
    const key = app.get("proxy")?.run_id
    return {
      proxy: `/api/proxies/${name}`,
      traffic: { path: `/api/traffic/${name}`, every: 10 },
      conns: connsPath({ proxy: app.param }),
      client: key && { path: `/api/clients/${encodeURIComponent(key)}`, every: 10 },
      server: { path: "/api/serverinfo", every: 60 },
    }
  },

  received(app, name, value, at) {
    if (shown.name !== app.param) shown = { name: app.param, live: new Series(), connections: new Connections() }
    if (name === "proxy") shown.live.note(value.bytes_in, value.bytes_out, at)
    if (name === "conns") shown.connections.note(value, at)
  },

  view(app) {
    if (app.error("proxy")) {
      return emptyState(t("proxy.unknown", { name: app.param }),
        h("p", {}, h("a", { href: "#/proxies" }, t("proxy.to-all"))))
    }
    const proxy = app.get("proxy")
    if (!proxy) return loading()
    const { live, connections } = shown
    const traffic = app.get("traffic")
    const conns = app.get("conns")
    return [
      headline(app, proxy, conns),
      figures(proxy, live),
      h("div", { class: "grid" },
        card(t("traffic.title"), { id: "traffic", wide: true, hint: legend() },
          trafficChart(`proxy ${proxy.name}`, live, { span: 60, label: t("traffic.live.label", {
            in: rate(live.rateIn), out: rate(live.rateOut) }) })),
        traffic && card(t("days.title"), { id: "days", hint: t("days.hint") },
          dayBars(traffic.traffic_in, traffic.traffic_out, t("days.title")), legend()),
        card(t("proxy.settings"), { id: "settings" }, facts(settings(proxy, app.get("server"), app.now()))),
        card(t("conns"), { id: "conns", wide: true,
          hint: t("conns.total", { n: count(proxy.total_conns) }),
          tools: proxy.cur_conns > 0 && button(t("proxy.cut"), () => cut(app, proxy), { id: "cut" }) },
        connections.view(app, conns, {}))),
    ]
  },
}

function headline(app, proxy) {
  const client = app.get("client")
  const server = app.get("server")
  return h("p", { class: "headline" }, badge(proxy.status), h("span", { class: "tag" }, proxy.type),
    placeCell(proxy, server),
    client && h("span", {}, t("proxy.by"), " ", h("a", { href: clientLink(client.key) }, clientName(client))))
}

function figures(proxy, live) {
  return h("div", { class: "figures" },
    figure(t("conns.now"), count(proxy.cur_conns)),
    figure(t("rate.in"), rate(live.rateIn)),
    figure(t("rate.out"), rate(live.rateOut)),
    figure(t("in.today"), bytes(proxy.today_traffic_in), { title: count(proxy.today_traffic_in) }),
    figure(t("out.today"), bytes(proxy.today_traffic_out), { title: count(proxy.today_traffic_out) }))
}

function settings(proxy, server, now) {
  const conf = proxy.conf
  const list = (values) => (values?.length ? values.join(", ") : "")
  const common = [
    [t("proxy.last-start"), proxy.last_start_time],
    [t("proxy.last-close"), proxy.last_close_time],
    [t("proxy.since"), proxy.since && h("span", { title: moment(proxy.since) },
      t("ago", { time: duration(now - proxy.since) }))],
    [t("proxy.all-in"), bytesCell(proxy.bytes_in)],
    [t("proxy.all-out"), bytesCell(proxy.bytes_out)],
  ]
  if (!conf) return [[t("name"), proxy.name], [t("type"), proxy.type], ...common]
  return [
    [t("name"), proxy.name],
    [t("type"), proxy.type],
    [t("proxy.address"), proxy.remote_addr],
    [t("proxy.port"), port(proxy, server) ? String(port(proxy, server)) : ""],
    [t("proxy.domains"), list(domainsOf(conf, server))],
    ["locations", list(conf.locations)],
    ["host_header_rewrite", conf.host_header_rewrite],
    ["route_by_http_user", conf.routeByHTTPUser],
    ["multiplexer", conf.multiplexer],
    [t("proxy.encryption"), t(conf.use_encryption ? "yes" : "no")],
    [t("proxy.compression"), t(conf.use_compression ? "yes" : "no")],
    ["group", conf.group],
    ...Object.entries(conf.metas || {}).map(([name, value]) => [`meta_${name}`, value]),
    ...common,
  ]
}

async function cut(app, proxy) {
  const done = await ask({
    title: t("proxy.cut.title", { name: proxy.name }),
    content: () => h("p", {}, t("proxy.cut.text", { n: proxy.cur_conns })),
    yes: t("proxy.cut"),
    danger: true,
    act: () => change("POST", "/api/kick", { proxy: proxy.name }),
  })
  if (done) app.say("good", t("proxy.cut.done", { n: done.kicked }))
  app.refresh()
}
