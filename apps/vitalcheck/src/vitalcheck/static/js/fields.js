// One field: its label, control, unit, range and error.

import { el, freshId, hidden, whenReleased } from "./dom.js";
import { rangeOf } from "./schema.js";
import { levelOf, number } from "./words.js";

const MOST_PILL_LETTERS = 16; // more are wider than the narrowest column
const NOT_KNOWN = "Not known";
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A field of a form.
 *
 * `read()` gives the value (null for not known, undefined for left out) or throws a `Mistake`;
 * `write(value)` fills it; `fail(message, rule)` and `clear()` show and take away its error.
 */
export function createField(field, { onChange }) {
  const ids = { control: freshId(field.name), hint: freshId("hint"), range: freshId("range"), error: freshId("error"), unit: freshId("unit") };
  const control = controlFor(field, ids);
  const error = el("p", { class: "field__error", id: ids.error, hidden: true });
  const element = wrap(field, control, error, ids);
  const described = [field.unit && ids.unit, rangeOf(field) && ids.range, field.hint && ids.hint].filter(Boolean);

  function fail(message, rule = "") {
    error.textContent = message;
    error.dataset.rule = rule;
    error.hidden = false;
    element.classList.add("field--wrong");
    control.target.setAttribute("aria-invalid", "true");
    describe([...described, ids.error]);
  }

  function clear() {
    error.hidden = true;
    error.textContent = "";
    element.classList.remove("field--wrong");
    control.target.removeAttribute("aria-invalid");
    describe(described);
  }

  function describe(names) {
    if (names.length) control.target.setAttribute("aria-describedby", names.join(" "));
    else control.target.removeAttribute("aria-describedby");
  }

  function check() {
    const complaint = complaintAbout(field, control.read);
    if (complaint && error.hidden) fail(complaint, "in_the_page");
  }

  element.addEventListener("input", () => { clear(); onChange(); });
  element.addEventListener("change", () => whenReleased(check));
  describe(described);
  return { field, element, read: control.read, write: control.write, focus: control.focus, fail, clear };
}

/** Something that is no value of its kind, found before anything is sent. */
export class Mistake extends Error {}

/** What is wrong with a value by the schema's own limits; the server has the last word. */
function complaintAbout(field, read) {
  let value;
  try {
    value = read();
  } catch (error) {
    return error.message;
  }
  if (typeof value !== "number") return "";
  return isOutside(field, value) ? limitsOf(field) : "";
}

function isOutside({ low, high }, value) {
  return (low !== null && value < low) || (high !== null && value > high);
}

/** The rule in words: "Must be 40 to 500 mg/dL". */
export function limitsOf(field) {
  return `Must be ${rangeOf(field)}${field.unit ? ` ${field.unit}` : ""}`;
}

function controlFor(field, ids) {
  if (field.kind === "boolean") return pills(field, ids, [[true, "Yes"], [false, "No"]]);
  if (field.kind !== "choice") return box(field, ids);
  const words = [...field.choices.map(levelOf), field.isOptional ? NOT_KNOWN : ""].join("");
  const isShort = words.length <= MOST_PILL_LETTERS;
  return isShort ? pills(field, ids, field.choices.map((each) => [each, levelOf(each)])) : list(field, ids);
}

/** A box for a number or a text. A text box, so that what was typed wrongly is not lost. */
function box(field, ids) {
  const isNumber = field.kind === "number" || field.kind === "integer";
  const input = el("input", {
    id: ids.control, type: "text", autocomplete: "off", spellcheck: "false", class: isNumber ? "box box--number" : "box",
    inputmode: { number: field.low < 0 ? "text" : "decimal", integer: "numeric" }[field.kind],
    placeholder: placeholderOf(field), "aria-required": !field.isOptional && "true",
  });
  const unit = field.unit && el("span", { class: "box__unit", id: ids.unit }, field.unit);
  return {
    element: el("div", { class: "box-frame" }, input, unit),
    target: input,
    focus: () => input.focus(),
    read: () => (isNumber ? toNumber(input.value, field) : input.value.trim() || undefined),
    write: (value) => { input.value = value === null || value === undefined ? "" : String(value); },
  };
}

function placeholderOf(field) {
  if (!field.isOptional) return "required";
  if (field.schema.default !== undefined) return String(field.schema.default);
  return field.kind === "text" ? "any" : "not known";
}

function toNumber(text, field) {
  const plain = text.trim().replace("−", "-");
  if (plain === "") return field.empty;
  const isComma = /^[+-]?\d+,\d+$/.test(plain) && !/^[+-]?\d{1,3},\d{3}$/.test(plain);
  const value = NUMBER.test(isComma ? plain.replace(",", ".") : plain) ? Number(plain.replace(",", ".")) : NaN;
  if (!Number.isFinite(value)) throw new Mistake(`Enter a number, for example ${number(field.example ?? 1)}`);
  if (field.kind === "integer" && !Number.isInteger(value)) throw new Mistake("Enter a whole number");
  return value;
}

function list(field, ids) {
  const empty = field.isOptional ? NOT_KNOWN : "Choose …";
  const options = field.choices.map((each) => el("option", { value: each }, levelOf(each)));
  const select = el("select", { id: ids.control, class: "list", "aria-required": !field.isOptional && "true" },
    el("option", { value: "" }, empty), options);
  return {
    element: select,
    target: select,
    focus: () => select.focus(),
    read: () => select.value || field.empty,
    write: (value) => { select.value = value ?? ""; },
  };
}

/** Radio buttons that look like one switch; with "Not known" where that is allowed. */
function pills(field, ids, choices) {
  const offered = field.isOptional ? [...choices, [null, NOT_KNOWN]] : choices;
  const radios = offered.map(([value, text]) => {
    const id = freshId(field.name);
    const radio = el("input", { type: "radio", class: "pill__radio", name: ids.control, id });
    radio.checked = value === null;
    return { value, radio, element: [radio, el("label", { class: "pill", for: id }, text)] };
  });
  const group = el("div", {
    id: ids.control, class: "pills", role: "radiogroup", "aria-required": !field.isOptional && "true",
  }, radios.map((each) => each.element));
  return {
    element: group,
    target: group,
    isGroup: true,
    focus: () => (radios.find((each) => each.radio.checked) ?? radios[0]).radio.focus(),
    read: () => radios.find((each) => each.radio.checked)?.value,
    write: (value) => {
      for (const each of radios) each.radio.checked = each.value === (value ?? null);
    },
  };
}

function wrap(field, control, error, ids) {
  const name = control.isGroup ? { id: `${ids.control}-label` } : { for: ids.control };
  if (control.isGroup) control.element.setAttribute("aria-labelledby", name.id);
  const range = rangeOf(field);
  const isMarked = control.isGroup && !field.isOptional;
  const top = el("div", { class: "field__top" },
    el(control.isGroup ? "span" : "label", { class: "field__label", ...name }, field.label),
    range && el("span", { class: "field__range", id: ids.range }, hidden("allowed: "), range),
    isMarked && el("span", { class: "field__range" }, "required"));
  const hint = field.hint && el("p", { class: "field__hint", id: ids.hint }, field.hint);
  return el("div", { class: `field field--${field.kind}`, "data-field": field.name },
    top, control.element, hint, error);
}
