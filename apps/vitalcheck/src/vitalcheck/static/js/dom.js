// Elements from plain values. Text is always text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: `el("p", {class: "hint", onclick: f}, "text", child)`. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replace everything in `node`. */
export function put(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

/** Text for screen readers only. */
export function hidden(text) {
  return el("span", { class: "visually-hidden" }, text);
}

let count = 0;

/** An id that no other element of this page has. */
export function freshId(stem) {
  count += 1;
  return `${stem}-${count}`;
}

let isPressed = false;
addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => { isPressed = false; }, true);

/** Run now, or once the pointer is released: what moves under a pressed pointer is not clicked. */
export function whenReleased(run) {
  if (!isPressed) run();
  else addEventListener("pointerup", () => setTimeout(run), { once: true });
}

/** Move the focus to something that is no control, without leaving it in the tab order. */
export function focusOn(node) {
  node.setAttribute("tabindex", "-1");
  node.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  node.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}
