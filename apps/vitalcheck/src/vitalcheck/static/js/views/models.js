// Every model of this server: version, digest, state, what its card says.

import { el, put } from "../dom.js";
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
    ["SHA-256", el("code", { class: "digest" }, model.sha256 || "—")],
    ["Loaded in", `${number(model.load_seconds ?? 0, 2)} s`],
    ["On disk", bytes(model.bytes_on_disk ?? 0)], ["In memory", bytes(model.bytes_in_memory ?? 0)],
  ];
  return el("article", { class: "model", "data-model": model.name },
    el("header", { class: "model__top" }, el("h2", { class: "model__name" }, nameOf(model.name)),
      el("span", { class: `badge badge--${state}` }, nameOf(state))),
    el("dl", { class: "model__facts" }, facts.map(([name, value]) => el("div", { class: "fact" }, el("dt", {}, name), el("dd", {}, value)))),
    model.card && el("details", { class: "model__card" }, el("summary", {}, "Model card"), outline(model.card)));
}

const DEPTH = 4;

/** Plain JSON as nested lists; long lists of numbers in one line. */
function outline(value, depth = 0) {
  if (value === null || typeof value !== "object") return el("span", {}, text(value));
  if (Array.isArray(value)) return series(value, depth);
  if (depth >= DEPTH) return el("span", {}, JSON.stringify(value));
  return el("dl", { class: "outline" }, Object.entries(value).map(([name, part]) =>
    el("div", { class: "outline__item" }, el("dt", {}, nameOf(name)), el("dd", {}, outline(part, depth + 1)))));
}

function series(values, depth) {
  const isPlain = values.every((each) => each === null || typeof each !== "object");
  const isShort = isPlain && values.every((each) => String(each).length < 30);
  if (isShort) return el("span", {}, values.map(text).join(", "));
  return el("ul", { class: "outline__list" }, values.map((each) => el("li", {}, outline(each, depth + 1))));
}

function text(value) {
  if (typeof value === "number") return number(value);
  return value === null ? "—" : String(value);
}
