// The API reference: every operation of /openapi.json, in a form one can read and try.

import { openapi } from "../api.js";
import { el, put } from "../dom.js";
import { banner } from "../panel.js";
import { resolve } from "../schema.js";
import { themeToggle } from "../theme-toggle.js";
import { nameOf } from "../words.js";
import { propertiesTable, typeOf } from "./properties.js";
import { tryForm } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const main = document.getElementById("main");

function operationsOf(description) {
  return Object.entries(description.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, ...methods[method] })));
}

function groupsOf(operations) {
  const groups = new Map();
  for (const operation of operations) {
    const tag = operation.tags?.[0] ?? "other";
    groups.set(tag, [...(groups.get(tag) ?? []), operation]);
  }
  return [...groups];
}

function idOf({ method, path }) {
  return `${method}${path.replace(/[^A-Za-z0-9]+/g, "-")}`;
}

function signature({ method, path }) {
  return [el("span", { class: `verb verb--${method}` }, method.toUpperCase()), el("code", { class: "path" }, path)];
}

function section(title, ...content) {
  return el("section", { class: "docs__part" }, el("h4", {}, title), content);
}

function article(description, operation) {
  const parameters = (operation.parameters ?? []).map((each) => resolve(description, each));
  const about = operation.description ?? operation.summary ?? "";
  return el("article", { class: "operation", id: idOf(operation) },
    el("h3", { class: "operation__title" }, signature(operation)),
    about.split("\n\n").map((text) => el("p", {}, text)),
    parameters.length > 0 && section("Parameters", parametersTable(description, parameters)),
    operation.requestBody && bodySection(description, operation),
    section("Answers", answers(description, operation)),
    tryForm(description, operation, parameters));
}

function parametersTable(description, parameters) {
  const properties = Object.fromEntries(parameters.map((each) => [each.name, { ...each.schema, description: each.description }]));
  const required = parameters.filter((each) => each.required).map((each) => each.name);
  return propertiesTable(description, { properties, required });
}

function bodySection(description, operation) {
  const content = Object.entries(operation.requestBody.content ?? {});
  return section("Body", content.map(([type, { schema }]) => [
    el("p", { class: "docs__type" }, el("code", {}, type), " ", typeOf(description, schema)),
    propertiesTable(description, resolve(description, schema)),
  ]));
}

function answers(description, operation) {
  return el("div", { class: "answers" }, Object.entries(operation.responses ?? {}).map(([status, given]) => {
    const answer = resolve(description, given);
    const [type, media] = Object.entries(answer.content ?? {})[0] ?? [];
    const title = el("span", {}, el("strong", {}, status), ` ${answer.description ?? ""} `, type && el("code", {}, type));
    if (!media?.schema) return el("p", { class: "answers__plain" }, title);
    return el("details", {}, el("summary", {}, title), propertiesTable(description, resolve(description, media.schema)));
  }));
}

function show(description) {
  const groups = groupsOf(operationsOf(description));
  const { title, version, summary = "", description: about = "" } = description.info;
  put(document.getElementById("nav-list"), groups.map(([tag, operations]) => [
    el("p", { class: "nav__title", "aria-hidden": "true" }, nameOf(tag)),
    el("ul", { "aria-label": nameOf(tag) }, operations.map((operation) => el("li", {},
      el("a", { class: "nav__link", href: `#${idOf(operation)}` }, el("span", {}, operation.path.split("/").pop()), el("span", { class: "verb verb--small" }, operation.method))))),
  ]));
  put(main,
    el("header", { class: "view__header" }, el("h1", {}, `${title} API `, el("small", { class: "docs__version" }, version)),
      [summary, ...about.split("\n\n")].filter(Boolean).map((text) => el("p", { class: "view__about" }, text))),
    groups.map(([tag, operations]) => el("section", {}, el("h2", { class: "docs__tag" }, nameOf(tag)),
      operations.map((operation) => article(description, operation)))));
  main.removeAttribute("aria-busy");
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

themeToggle(document.getElementById("theme"));
openapi().then(show, (error) => put(main, banner(error)));
