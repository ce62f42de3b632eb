// A table that can be sorted, with a bar behind one of its columns.

import { bar } from "./charts/bars.js";
import { el, put } from "./dom.js";

/** `columns`: [{key, label, write, hasBar, isText}]; rows are plain objects. */
export function dataTable({ caption, columns, rows, emptyText }) {
  if (!rows.length) return el("p", { class: "answer__note" }, emptyText);
  let order = { key: null, isDown: true };
  const body = el("tbody");
  const heads = columns.map((column) => {
    const button = el("button", { type: "button", class: "table__sort", onclick: () => sort(column) }, column.label);
    return el("th", { scope: "col", class: column.isText ? null : "table__number" }, button);
  });

  function sort(column) {
    const isSame = order.key === column.key;
    order = { key: column.key, isDown: isSame ? !order.isDown : !column.isText };
    heads.forEach((head, at) => {
      if (columns[at].key === order.key) head.setAttribute("aria-sort", order.isDown ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    draw();
  }

  function draw() {
    const sign = order.isDown ? -1 : 1;
    const sorted = order.key === null ? rows : [...rows].sort((a, b) => sign * compare(a[order.key], b[order.key]));
    put(body, sorted.map((row) => el("tr", {}, columns.map((column) => cell(column, row, rows)))));
  }

  draw();
  return el("div", { class: "table-frame", role: "region", tabindex: "0", "aria-label": caption },
    el("table", { class: "table" }, el("caption", { class: "table__caption" }, caption),
      el("thead", {}, el("tr", {}, heads)), body));
}

function compare(a, b) {
  if (typeof a === "string" && typeof b === "string") return a.localeCompare(b);
  return (a ?? -Infinity) - (b ?? -Infinity);
}

function cell(column, row, rows) {
  const value = row[column.key];
  const text = value === null || value === undefined ? "—" : column.write(value);
  if (column.isText) return el("th", { scope: "row" }, text);
  if (!column.hasBar) return el("td", { class: "table__number" }, text);
  const most = Math.max(...rows.map((each) => each[column.key] ?? 0)) || 1;
  return el("td", { class: "table__number table__barred" }, text, bar((value ?? 0) / most, 6));
}
