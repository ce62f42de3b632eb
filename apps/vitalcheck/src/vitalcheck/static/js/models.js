// What the server says about its models, asked again while some are loading.

import { ask } from "./api.js";

const SOON = 2000;
const LATER = 15000;
const SETTLED = new Set(["ready", "failed"]);

/** The models by name, and who wants to know about changes. */
export class ModelStates extends EventTarget {
  #models = new Map();
  #timer = 0;
  #wait = SOON;

  /** All models as the API lists them. */
  get all() {
    return [...this.#models.values()];
  }

  get(name) {
    return this.#models.get(name);
  }

  /** The state of a model in lower case; "unknown" before the first answer. */
  stateOf(name) {
    return (this.#models.get(name)?.state ?? "unknown").toLowerCase();
  }

  /** The model's card; {} while it is not known. */
  cardOf(name) {
    return this.#models.get(name)?.card ?? {};
  }

  /** The bounds between the risk levels: the model card's, else the API's usual ones. */
  boundsOf(name) {
    const { moderate = 0.1, high = 0.3, critical = 0.6 } = this.cardOf(name).risk_levels ?? {};
    return [moderate, high, critical];
  }

  /** Ask now, then again until every model has settled. */
  async refresh() {
    clearTimeout(this.#timer);
    try {
      const answer = await ask("/api/v1/models");
      this.#models = new Map(answer.data.models.map((model) => [model.name, model]));
    } catch {
      this.#models = new Map();
    }
    this.dispatchEvent(new Event("change"));
    if (!this.#isSettled) this.#again();
  }

  get #isSettled() {
    return this.all.length > 0 && this.all.every((model) => SETTLED.has(model.state.toLowerCase()));
  }

  #again() {
    this.#timer = setTimeout(() => this.refresh(), this.#wait);
    this.#wait = Math.min(this.#wait * 1.3, LATER);
  }
}
