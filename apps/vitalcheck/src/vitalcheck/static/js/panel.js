// The answer's side of a view: empty, busy, waiting for a model, a problem, or an answer.

import { ask, Problem } from "./api.js";
import { el, focusOn, put } from "./dom.js";

const MOST_TRIES = 60;

/** A result panel. `run(send, show)` asks, waits for models that are loading, and shows. */
export function createPanel(emptyText, title = "Answer") {
  const heading = el("h2", { class: "panel__title" }, title);
  const content = el("div", { class: "panel__content" });
  const stale = el("p", { class: "note note--stale", hidden: true }, "The form has changed since this answer.");
  const live = el("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const element = el("section", { class: "panel", "aria-label": title }, heading, stale, content, live);
  let running = null;

  function say(text) {
    live.textContent = text;
  }

  function empty() {
    running?.abort();
    put(content, el("div", { class: "panel__empty" }, el("p", {}, emptyText)));
    stale.hidden = true;
    element.dataset.state = "empty";
  }

  function busy(isBusy) {
    element.setAttribute("aria-busy", String(isBusy));
    element.classList.toggle("panel--busy", isBusy);
    if (isBusy) element.dataset.state = "busy";
  }

  /** Ask until there is an answer; true when one was shown. Throws a Problem that names fields. */
  async function run(path, options, show, { isQuiet = false } = {}) {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    busy(true);
    say("Asking the model");
    try {
      const answer = await withRetries(() => ask(path, { ...options, signal: mine.signal }), mine.signal, waiting);
      put(content, show(answer));
      stale.hidden = true;
      element.dataset.state = "answer";
      if (!isQuiet) {
        say("The answer is ready");
        focusOn(heading);
      }
      return true;
    } catch (error) {
      if (error.name === "AbortError" || mine.signal.aborted) return false;
      if (!(error instanceof Problem)) throw error;
      if (error.errors.length > 0) throw error;
      problem(error);
      return false;
    } finally {
      if (running === mine) busy(false);
    }
  }

  function waiting(error, seconds) {
    element.dataset.state = "waiting";
    const counter = el("span", { "aria-hidden": "true" }, `Trying again in ${seconds} s.`);
    const name = error.model ? `The ${error.model.replaceAll("_", " ")} model` : "A model";
    const title = error.isLoading ? `${name} is loading` : error.title;
    const stop = el("button", { type: "button", class: "button button--quiet", onclick: empty }, "Stop waiting");
    put(content, el("div", { class: "banner banner--wait" },
      el("p", { class: "banner__title" }, title), el("p", {}, counter), stop));
    say(`${title}. The page tries again by itself.`);
    return (left) => { counter.textContent = left > 0 ? `Trying again in ${left} s.` : "Trying again …"; };
  }

  function problem(error) {
    element.dataset.state = "problem";
    stale.hidden = true;
    put(content, banner(error));
    say("");
  }

  /** The form tells what is wrong; here stands only that there is no answer, and the request id. */
  function refused(error) {
    element.dataset.state = "refused";
    stale.hidden = true;
    put(content, el("div", { class: "banner banner--refused" },
      el("p", { class: "banner__title" }, "No answer: some input was refused"),
      el("p", {}, "What is wrong stands beside the fields."), requestId(error)));
    say("");
  }

  empty();
  return {
    element, run, refused, empty,
    markStale: () => { stale.hidden = element.dataset.state !== "answer"; },
  };
}

/** Everything that is no error of one field: title, detail, request id. */
export function banner(error) {
  return el("div", { class: "banner banner--problem", role: "alert" },
    el("p", { class: "banner__title" }, error.title),
    error.detail && error.detail !== error.title && el("p", {}, error.detail),
    requestId(error));
}

function requestId(error) {
  return error.requestId && el("p", { class: "banner__id" }, "Request ", el("code", {}, error.requestId));
}

async function withRetries(send, signal, waiting) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      const isPassing = error instanceof Problem && error.status === 503 && error.retryAfter !== null;
      if (!isPassing || tries >= MOST_TRIES) throw error;
      await countDown(error.retryAfter, waiting(error, error.retryAfter), signal);
    }
  }
}

async function countDown(seconds, tell, signal) {
  for (let left = seconds; left > 0; left -= 1) {
    tell(left);
    await pause(1000, signal);
  }
  tell(0);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    }, { once: true });
  });
}
