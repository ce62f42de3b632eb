// Every model of this server: version, digest, state, what its card says.

import { el, put } from "../dom.js";
import { outline } from "../outline.js";
import { bytes, nameOf, number } from "../words.js";
import { viewHeader } from "./frame.js";

/** The view of the models; it follows their states. */
export function modelsView(entry, { document, states }) {
  const list = el("div", { class: "models" });
  const refresh = () => put(list, states.all.length
    ? states.all.map(modelCard)
    : el("p", { class: "answer__note" }, "The server has not told its models yet."));
  states.addEventListener("change", refresh);
  refresh();
  return el("div", { class: "view view--wide" }, viewHeader(document, entry, states), list);
}

function modelCard(model) {
  const state = model.state.toLowerCase();
  const facts = [
    ["Kind", model.kind], ["Version", el("code", {}, model.version || "—")],
    ["Loaded in", `${number(model.load_seconds ?? 0, 2)} s`],
    ["On disk", bytes(model.bytes_on_disk ?? 0)], ["In memory", model.bytes_in_memory ? bytes(model.bytes_in_memory) : "too little to measure"],
    ["SHA-256", el("code", { class: "digest" }, model.sha256 || "—")],
  ];
  return el("article", { class: "model", "data-model": model.name },
    el("header", { class: "model__top" }, el("h2", { class: "model__name" }, nameOf(model.name)),
      el("span", { class: `badge badge--${state}` }, nameOf(state))),
    el("dl", { class: "model__facts" }, facts.map(([name, value]) => el("div", { class: "fact" }, el("dt", {}, name), el("dd", {}, value)))),
    model.card && cardDetails(model.card));
}

/** The card, written out only when it is opened. */
function cardDetails(card) {
  const details = el("details", { class: "model__card" }, el("summary", {}, "Model card"));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(outline(card));
  });
  return details;
}
