// From an answer of the API to what the panel shows, one function for each kind of answer.

import { shareBars } from "./charts/bars.js";
import { gauge, LEVELS } from "./charts/gauge.js";
import { intervalBar, roundAxis } from "./charts/interval.js";
import { strip } from "./charts/strip.js";
import { waterfall } from "./charts/waterfall.js";
import { el } from "./dom.js";
import { dollars, levelOf, nameOf, number, ordinal, percent, tenths, valueOf } from "./words.js";

const points = (share) => `${tenths(share * 100)} pts`;
const years = (value) => `${tenths(value)} years`;

/** A risk: gauge, level, contributors, recommendations. */
export function risk(data, { label, bounds, units, reference }) {
  return el("div", { class: "answer" },
    el("div", { class: "answer__lead" },
      gauge({ probability: data.probability, level: data.risk_level, bounds, label }),
      levelChip(data.risk_level, bounds)),
    reasons(data, data.probability, { units, reference, write: (share) => percent(share), writeEffect: points, what: "probability" }),
    advice(data.recommendations));
}

/** A sleep risk: the same, with the score of the habits. */
export function sleep(data, context) {
  const score = data.lifestyle_score;
  const answer = risk(data, context);
  answer.children[0].after(el("section", { class: "answer__part" },
    el("h3", {}, "Lifestyle score"),
    el("p", { class: "score" }, el("strong", {}, number(score, 0)), " of 100"),
    strip({ value: score, label: "Lifestyle score", text: `${number(score, 0)} of 100`, isPercentile: false }),
    context.notes.lifestyle_score && el("details", { class: "more" }, el("summary", {}, "How is it computed?"), el("p", {}, context.notes.lifestyle_score))));
  return answer;
}

/** Several risks, the highest first. */
export function comprehensive(data, { bounds, units, titles, reference }) {
  const order = Object.entries(data.profile).sort(([, a], [, b]) => LEVELS.indexOf(b.risk_level) - LEVELS.indexOf(a.risk_level) || b.probability - a.probability);
  return el("div", { class: "answer" },
    el("p", { class: "overall" }, "Highest level: ", chip(data.overall)),
    order.map(([name, part]) => el("section", { class: "answer__risk", "data-model": name },
      el("h3", {}, titles[name] ?? nameOf(name)),
      risk(part, { label: `${titles[name] ?? nameOf(name)}: estimated probability`, bounds: bounds(name), units: units[name], reference: reference(name) }))));
}

/** A country's life expectancy with its interval. */
export function lifeExpectancy(data, { units, reference }) {
  const [low, high] = data.interval;
  const shown = [low, high, data.years];
  return el("div", { class: "answer" },
    el("div", { class: "answer__lead" },
      figure(tenths(data.years), "years of life expected at birth"),
      intervalBar({ low, high, value: data.years, axis: roundAxis(shown), write: (value) => number(value, 1), label: "Life expectancy in years" }),
      el("p", { class: "answer__note" }, `90 % interval: ${number(low, 1)} to ${number(high, 1)} years.`)),
    reasons(data, data.years, { units, reference, write: years, what: "estimate", isMoreBetter: true }));
}

/** A year's spending with its interval. */
export function cost(data, { units, reference }) {
  const [low, high] = data.interval_usd;
  return el("div", { class: "answer" },
    el("div", { class: "answer__lead" },
      figure(dollars(data.expected_usd), "expected health spending in a year"),
      intervalBar({ low, high, value: data.expected_usd, axis: roundAxis([low, high], { fromZero: true }), write: dollars, label: "Expected spending" }),
      el("p", { class: "answer__note" }, `${percent(data.coverage, 0)} interval: ${dollars(low)} to ${dollars(high)}. Spending is very uneven: most people spend less than the mean, a few very much more.`)),
    reasons(data, data.expected_usd, { units, reference, write: dollars, what: "estimate" }));
}

/** A day's figures among other people's days. */
export function fitness(data, { units, given }) {
  const { group, days, people } = data.reference;
  return el("div", { class: "answer" },
    el("p", { class: "answer__note" }, `Compared with ${number(days)} days of ${number(people)} people: ${group}.`),
    Object.entries(data.percentiles).map(([metric, value]) => el("section", { class: "answer__metric", "data-metric": metric },
      el("h3", {}, nameOf(metric), given[metric] !== undefined && el("span", { class: "answer__given" }, ` ${valueOf(given[metric], units[metric])}`)),
      el("p", { class: "answer__place" }, `${ordinal(Math.round(value))} percentile`),
      strip({ value, label: nameOf(metric), text: `${ordinal(Math.round(value))} percentile` }))),
    el("p", { class: "strip__legend", "aria-hidden": "true" }, el("span", {}, "lowest"), el("span", {}, "median"), el("span", {}, "highest")));
}

/** What the network sees in a picture. */
export function tumor(data) {
  const rows = Object.entries(data.probabilities).sort(([, a], [, b]) => b - a);
  return el("div", { class: "answer" },
    el("div", { class: "answer__lead" },
      figure(levelOf(data.label), data.tumor_detected ? "is what this picture looks most like" : "seen in this picture"),
      el("p", { class: "answer__note" }, `Probability by the network: ${percent(data.confidence)}. It knows only these four kinds of picture.`)),
    el("section", { class: "answer__part" },
      el("h3", {}, "All classes"),
      shareBars(rows.map(([name, share]) => ({
        name, share, label: levelOf(name), text: percent(share), isFirst: name === data.label,
      })), "Probability of each class")));
}

function figure(text, caption) {
  return el("p", { class: "figure" }, el("strong", { class: "figure__value" }, text), el("span", { class: "figure__caption" }, caption));
}

function chip(level) {
  return el("strong", { class: `chip chip--${level}` }, nameOf(level));
}

function levelChip(level, bounds) {
  const edges = [0, ...bounds, 1].map((edge) => number(edge * 100));
  const at = LEVELS.indexOf(level);
  return el("p", { class: "level" }, chip(level), el("span", { class: "level__range" }, `${edges[at]} to ${edges[at + 1]} %`));
}

function reasons(data, prediction, { units, reference, write, writeEffect, what, isMoreBetter = false }) {
  if (!data.contributors?.length) return null;
  return el("section", { class: isMoreBetter ? "answer__part waterfall--more-is-better" : "answer__part" },
    el("h3", {}, `What moves this ${what}`),
    el("p", { class: "answer__note" }, `Step by step from the model’s reference, ${write(data.baseline)}, to this ${what}. Effects describe the model, not causes.`),
    waterfall({ baseline: data.baseline, prediction, steps: data.contributors, units, write, writeEffect, caption: `Largest effects on the ${what}` }),
    reference && el("details", { class: "more" }, el("summary", {}, "What is the reference?"), el("p", {}, reference)));
}

function advice(texts = []) {
  if (!texts.length) return null;
  return el("section", { class: "answer__part" },
    el("h3", {}, "Recommendations"),
    el("ul", { class: "advice" }, texts.map((text) => el("li", {}, text))));
}
