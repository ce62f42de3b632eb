// Starts the page: navigation, views made when first opened, the models' states.

import { openapi } from "./api.js";
import { ENTRIES, GROUPS } from "./assessments.js";
import { el, hidden, put } from "./dom.js";
import { ModelStates } from "./models.js";
import { banner } from "./panel.js";
import { themeToggle } from "./theme-toggle.js";
import { overviewView } from "./views/overview.js";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const menu = document.getElementById("menu");
const summary = document.getElementById("models-state");
const states = new ModelStates();
const views = new Map();
const titles = Object.fromEntries(ENTRIES.filter((entry) => entry.models.length === 1).map((entry) => [entry.models[0], entry.title]));

function link(entry) {
  const mark = el("span", { class: "nav__mark", "data-nav-models": entry.models.join(" ") });
  return el("li", {}, el("a", { class: "nav__link", href: `#/${entry.id}`, "data-id": entry.id }, entry.title, mark));
}

function buildNavigation() {
  put(document.getElementById("nav-list"),
    el("ul", { class: "nav__group" }, link({ id: "", title: "Overview", models: [] })),
    GROUPS.map((group) => [el("p", { class: "nav__title", "aria-hidden": "true" }, group.title),
      el("ul", { class: "nav__group", "aria-label": group.title }, group.entries.map(link))]),
    el("ul", { class: "nav__group" }, el("li", {}, el("a", { class: "nav__link nav__link--out", href: "docs" }, "API reference"))));
}

function idOfAddress() {
  const id = location.hash.replace(/^#\/?/, "");
  return ENTRIES.some((entry) => entry.id === id) ? id : "";
}

function viewOf(id, document) {
  if (!views.has(id)) {
    const entry = ENTRIES.find((each) => each.id === id);
    const context = { document, states, titles };
    const view = entry ? entry.view(entry, context) : overviewView(GROUPS, context);
    view.dataset.view = id || "overview";
    views.set(id, view);
    main.append(view);
  }
  return views.get(id);
}

async function open({ isFirst = false } = {}) {
  const id = idOfAddress();
  let shown;
  try {
    shown = viewOf(id, await openapi());
  } catch (error) {
    put(main, banner(error), el("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again"));
    return;
  }
  main.removeAttribute("aria-busy");
  document.getElementById("starting")?.remove();
  for (const view of views.values()) view.hidden = view !== shown;
  for (const each of nav.querySelectorAll(".nav__link")) {
    if (each.dataset.id === id) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const heading = shown.querySelector("h1");
  document.title = id ? `${heading.textContent} – VitalCheck` : "VitalCheck";
  closeMenu();
  if (!isFirst) {
    window.scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
}

function closeMenu() {
  menu.setAttribute("aria-expanded", "false");
  nav.classList.remove("nav--open");
}

function toggleMenu() {
  const isOpen = menu.getAttribute("aria-expanded") !== "true";
  menu.setAttribute("aria-expanded", String(isOpen));
  nav.classList.toggle("nav--open", isOpen);
  if (isOpen) nav.querySelector("[aria-current], .nav__link").focus();
}

function showStates() {
  const all = states.all;
  const ready = all.filter((model) => model.state.toLowerCase() === "ready").length;
  const isWhole = all.length > 0 && ready === all.length;
  summary.className = `badge badge--${isWhole ? "ready" : all.length ? "loading" : "unknown"}`;
  put(summary, all.length
    ? el("span", {}, `${ready} of ${all.length} `, el("span", { class: "top__words" }, "models "), "ready")
    : el("span", {}, el("span", { class: "top__words" }, "Models’ "), "state unknown"));
  for (const mark of nav.querySelectorAll("[data-nav-models]")) {
    const waiting = mark.dataset.navModels.split(" ").filter((name) => name && !["ready", "unknown"].includes(states.stateOf(name)));
    put(mark, waiting.length > 0 && hidden(` (${states.stateOf(waiting[0])})`));
    mark.classList.toggle("nav__mark--waiting", waiting.length > 0);
  }
}

themeToggle(document.getElementById("theme"));
buildNavigation();
states.addEventListener("change", showStates);
menu.addEventListener("click", toggleMenu);
nav.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && nav.classList.contains("nav--open")) {
    closeMenu();
    menu.focus();
  }
});
window.addEventListener("hashchange", () => open());
states.refresh();
open({ isFirst: true });
