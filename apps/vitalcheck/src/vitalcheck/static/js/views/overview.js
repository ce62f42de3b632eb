// The first view: everything there is, each with the API's own description.

import { el } from "../dom.js";
import { operation } from "../schema.js";

/** Cards that lead to the views. */
export function overviewView(groups, { document }) {
  return el("div", { class: "view view--wide" },
    el("header", { class: "view__header" },
      el("h1", { class: "view__title", tabindex: "-1" }, "Health risks, explained"),
      el("p", { class: "view__about view__about--large" },
        "Estimates by models that were loaded once and checked against their digests. Each comes with its reasons, its uncertainty, and where it came from.")),
    el("ul", { class: "cards" }, groups.flatMap((group) =>
      group.entries.map((entry) => el("li", {}, card(entry, group.title, document))))));
}

function card(entry, group, document) {
  const about = operation(document, entry.method ?? "post", entry.path);
  const text = (about.description ?? about.summary ?? "").split(/\n\n|\(/)[0].trim().replace(/[.;:,]$/, "");
  return el("a", { class: "card", href: `#/${entry.id}` },
    el("span", { class: "card__group" }, group), el("span", { class: "card__title" }, entry.title), el("span", { class: "card__text" }, text));
}
