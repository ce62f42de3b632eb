// From the OpenAPI document to the fields of a form. Nothing about a field is known anywhere else.

import { nameOf, number } from "./words.js";

/** Follow `$ref`s inside the document. */
export function resolve(document, schema) {
  let found = schema;
  while (found?.$ref) {
    const path = found.$ref.replace(/^#\//, "").split("/");
    found = path.reduce((node, key) => node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
  }
  return found ?? {};
}

/** The operation at `path`, e.g. ("post", "/api/v1/risk/heart"); throws when there is none. */
export function operation(document, method, path) {
  const found = document.paths?.[path]?.[method];
  if (!found) throw new Error(`The API has no ${method.toUpperCase()} ${path}`);
  return found;
}

/** The schema of an operation's JSON body. */
export function bodyOf(document, method, path) {
  const content = operation(document, method, path).requestBody?.content ?? {};
  return resolve(document, content["application/json"]?.schema);
}

/** The query parameters of an operation, as an object schema. */
export function queryOf(document, method, path) {
  const given = (operation(document, method, path).parameters ?? []).map((each) => resolve(document, each));
  const query = given.filter((each) => each.in === "query");
  const properties = query.map((each) => [each.name, { description: each.description, ...resolve(document, each.schema) }]);
  return { properties: Object.fromEntries(properties), required: query.filter((each) => each.required).map((each) => each.name) };
}

/** The example of a whole body, else one put together from the fields' examples. */
export function exampleOf(document, schema) {
  if (schema.examples?.length) return schema.examples[0];
  return Object.fromEntries(fieldsOf(document, schema).map((field) => [field.name, field.example]));
}

/** What the document says about the parts of an operation's answer: {lifestyle_score: "…"}. */
export function answerNotes(document, method, path) {
  const content = operation(document, method, path).responses?.["200"]?.content ?? {};
  const envelope = resolve(document, content["application/json"]?.schema);
  const data = resolve(document, envelope.properties?.data);
  return Object.fromEntries(Object.entries(data.properties ?? {}).map(([name, part]) => [name, part.description ?? ""]));
}

/** The fields of an object schema, in the document's order. */
export function fieldsOf(document, schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, property]) =>
    fieldOf(document, name, property, required.has(name)),
  );
}

function fieldOf(document, name, property, isRequired) {
  const outer = resolve(document, property);
  const variants = (outer.anyOf ?? outer.oneOf ?? [outer]).map((each) => resolve(document, each));
  const inner = variants.find((each) => each.type !== "null") ?? {};
  const isNullable = variants.some((each) => each.type === "null");
  const field = {
    name,
    label: nameOf(name),
    kind: kindOf(inner),
    unit: outer.unit ?? inner.unit ?? "",
    low: inner.minimum ?? null,
    high: inner.maximum ?? null,
    choices: inner.enum ?? (inner.const === undefined ? [] : [inner.const]),
    isOptional: isNullable || !isRequired,
    empty: isNullable ? null : undefined,
    example: outer.examples?.[0] ?? inner.examples?.[0] ?? outer.default ?? null,
    schema: inner,
  };
  return { ...field, hint: hintOf(field, outer.description ?? inner.description ?? "") };
}

function kindOf(schema) {
  if (schema.enum || schema.const !== undefined) return "choice";
  return { number: "number", integer: "integer", boolean: "boolean", object: "object" }[schema.type] ?? "text";
}

function hintOf(field, description) {
  const text = description
    .replace(/[;,] null or absent: not known/i, "")
    .replace(/\.\s*$/, "")
    .replace(field.unit ? `, in ${field.unit}` : "\0", "");
  const plain = text.replace(/^Ever told: /i, "").toLowerCase();
  return plain === field.label.toLowerCase() ? "" : text.charAt(0).toUpperCase() + text.slice(1);
}

/** The allowed range in words: "40 to 500", "0 or more", "". */
export function rangeOf({ low, high }) {
  if (low !== null && high !== null) return `${number(low)} to ${number(high)}`;
  if (low !== null) return `${number(low)} or more`;
  return high === null ? "" : `up to ${number(high)}`;
}

const GROUPS = [
  ["Mean of all cells", /^mean_/],
  ["Standard error", /_error$/],
  ["Worst: mean of the three largest", /^worst_/],
];

/** Fields in groups: [{title, fields, isList}]; what no rule knows comes first, without a title. */
export function groupsOf(fields) {
  const groups = [{ title: "", fields: [] }, ...GROUPS.map(([title]) => ({ title, fields: [] }))];
  const told = { title: "Ever told by a clinician", fields: [], isList: true };
  const areFlagsMany = fields.filter((field) => field.kind === "boolean").length > 6;
  for (const field of fields) {
    const rule = GROUPS.findIndex(([, pattern]) => pattern.test(field.name));
    const isTold = areFlagsMany && field.kind === "boolean";
    (isTold ? told : groups[rule + 1]).fields.push(field);
  }
  return [...groups, told].filter((group) => group.fields.length > 0);
}
