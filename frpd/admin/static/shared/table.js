// Tables that can be sorted, and on a telephone become a list of cards.

import { h } from "./view.js"
import { count } from "./format.js"
import { t } from "./text.js"

const FIRST_ROWS = 100
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") {
    return (Number.isNaN(one) ? -1 : one) - (Number.isNaN(other) ? -1 : other)
  }
  return order.compare(String(one ?? ""), String(other ?? ""))
}

/** Rows in the order that the state asks for. */
export function sorted(rows, columns, state) {
  const column = columns.find((one) => one.id === state.sort) || columns[0]
  const sign = state.descending ? -1 : 1
  return [...rows].sort((one, other) => sign * compare(column.value(one), column.value(other)))
}

/**
 * @param columns {id, label, value(row), cell(row), number, main, note}: `main` is the heading of
 *   its row, `value` what it is sorted by; what is `minor` is left out on tablets.
 * @param state {sort, descending, all}, kept by the page
 * @param detail returns what stands below a row in its whole width, or null
 */
export function table({ caption, columns, rows, key, state, redraw, detail = () => null }) {
  const ordered = sorted(rows, columns, state)
  const shown = state.all ? ordered : ordered.slice(0, FIRST_ROWS)
  const sort = (column) => () => {
    state.descending = state.sort === column.id ? !state.descending : Boolean(column.number)
    state.sort = column.id
    redraw()
  }
  const head = (column) => {
    const active = state.sort === column.id
    const direction = state.descending ? "descending" : "ascending"
    return h("th", {
      scope: "col", role: "columnheader",
      class: [column.number && "number", column.minor && "minor"].filter(Boolean).join(" "),
      "aria-sort": active ? direction : null,
    }, h("button", { type: "button", onclick: sort(column), title: column.note },
      column.label, h("span", { class: "arrow", "aria-hidden": "true" },
        active ? (state.descending ? "↓" : "↑") : "")))
  }
  const cell = (row) => (column) =>
    h(column.main ? "th" : "td", {
      scope: column.main ? "row" : null, role: column.main ? "rowheader" : "cell",
      class: [column.number && "number", column.main && "main", column.minor && "minor", column.class]
        .filter(Boolean).join(" "),
      "data-label": column.label,
    }, column.cell(row))
  const body = (row) => {
    const more = detail(row)
    return [
      h("tr", { role: "row", key: key(row), class: more && "has-detail" }, columns.map(cell(row))),
      more && h("tr", { role: "row", key: `detail of ${key(row)}`, class: "detail" },
        h("td", { role: "cell", colspan: columns.length }, more)),
    ]
  }
  return [
    h("div", { class: "table-box" },
      h("table", { role: "table" },
        h("caption", { class: "unseen" }, caption),
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(head))),
        h("tbody", { role: "rowgroup" }, shown.map(body)))),
    ordered.length > shown.length && h("p", { class: "more" },
      h("button", { type: "button", class: "button", onclick: () => { state.all = true; redraw() } },
        t("table.all", { n: count(ordered.length) })),
      t("table.part", { n: count(shown.length), of: count(ordered.length) })),
  ]
}
