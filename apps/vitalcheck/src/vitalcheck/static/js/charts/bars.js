// Plain horizontal bars.

import { el, svg } from "../dom.js";

/** A list of bars for shares from 0 to 1: [{name, label, share, text, isFirst}]. */
export function shareBars(rows, caption) {
  return el("ul", { class: "shares", "aria-label": caption }, rows.map((row) =>
    el("li", { class: row.isFirst ? "share share--first" : "share", "data-name": row.name },
      el("span", { class: "share__label" }, row.label),
      el("span", { class: "share__text" }, row.text),
      bar(row.share, 12))));
}

/** One bar that fills `share` of its width. */
export function bar(share, height = 8) {
  const width = Math.min(Math.max(share, 0), 1) * 100;
  return svg("svg", { class: "plain-bar", width: "100%", height, "aria-hidden": "true" },
    svg("rect", { class: "track", x: 0, width: "100%", y: 0, height, rx: height / 2 }),
    width > 0 && svg("rect", { class: "plain-bar__fill", x: 0, width: `${width}%`, y: 0, height, rx: height / 2, "data-share": share }));
}
