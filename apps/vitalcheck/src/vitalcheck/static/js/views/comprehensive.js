// Several forms at once: each risk can be taken in or left out.

import { el, freshId } from "../dom.js";
import { createFieldset } from "../fieldset.js";
import { provenance } from "../meta.js";
import { createPanel } from "../panel.js";
import { bodyOf, exampleOf, fieldsOf } from "../schema.js";
import { nameOf } from "../words.js";
import { createForm, viewHeader } from "./frame.js";

/** The view of an assessment whose body has one object for each risk. */
export function comprehensiveView(entry, { document, states, titles }) {
  const schema = bodyOf(document, "post", entry.path);
  const panel = createPanel(`Take in one risk or more, fill in their forms, and choose “${entry.action}”.`);
  const parts = fieldsOf(document, schema).map((field) => createPart(document, field, titles, panel.markStale));
  const units = Object.fromEntries(parts.map((part) => [part.name, part.units]));
  const form = createForm({
    action: entry.action,
    children: parts.map((part) => part.element),
    read: () => readAll(parts),
    show: (errors) => showAll(parts, errors),
    clearErrors: () => parts.forEach((part) => part.fieldset.clearErrors()),
    onExample: () => { writeAll(parts, exampleOf(document, schema)); panel.markStale(); },
    onClear: () => { writeAll(parts, {}); panel.empty(); },
    onProblem: panel.refused,
    send: (value) => panel.run(entry.path, { method: "POST", json: value }, (answer) => [
      entry.show(answer.data, {
        units, titles, bounds: (name) => states.boundsOf(name), reference: (name) => states.cardOf(name).reference_choice,
      }),
      provenance(answer),
    ]),
  });
  return el("div", { class: "view" }, viewHeader(document, entry, states),
    el("div", { class: "view__columns" }, form.element, panel.element));
}

function createPart(document, field, titles, onChange) {
  const fieldset = createFieldset(document, field.schema, { prefix: `${field.name}.`, onChange });
  const id = freshId("take-in");
  const box = el("input", { type: "checkbox", id, class: "switch", checked: true, onchange: toggle });
  const title = titles[field.name] ?? nameOf(field.name);
  const body = el("div", { class: "part__body" }, fieldset.elements);
  const element = el("fieldset", { class: "part", "data-part": field.name },
    el("legend", { class: "visually-hidden" }, title),
    el("div", { class: "part__top" }, box, el("label", { class: "part__title", for: id }, title)), body);

  function toggle() {
    body.hidden = !box.checked;
    onChange();
  }

  return {
    name: field.name, element, fieldset,
    units: Object.fromEntries(fieldset.fields.map((each) => [each.name, each.unit])),
    isTaken: () => box.checked,
    take(isTaken) {
      box.checked = isTaken;
      body.hidden = !isTaken;
    },
  };
}

function readAll(parts) {
  const taken = parts.filter((part) => part.isTaken());
  const read = taken.map((part) => ({ name: part.name, ...part.fieldset.read() }));
  return {
    value: Object.fromEntries(read.map(({ name, value }) => [name, value])),
    wrong: read.flatMap(({ wrong }) => wrong),
  };
}

function showAll(parts, errors) {
  let left = errors;
  const failed = [];
  for (const part of parts) {
    const shown = part.fieldset.show(left);
    failed.push(...shown.failed);
    left = shown.left;
  }
  return { failed, left };
}

function writeAll(parts, values) {
  for (const part of parts) {
    part.fieldset.write(values[part.name] ?? {});
    part.take(true);
  }
}
