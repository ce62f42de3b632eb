// A schema's properties as a table; what lies deeper opens on demand.

import { el } from "../dom.js";
import { rangeOf, resolve } from "../schema.js";

const DEPTH = 5;

/** Name, type, limits and meaning of each property of an object schema. */
export function propertiesTable(description, schema, depth = 0) {
  const entries = Object.entries(schema.properties ?? {});
  if (!entries.length) return null;
  const required = new Set(schema.required ?? []);
  return el("div", { class: "table-frame" }, el("table", { class: "table table--docs" },
    el("thead", {}, el("tr", {}, ["Name", "Type", "Meaning"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, entries.map(([name, property]) => row(description, name, property, required.has(name), depth)))));
}

function row(description, name, property, isRequired, depth) {
  const { outer, inner } = unwrap(description, property);
  const below = inner.properties ?? unwrap(description, inner.items ?? {}).inner.properties;
  const nested = below ? { properties: below, required: (inner.properties ? inner : unwrap(description, inner.items).inner).required } : null;
  return el("tr", {},
    el("th", { scope: "row" }, el("code", {}, name), isRequired && el("span", { class: "docs__required" }, " required")),
    el("td", {}, typeOf(description, property), limits(outer, inner)),
    el("td", {}, outer.description ?? inner.description ?? "",
      nested && depth < DEPTH && el("details", {}, el("summary", {}, "Fields"), propertiesTable(description, nested, depth + 1))));
}

function limits(outer, inner) {
  const unit = outer.unit ?? inner.unit ?? "";
  const range = rangeOf({ low: inner.minimum ?? null, high: inner.maximum ?? null });
  const words = [range, unit].filter(Boolean).join(" ");
  return words && el("span", { class: "docs__limits" }, words);
}

function unwrap(description, property) {
  const outer = resolve(description, property);
  const variants = (outer.anyOf ?? outer.oneOf ?? [outer]).map((each) => resolve(description, each));
  return { outer, inner: variants.find((each) => each.type !== "null") ?? {} };
}

/** A schema's type in words: "number or null", "list of Contributor", "one of low, high". */
export function typeOf(description, schema = {}) {
  const found = resolve(description, schema);
  const variants = found.anyOf ?? found.oneOf;
  if (variants) return variants.map((each) => typeOf(description, each)).join(" or ");
  if (found.enum) return `one of ${found.enum.join(", ")}`;
  if (found.const !== undefined) return String(found.const);
  if (found.type === "array") return `list of ${typeOf(description, found.items)}`;
  if (found.type === "object" || found.properties) return found.title ?? "object";
  return Array.isArray(found.type) ? found.type.join(" or ") : found.type ?? "anything";
}
