// Sends a request by hand and shows the answer as it came. Nothing is kept.

import { addressOf } from "../api.js";
import { el, freshId, put } from "../dom.js";
import { exampleOf, resolve } from "../schema.js";

/** A form that opens below an operation. */
export function tryForm(description, operation, parameters) {
  const output = el("div", { class: "try__answer", role: "status" });
  const inputs = parameters.filter((each) => each.in === "query").map(parameterInput);
  const body = bodyInput(description, operation);
  const form = el("form", { class: "try__form", autocomplete: "off", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    send(operation, inputs, body, output);
  } },
  inputs.map((each) => each.element), body?.element,
  el("button", { type: "submit", class: "button button--main" }, "Send"));
  return el("details", { class: "try" }, el("summary", {}, "Try it"), form, output);
}

function parameterInput(parameter) {
  const id = freshId("parameter");
  const input = el("input", { id, class: "box box--framed", type: "text", placeholder: String(parameter.schema?.default ?? "") });
  return { name: parameter.name, read: () => input.value.trim(), element: el("div", { class: "try__row" }, el("label", { for: id }, el("code", {}, parameter.name)), input) };
}

function bodyInput(description, operation) {
  const content = operation.requestBody?.content ?? {};
  if (content["multipart/form-data"]) return fileInput();
  const schema = content["application/json"]?.schema;
  return schema ? textInput(exampleOf(description, resolve(description, schema))) : null;
}

function fileInput() {
  const id = freshId("file");
  const input = el("input", { id, type: "file" });
  return {
    element: el("div", { class: "try__row" }, el("label", { for: id }, "Part ", el("code", {}, "image")), input),
    fill: (request) => {
      request.body = new FormData();
      if (input.files[0]) request.body.append("image", input.files[0], "image");
    },
  };
}

function textInput(example) {
  const id = freshId("body");
  const area = el("textarea", { id, class: "try__body", rows: 12, spellcheck: "false" });
  area.value = JSON.stringify(example, null, 2);
  return {
    element: el("div", { class: "try__row" }, el("label", { for: id }, "Body (JSON)"), area),
    fill: (request) => {
      request.body = area.value;
      request.headers["Content-Type"] = "application/json";
    },
  };
}

async function send(operation, inputs, body, output) {
  const request = { method: operation.method.toUpperCase(), headers: {}, cache: "no-store" };
  body?.fill(request);
  const query = new URLSearchParams(inputs.map((each) => [each.name, each.read()]).filter(([, value]) => value)).toString();
  put(output, el("p", {}, "Waiting for the answer …"));
  const started = performance.now();
  try {
    const answer = await fetch(addressOf(query ? `${operation.path}?${query}` : operation.path), request);
    const text = await answer.text();
    const facts = `${answer.status} in ${Math.round(performance.now() - started)} ms, request ${answer.headers.get("x-request-id") ?? "?"}`;
    put(output, el("p", { class: answer.ok ? "try__status" : "try__status try__status--bad", "data-status": answer.status }, facts), el("pre", { class: "try__text", tabindex: "0" }, pretty(text)));
  } catch {
    put(output, el("p", { class: "try__status try__status--bad" }, "The server cannot be reached."));
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
