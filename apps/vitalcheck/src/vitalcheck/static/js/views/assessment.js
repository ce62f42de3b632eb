// A form, and beside it its answer.

import { el } from "../dom.js";
import { createFieldset } from "../fieldset.js";
import { provenance } from "../meta.js";
import { createPanel } from "../panel.js";
import { answerNotes, bodyOf, exampleOf } from "../schema.js";
import { createForm, viewHeader } from "./frame.js";

/** The view of an assessment with one body. */
export function assessmentView(entry, { document, states }) {
  const schema = bodyOf(document, "post", entry.path);
  const panel = createPanel(`Fill in the form, or take the example, and choose “${entry.action}”.`);
  const fieldset = createFieldset(document, schema, { onChange: panel.markStale });
  const units = Object.fromEntries(fieldset.fields.map((field) => [field.name, field.unit]));
  const form = createForm({
    action: entry.action,
    children: fieldset.elements,
    read: fieldset.read,
    show: fieldset.show,
    clearErrors: fieldset.clearErrors,
    onExample: () => { fieldset.write(exampleOf(document, schema)); panel.markStale(); },
    onClear: () => { fieldset.write({}); panel.empty(); },
    onProblem: panel.refused,
    send: (value) => panel.run(entry.path, { method: "POST", json: value }, (answer) => [
      entry.show(answer.data, {
        label: `${entry.title}: estimated probability`, units, given: value, notes: answerNotes(document, "post", entry.path),
        bounds: states.boundsOf(entry.models[0]), reference: states.cardOf(entry.models[0]).reference_choice,
      }),
      provenance(answer),
    ]),
  });
  return el("div", { class: "view" }, viewHeader(document, entry, states),
    el("div", { class: "view__columns" }, form.element, panel.element));
}
