// All fields of one object schema: reading, filling, and putting the server's errors beside them.

import { el } from "./dom.js";
import { createField, limitsOf } from "./fields.js";
import { fieldsOf, groupsOf } from "./schema.js";

/** A set of fields; `prefix` stands before their names in the server's errors ("diabetes."). */
export function createFieldset(document, schema, { prefix = "", onChange = () => {} } = {}) {
  const fields = fieldsOf(document, schema);
  const groups = groupsOf(fields).map((group) => ({
    ...group,
    parts: group.fields.map((field) => createField(field, { onChange })),
  }));
  const parts = groups.flatMap((group) => group.parts);

  return {
    elements: groups.map(groupElement),
    fields,
    /** The object to send, and the fields that hold no value of their kind. */
    read() {
      const value = {};
      const wrong = [];
      for (const part of parts) {
        try {
          const given = part.read();
          if (given !== undefined) value[part.field.name] = given;
        } catch (mistake) {
          wrong.push({ field: prefix + part.field.name, rule: "in_the_page", message: mistake.message });
        }
      }
      return { value, wrong };
    },
    write(values) {
      for (const part of parts) {
        part.clear();
        part.write(values[part.field.name]);
      }
    },
    clearErrors: () => parts.forEach((part) => part.clear()),
    /** Show the errors of these fields; returns the failing parts in the form's order and the rest. */
    show(errors) {
      const left = [];
      const failed = new Set();
      for (const error of errors) {
        const part = parts.find((each) => prefix + each.field.name === error.field);
        if (!part) left.push(error);
        else if (!failed.has(part)) {
          part.fail(messageOf(error, part.field), error.rule);
          failed.add(part);
        }
      }
      return { failed: parts.filter((part) => failed.has(part)), left };
    },
  };
}

function groupElement(group) {
  const body = el("div", { class: group.isList ? "fields fields--list" : "fields" },
    group.parts.map((part) => part.element));
  if (!group.title) return body;
  return el("fieldset", { class: "group" }, el("legend", { class: "group__title" }, group.title), body);
}

/** A rule the schema states, in the page's words; otherwise what the server said. */
function messageOf({ rule, message }, field) {
  if (rule === "missing") return field.kind === "number" || field.kind === "integer" ? "Enter a value" : "Choose one";
  if (rule === "greater_than_equal" || rule === "less_than_equal") return limitsOf(field);
  const text = message || "This value was refused";
  return text.charAt(0).toUpperCase() + text.slice(1);
}
