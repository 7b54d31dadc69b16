// The visitors: ways from this machine to services of others.

import { h } from "../../shared/view.js"
import { bytesCell, count } from "../../shared/format.js"
import { badge, code, emptyState, loading } from "../../shared/parts.js"
import { table } from "../../shared/table.js"
import { t } from "../../shared/text.js"

export const visitorsPage = {
  path: "visitors",
  nav: "nav.visitors",
  title: () => t("nav.visitors"),

  view(app) {
    if (!app.base) return loading()
    const rows = app.base.visitors
    if (!rows.length) {
      return emptyState(t("visitors.none"), h("p", {}, t("visitors.none.why")),
        code("[visit-ssh]\ntype = stcp\nrole = visitor\nserver_name = ssh\nsk = …\n" +
          "bind_addr = 127.0.0.1\nbind_port = 6000\n"))
    }
    const state = app.state("visitors", { sort: "name" })
    return table({ caption: t("nav.visitors"), columns: COLUMNS(), rows, key: (one) => one.name, state,
      redraw: () => app.redraw(), detail: (one) => one.err })
  },
}

const COLUMNS = () => [
  { id: "name", label: t("name"), main: true, value: (one) => one.name, cell: (one) => one.name },
  { id: "status", label: t("status"), class: "state", value: (one) => one.status,
    cell: (one) => badge(one.status) },
  { id: "type", label: t("type"), value: (one) => one.type,
    cell: (one) => h("span", { class: "tag" }, one.type) },
  { id: "bind", label: t("visitors.bind"), value: (one) => one.bind_addr,
    cell: (one) => h("span", { class: "n" }, one.bind_addr) },
  { id: "server", label: t("visitors.server"), value: (one) => one.server_name,
    cell: (one) => one.server_name },
  { id: "conns", label: t("conns.short"), note: t("conns.now"), number: true,
    value: (one) => one.cur_conns,
    cell: (one) => h("span", { title: t("conns.total", { n: count(one.total_conns) }) }, count(one.cur_conns)) },
  { id: "in", label: t("traffic.in"), number: true, value: (one) => one.traffic_in,
    cell: (one) => bytesCell(one.traffic_in) },
  { id: "out", label: t("traffic.out"), number: true, value: (one) => one.traffic_out,
    cell: (one) => bytesCell(one.traffic_out) },
]
