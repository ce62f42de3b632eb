// Under every answer: where it came from.

import { el } from "./dom.js";
import { nameOf, number } from "./words.js";

/** Models with version and digest, time, request id, the disclaimer, and a button that prints. */
export function provenance(answer) {
  const used = [answer.model].flat();
  return el("footer", { class: "provenance" },
    el("dl", { class: "provenance__facts" },
      used.map((model) => fact(used.length > 1 ? `Model: ${nameOf(model.name)}` : "Model",
        [used.length > 1 ? "" : `${nameOf(model.name)} `, el("code", {}, model.version)],
        `SHA-256 ${model.sha256}`)),
      fact("SHA-256", used.map((model) => el("code", { class: "digest", title: model.sha256 }, `${model.sha256.slice(0, 16)}… `))),
      fact("Inference", `${number(answer.inference_ms, 1)} ms`),
      fact("Request", el("code", {}, answer.request_id))),
    el("p", { class: "provenance__disclaimer" }, answer.disclaimer),
    el("button", { type: "button", class: "button button--quiet no-print", onclick: () => window.print() }, "Print"));
}

function fact(name, value, title = null) {
  return el("div", { class: "fact", title }, el("dt", {}, name), el("dd", {}, value));
}
