// Connections that are open now, of both programs.

import { h } from "./view.js"
import { bytesCell, count, duration, milliseconds, moment, rate } from "./format.js"
import { emptyState } from "./parts.js"
import { table } from "./table.js"
import { Meter } from "./series.js"
import { t } from "./text.js"

const MOST = 200 // the daemon asks the kernel about each one

export function connsPath(filter) {
  return `/api/conns?${new URLSearchParams({ ...filter, limit: MOST, tcp: 1 })}`
}

const keyOf = (row) => `${row.proxy} ${row.visitor} ${Math.round(row.since * 1000)}`

/** Connections with their rates; one for a page. */
export class Connections {
  constructor() {
    this.meter = new Meter()
  }

  note(answer, at) {
    this.meter.note(answer.conns, keyOf, (row) => row.bytes_in, (row) => row.bytes_out, at)
  }

  /** @param proxies whether the proxy is worth a column */
  view(app, answer, { proxies = false, link }) {
    if (!answer) return null
    const state = app.state("conns", { sort: "age", descending: true })
    if (!answer.conns.length) return emptyState(t("conns.none"), h("p", {}, t("conns.none.why")))
    const rows = answer.conns.map((row) => ({ ...row, rate: this.meter.rate(keyOf(row)) }))
    return [
      table({ caption: t("conns"), columns: columns(rows, proxies, link), rows, key: keyOf, state,
        redraw: () => app.redraw() }),
      answer.total > rows.length && h("p", { class: "hint" },
        t("conns.part", { n: count(rows.length), of: count(answer.total) })),
    ]
  }
}

function columns(rows, proxies, link) {
  const known = (name) => rows.some((row) => row[name] !== null && row[name] !== undefined)
  return [
    { id: "visitor", label: t("conns.visitor"), main: true, value: (row) => row.visitor,
      cell: (row) => h("span", { class: "n" }, row.visitor) },
    proxies && { id: "proxy", label: t("proxy"), value: (row) => row.proxy,
      cell: (row) => h("a", { href: link(row.proxy) }, row.proxy) },
    { id: "age", label: t("age"), number: true, value: (row) => row.age_seconds,
      cell: (row) => h("span", { title: moment(row.since) }, duration(row.age_seconds)) },
    { id: "in", label: t("traffic.in"), note: t("traffic.in.long"), number: true,
      value: (row) => row.bytes_in, cell: (row) => bytesCell(row.bytes_in) },
    { id: "out", label: t("traffic.out"), note: t("traffic.out.long"), number: true,
      value: (row) => row.bytes_out, cell: (row) => bytesCell(row.bytes_out) },
    { id: "rate", label: t("rate"), number: true, value: (row) => row.rate,
      cell: (row) => rate(row.rate) },
    known("rtt_ms") && { id: "rtt", label: t("rtt"), note: t("rtt.long"), number: true,
      value: (row) => row.rtt_ms ?? -1, cell: (row) => milliseconds(row.rtt_ms ?? NaN) },
    known("retransmits") && { id: "retransmits", label: t("retransmits"), number: true,
      note: t("retransmits.long"), value: (row) => row.retransmits ?? -1,
      cell: (row) => (row.retransmits === null ? "–" : count(row.retransmits)) },
  ].filter(Boolean)
}
