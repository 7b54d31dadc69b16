// One client: how it is connected, what is weak about that, and what it serves.

import { h } from "../../shared/view.js"
import { Connections, connsPath } from "../../shared/conns.js"
import { change } from "../../shared/daemon.js"
import { ask } from "../../shared/dialog.js"
import { count, duration, milliseconds, moment } from "../../shared/format.js"
import { badge, button, card, emptyState, facts, loading } from "../../shared/parts.js"
import { Meter } from "../../shared/series.js"
import { t, word } from "../../shared/text.js"
import { clientName, proxyLink } from "../names.js"
import { list } from "./proxies.js"

let shown = { key: "", connections: new Connections(), meter: new Meter() }

export const clientPage = {
  path: "client",
  under: "nav.clients",
  title: (app) => (app.get("client") ? clientName(app.get("client")) : t("client")),
  sources: (app) => ({
    client: `/api/clients/${encodeURIComponent(app.param)}`,
    proxies: "/api/frpd/proxies",
    conns: connsPath({ client: app.param }),
    server: { path: "/api/serverinfo", every: 60 },
  }),

  received(app, name, value, at) {
    if (shown.key !== app.param) shown = { key: app.param, connections: new Connections(), meter: new Meter() }
    if (name === "conns") shown.connections.note(value, at)
    if (name === "proxies") {
      shown.meter.note(value.proxies, (row) => row.name, (row) => row.bytes_in, (row) => row.bytes_out, at)
    }
  },

  view(app) {
    if (app.error("client")) {
      return emptyState(t("client.unknown"), h("p", {}, h("a", { href: "#/clients" }, t("client.to-all"))))
    }
    const client = app.get("client")
    if (!client) return loading()
    const proxies = (app.get("proxies")?.proxies || []).filter((row) => row.run_id === client.key)
      .map((row) => ({ ...row, client, rate: shown.meter.rate(row.name) }))
    const state = app.state("client proxies", { sort: "name" })
    return [
      h("p", { class: "headline" }, badge(client.online ? "online" : "offline"),
        client.version && h("span", { class: "tag" }, client.version),
        h("span", { class: "n" }, client.address || client.clientIP),
        client.online && button(t("client.kick"), () => kick(app, client), { kind: "danger", id: "kick" })),
      h("div", { class: "grid" },
        card(t("client.connection"), { id: "connection" }, facts(connection(client, app.now()))),
        client.online && card(t("security"), { id: "security" }, security(client)),
        card(t("nav.proxies"), { id: "proxies", wide: true },
          proxies.length ? list(app, proxies, app.get("server"), state, "client") : emptyState(t("client.no-proxies"))),
        card(t("conns"), { id: "conns", wide: true },
          shown.connections.view(app, app.get("conns"), { proxies: true, link: proxyLink }))),
    ]
  },
}

function connection(client, now) {
  const at = (unix) => unix && h("span", { title: moment(unix) }, t("ago", { time: duration(now - unix) }))
  return [
    [t("user"), client.user],
    [t("hostname"), client.hostname],
    [t("address"), client.address || client.clientIP],
    [t("client.system"), [client.os, client.arch].filter(Boolean).join(" / ")],
    [t("version"), client.version],
    [t("speaks"), client.speaks],
    [t("client.layers"), client.layers?.join(" → ")],
    [t("client.mux"), client.online ? t(client.is_mux ? "yes" : "no") : ""],
    [t("client.features"), client.features?.join(", ")],
    [t("rtt"), Number.isFinite(client.rtt_ms) ? milliseconds(client.rtt_ms) : ""],
    [t("conns.now"), client.online ? count(client.cur_conns) : ""],
    [t("client.since"), client.since && at(client.since)],
    [t("client.first"), at(client.firstConnectedAt)],
    [t("client.last"), at(client.lastConnectedAt)],
    [t("client.gone"), client.disconnectedAt && at(client.disconnectedAt)],
    [t("client.run-id"), h("code", {}, client.runID)],
  ]
}

function security(client) {
  if (!client.weak?.length) return h("p", { class: "notice good" }, t("weak.none"))
  return [
    h("ul", { class: "weak" }, client.weak.map((one) => h("li", {}, word("weak", one)))),
    h("p", { class: "hint" }, t("weak.remedy")),
  ]
}

async function kick(app, client) {
  const done = await ask({
    title: t("client.kick.title", { name: clientName(client) }),
    content: () => [h("p", {}, t("client.kick.text", {
      proxies: client.proxies?.length || 0, conns: client.cur_conns || 0 })), h("p", {}, t("client.kick.back"))],
    yes: t("client.kick"),
    danger: true,
    act: () => change("POST", "/api/kick", { client: client.key }),
  })
  if (done) app.say("good", t("client.kick.done"))
  app.refresh()
}
