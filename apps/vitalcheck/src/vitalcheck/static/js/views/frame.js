// What all views share: heading, description, the models' state, and a form with its messages.

import { Problem } from "../api.js";
import { el, freshId, put } from "../dom.js";
import { operation } from "../schema.js";
import { nameOf } from "../words.js";

/** A view's heading with the API's own description and the state of its models. */
export function viewHeader(document, entry, states) {
  const about = operation(document, entry.method ?? "post", entry.path);
  const text = (about.description ?? about.summary ?? "").split("\n\n")[0];
  const badges = el("p", { class: "badges", role: "status" });
  const limits = el("details", { class: "more", hidden: true });
  const refresh = () => {
    put(badges, entry.models.map((name) => badge(name, states, entry.models.length > 1)));
    const known = entry.models.flatMap((name) => states.cardOf(name).known_limits ?? []);
    limits.hidden = known.length === 0;
    put(limits, el("summary", {}, "Known limits"), el("ul", { class: "more__list" }, [...new Set(known)].map((text) => el("li", {}, text))));
  };
  states.addEventListener("change", refresh);
  refresh();
  return el("header", { class: "view__header" },
    el("h1", { class: "view__title", tabindex: "-1" }, entry.title),
    el("p", { class: "view__about" }, text), entry.models.length > 0 && el("div", { class: "view__facts" }, badges, limits));
}

const STATE_WORDS = {
  ready: "Model ready", loading: "Model is loading", pending: "Model waits to be loaded",
  failed: "Model could not be loaded", unknown: "Model state unknown", draining: "Model is being replaced",
};

function badge(name, states, isNamed) {
  const state = states.stateOf(name);
  const words = STATE_WORDS[state] ?? `Model is ${state}`;
  return el("span", { class: `badge badge--${state}`, "data-model": name, "data-state": state },
    isNamed ? words.replace("Model", nameOf(name)) : words);
}

/**
 * A form around fieldsets. `read()` gives {value, wrong}; `send(value)` does the asking and throws
 * a Problem for a refusal; `show(errors)` puts errors beside their fields.
 */
export function createForm({ title = "Input", children, action, onExample, onClear, read, send, show, clearErrors, onProblem }) {
  const message = el("p", { class: "form__message", id: freshId("message"), role: "alert", hidden: true });
  const submit = el("button", { type: "submit", class: "button button--main" }, action);
  const form = el("form", { class: "form", novalidate: true, autocomplete: "off", "aria-label": action, onsubmit: submitted },
    el("div", { class: "form__top" },
      el("h2", { class: "form__title" }, title),
      onExample && el("button", { type: "button", class: "button button--small", onclick: example }, "Example")),
    children, message,
    el("div", { class: "form__actions" }, submit,
      el("button", { type: "button", class: "button button--quiet", onclick: clear }, "Clear")));

  function tell(text) {
    message.textContent = text;
    message.hidden = !text;
  }

  function example() {
    tell("");
    onExample();
  }

  function clear() {
    tell("");
    onClear();
  }

  function refuse(errors) {
    const { failed, left } = show(errors);
    const rest = left.map((error) => error.message).filter(Boolean);
    const count = failed.length === 1 ? "One field needs" : `${failed.length} fields need`;
    tell([failed.length ? `${count} attention.` : "", ...rest].filter(Boolean).join(" ") || "The input was refused.");
    failed[0]?.focus();
  }

  async function submitted(event) {
    event.preventDefault();
    clearErrors();
    tell("");
    const { value, wrong } = read();
    if (wrong.length) return refuse(wrong);
    submit.setAttribute("aria-disabled", "true");
    try {
      await send(value);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const named = error.errors.map(({ field, rule, message: text }) => ({
        field: pathOf(field), rule: String(rule ?? ""), message: String(text ?? ""),
      }));
      if (named.length) refuse(named);
      onProblem(error);
    } finally {
      submit.removeAttribute("aria-disabled");
    }
    return undefined;
  }

  return { element: form, tell };
}

/** "body.heart.age" or ["body", "heart", "age"] -> "heart.age". */
function pathOf(field) {
  const path = Array.isArray(field) ? field.join(".") : String(field ?? "");
  return path.replace(/^body\.?/, "").replace(/^\$\.?/, "");
}
