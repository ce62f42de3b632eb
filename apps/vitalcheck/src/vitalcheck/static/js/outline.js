// Plain JSON, such as a model card, in a form one can read.

import { reliability } from "./charts/reliability.js";
import { el } from "./dom.js";
import { nameOf, number } from "./words.js";

const DEPTH = 5;

/** Nested lists; intervals in one line, rows of one shape as a table, reliability as a picture. */
export function outline(value, depth = 0) {
  if (value === null || typeof value !== "object") return el("span", {}, text(value));
  if (Array.isArray(value)) return series(value, depth);
  if (isEstimate(value)) return el("span", {}, `${number(value.value, 3)} (${number(value.low, 3)} to ${number(value.high, 3)})`);
  if (depth >= DEPTH) return el("code", {}, JSON.stringify(value));
  return el("dl", { class: "outline" }, Object.entries(value).map(([name, part]) =>
    el("div", { class: "outline__item" }, el("dt", {}, nameOf(name)), el("dd", {}, outline(part, depth + 1)))));
}

function series(values, depth) {
  const areRows = values.length > 0 && values.every((each) => each !== null && typeof each === "object" && !Array.isArray(each));
  if (areRows && "share_observed" in values[0] && "mean_predicted" in values[0]) return reliability(values);
  if (areRows && values.length > 1) return table(values);
  const isShort = values.every((each) => each === null || (typeof each !== "object" && String(each).length < 30));
  if (isShort) return el("span", {}, values.map(text).join(", ") || "—");
  return el("ul", { class: "outline__list" }, values.map((each) => el("li", {}, outline(each, depth + 1))));
}

function table(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const cell = (value) => Array.isArray(value) ? value.map(text).join(", ") : value && typeof value === "object" ? JSON.stringify(value) : text(value);
  return el("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": names.map(nameOf).join(", ") },
    el("table", { class: "table table--small" },
      el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, nameOf(name))))),
      el("tbody", {}, rows.map((row) => el("tr", {}, names.map((name) => el("td", {}, cell(row[name]))))))));
}

function isEstimate(value) {
  return ["value", "low", "high"].every((name) => typeof value[name] === "number") && Object.keys(value).length === 3;
}

function text(value) {
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value === null || value === undefined || value === "" ? "—" : String(value);
}
