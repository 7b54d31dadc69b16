// One proxy of frpc: why it is where it is, its traffic, and who is connected.

import { h } from "../../shared/view.js"
import { legend, trafficChart } from "../../shared/chart.js"
import { Connections, connsPath } from "../../shared/conns.js"
import { bytesCell, count, duration, moment, rate } from "../../shared/format.js"
import { badge, card, emptyState, facts, figure, loading } from "../../shared/parts.js"
import { t } from "../../shared/text.js"
import { remote, seriesOf } from "./overview.js"

let shown = { name: "", connections: new Connections() }

export const proxyPage = {
  path: "proxy",
  under: "nav.overview",
  title: (app) => app.param,
  sources: (app) => ({ conns: connsPath({ proxy: app.param }) }),

  received(app, name, value, at) {
    if (shown.name !== app.param) shown = { name: app.param, connections: new Connections() }
    shown.connections.note(value, at)
  },

  view(app) {
    if (!app.base) return loading()
    const proxy = app.base.proxies.find((one) => one.name === app.param)
    if (!proxy) {
      return emptyState(t("proxy.unknown", { name: app.param }),
        h("p", {}, h("a", { href: "#/" }, t("proxy.to-all"))))
    }
    const live = seriesOf(proxy.name)
    return [
      h("p", { class: "headline" }, badge(proxy.status), h("span", { class: "tag" }, proxy.type),
        h("span", { class: "n place" }, remote(proxy))),
      proxy.reason && h("p", { class: proxy.status === "start error" ? "notice bad" : "notice" }, proxy.reason),
      h("div", { class: "figures" },
        figure(t("conns.now"), count(proxy.cur_conns)),
        figure(t("rate.in"), rate(live.rateIn)),
        figure(t("rate.out"), rate(live.rateOut)),
        figure(t("conns.all"), count(proxy.total_conns))),
      h("div", { class: "grid" },
        card(t("traffic.title"), { id: "traffic", wide: true, hint: legend() },
          trafficChart(`proxy ${proxy.name}`, live, { span: 60, label: t("traffic.live.label", {
            in: rate(live.rateIn), out: rate(live.rateOut) }) })),
        card(t("proxy.settings"), { id: "settings" }, facts([
          [t("name"), proxy.name], [t("type"), proxy.type], [t("local"), proxy.local_addr],
          [t("plugin"), proxy.plugin], [t("remote"), remote(proxy)], ["err", proxy.err],
          [t("since"), proxy.since && h("span", { title: moment(proxy.since) },
            t("ago", { time: duration(app.now() - proxy.since) }))],
          [t("proxy.all-in"), bytesCell(proxy.traffic_in)],
          [t("proxy.all-out"), bytesCell(proxy.traffic_out)]])),
        card(t("conns"), { id: "conns", wide: true }, shown.connections.view(app, app.get("conns"), {}))),
    ]
  },
}
