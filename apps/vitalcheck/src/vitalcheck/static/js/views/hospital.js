// Hospital stays: two tables and the filters the API offers.

import { el } from "../dom.js";
import { createFieldset } from "../fieldset.js";
import { provenance } from "../meta.js";
import { createPanel } from "../panel.js";
import { queryOf } from "../schema.js";
import { dataTable } from "../table.js";
import { dollars, nameOf, number, percent } from "../words.js";
import { createForm, viewHeader } from "./frame.js";

const days = (value) => number(value, 1);
const spaced = (text) => text.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[-/]/g, " / ");

const DEPARTMENTS = [
  { key: "department", label: "Department", write: spaced, isText: true },
  { key: "stays", label: "Stays", write: number, hasBar: true },
  { key: "mean_days", label: "Mean days", write: days, hasBar: true },
  { key: "median_days", label: "Median", write: days },
  { key: "p90_days", label: "90th pct.", write: days },
  { key: "readmitted_30d", label: "Back in 30 days", write: (share) => percent(share), hasBar: true },
];
const CONDITIONS = [
  { key: "condition", label: "Condition", write: nameOf, isText: true },
  { key: "stays", label: "Stays", write: number, hasBar: true },
  { key: "mean_cost_usd", label: "Mean cost", write: dollars, hasBar: true },
  { key: "mean_days", label: "Mean days", write: days, hasBar: true },
];

/** The view of the hospital tables; it asks once by itself when it is first opened. */
export function hospitalView(entry, { document, states }) {
  const panel = createPanel("Choose “Filter” to see the tables.", "Tables");
  const fieldset = createFieldset(document, queryOf(document, "get", entry.path), { onChange: panel.markStale });
  const send = (value) => panel.run(filtered(entry.path, value), {}, show);
  const form = createForm({
    title: "Filters",
    action: entry.action,
    children: fieldset.elements,
    read: fieldset.read,
    show: (errors) => fieldset.show(errors.map((error) => ({ ...error, field: error.field.replace(/^query\./, "") }))),
    clearErrors: fieldset.clearErrors,
    onClear: () => { fieldset.write({}); panel.markStale(); },
    onProblem: panel.refused,
    send,
  });
  form.element.classList.add("form--row");
  const view = el("div", { class: "view view--wide" }, viewHeader(document, entry, states), form.element, panel.element);
  panel.run(filtered(entry.path, {}), {}, show, { isQuiet: true });
  return view;
}

/** Filters name departments and conditions, nothing about a person, so they may stand in an address. */
function filtered(path, filters) {
  const given = Object.entries(filters).filter(([, value]) => value !== null && value !== "");
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

function show(answer) {
  const { departments, conditions } = answer.data;
  return [
    dataTable({ caption: "Stays by department", columns: DEPARTMENTS, rows: departments, emptyText: "No department matches." }),
    dataTable({ caption: "Stays by condition", columns: CONDITIONS, rows: conditions, emptyText: "No condition matches." }),
    el("p", { class: "answer__note" }, "Groups of fewer than eleven stays are left out. “—” means suppressed."),
    provenance(answer),
  ];
}
