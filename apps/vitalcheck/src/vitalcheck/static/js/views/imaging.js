// A picture from a file: chosen, dropped, or the example drawn here; shown before it is sent.

import { el, freshId, hidden, put } from "../dom.js";
import { provenance } from "../meta.js";
import { createPanel } from "../panel.js";
import { createForm, viewHeader } from "./frame.js";

const PART = "image";
const SIDE = 320;
const TYPES = "image/png,image/jpeg,.png,.jpg,.jpeg";

/** The view that sends one picture. */
export function imagingView(entry, { document, states }) {
  const panel = createPanel("Choose a PNG or JPEG picture of one slice of a head MRI.");
  const picker = createPicker(panel.markStale);
  const form = createForm({
    action: entry.action,
    children: picker.element,
    onExample: async () => { picker.take(await drawnExample()); },
    onClear: () => { picker.take(null); panel.empty(); },
    read: () => picker.file
      ? { value: picker.file, wrong: [] }
      : { value: null, wrong: [{ field: PART, rule: "missing", message: "Choose a picture first" }] },
    show: (errors) => {
      const mine = errors.filter((error) => !error.field || [PART, "image_base64"].includes(error.field));
      if (mine.length) picker.fail(mine[0].message);
      return { failed: mine.length ? [picker] : [], left: errors.filter((error) => !mine.includes(error)) };
    },
    clearErrors: picker.clear,
    onProblem: panel.refused,
    send: (file) => panel.run(entry.path, { method: "POST", form: withoutName(file) }, (answer) => [
      entry.show(answer.data), provenance(answer),
    ]),
  });
  return el("div", { class: "view" }, viewHeader(document, entry, states),
    el("div", { class: "view__columns" }, form.element, panel.element));
}

/** The file as a form part. File names of scans often tell who was scanned: they stay here. */
function withoutName(file) {
  const form = new FormData();
  form.append(PART, file, "image");
  return form;
}

function createPicker(onChange) {
  const ids = { input: freshId("file"), hint: freshId("hint"), error: freshId("error") };
  const preview = el("canvas", { class: "drop__preview", width: SIDE, height: SIDE, hidden: true, role: "img", "aria-label": "Preview of the chosen picture" });
  const name = el("p", { class: "drop__name", role: "status" }, "No picture chosen");
  const error = el("p", { class: "field__error", id: ids.error, hidden: true });
  const input = el("input", { type: "file", id: ids.input, class: "drop__input", accept: TYPES, "aria-describedby": ids.hint });
  const zone = el("div", { class: "drop" }, preview,
    el("label", { class: "drop__label", for: ids.input }, el("span", { class: "drop__link" }, "Choose a picture"), el("span", { class: "drop__or" }, " or drop it here")),
    input, name);
  const picker = {
    file: null,
    element: el("div", { class: "field", "data-field": PART }, zone,
      el("p", { class: "field__hint", id: ids.hint }, "PNG or JPEG, at most 10 MiB and 25 megapixels. It is sent for this one answer; its name is not."), error),
    focus: () => input.focus(),
    fail(text) {
      error.textContent = text.charAt(0).toUpperCase() + text.slice(1);
      error.hidden = false;
      zone.classList.add("drop--wrong");
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", `${ids.hint} ${ids.error}`);
    },
    clear() {
      error.hidden = true;
      zone.classList.remove("drop--wrong");
      input.removeAttribute("aria-invalid");
      input.setAttribute("aria-describedby", ids.hint);
    },
    async take(file) {
      picker.clear();
      picker.file = file;
      if (!file) input.value = "";
      onChange();
      put(name, file ? ["Chosen: ", el("span", { class: "drop__file" }, file.name)] : "No picture chosen");
      preview.hidden = !(file && (await isDrawn(preview, file)));
      if (file && preview.hidden) name.append(hidden(". "), " (no preview: the browser cannot show this file)");
    },
  };
  input.addEventListener("change", () => picker.take(input.files[0] ?? null));
  listenForDrops(zone, picker);
  return picker;
}

function listenForDrops(zone, picker) {
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("drop--over");
    });
  }
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("drop--over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) picker.take(event.dataTransfer.files[0]);
  });
}

/** Draw the file onto the canvas, whole and centred; false when it is no picture. */
async function isDrawn(canvas, file) {
  try {
    const picture = await createImageBitmap(file);
    const scale = SIDE / Math.max(picture.width, picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    const pen = canvas.getContext("2d");
    pen.fillStyle = "black";
    pen.fillRect(0, 0, SIDE, SIDE);
    pen.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    picture.close();
    return true;
  } catch {
    return false;
  }
}

/** A drawing of a head with a bright spot: no one's scan, good enough to try the page. */
function drawnExample() {
  const canvas = el("canvas", { width: 256, height: 256 });
  const pen = canvas.getContext("2d");
  const oval = (x, y, wide, high, grey, blur = 0) => {
    pen.filter = `blur(${blur}px)`;
    pen.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
    pen.beginPath();
    pen.ellipse(x, y, wide, high, 0, 0, 2 * Math.PI);
    pen.fill();
  };
  oval(128, 128, 128, 128, 0);
  pen.fillRect(0, 0, 256, 256);
  oval(128, 130, 92, 112, 165, 2);
  oval(128, 130, 84, 104, 42, 2);
  oval(128, 130, 78, 98, 98, 3);
  oval(112, 120, 9, 26, 30, 2);
  oval(144, 120, 9, 26, 30, 2);
  oval(176, 96, 19, 17, 205, 4);
  return new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(new File([blob], "drawing.png", { type: "image/png" })), "image/png");
  });
}
