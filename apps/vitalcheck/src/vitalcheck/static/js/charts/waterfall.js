// Signed bars from a baseline to a prediction: what each input adds or takes away.

import { el, hidden, svg } from "../dom.js";
import { nameOf, signed, valueOf } from "../words.js";

/**
 * `steps`: [{feature, value, effect}]; `write` puts an amount into words, `writeEffect` an effect.
 * What the shown steps leave over becomes one last bar.
 */
export function waterfall({ baseline, prediction, steps, units, write, writeEffect = write, caption }) {
  const rest = prediction - baseline - steps.reduce((sum, step) => sum + step.effect, 0);
  const isWhole = Math.abs(rest) < Math.max(Math.abs(prediction - baseline), 1e-9) * 1e-6;
  const bars = runningTotals(baseline, isWhole ? steps : [...steps, { feature: null, effect: rest }]);
  const scale = scaleOf([baseline, prediction, ...bars.flatMap((bar) => [bar.from, bar.to])]);
  return el("table", { class: "waterfall" },
    el("caption", { class: "visually-hidden" }, caption),
    el("thead", { class: "visually-hidden" }, el("tr", {}, ["Input", "From and to", "Effect"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {},
      endRow("Reference", baseline, scale, write, baseline),
      bars.map((bar) => stepRow(bar, scale, units, writeEffect, baseline)),
      endRow("This estimate", prediction, scale, write, baseline, "waterfall__end")));
}

function runningTotals(baseline, steps) {
  let at = baseline;
  return steps.map((step) => {
    const from = at;
    at += step.effect;
    return { ...step, from, to: at };
  });
}

function scaleOf(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = high - low || 1;
  return (value) => 3 + ((value - low) / span) * 94;
}

function stepRow(bar, scale, units, writeEffect, baseline) {
  const [left, right] = [scale(Math.min(bar.from, bar.to)), scale(Math.max(bar.from, bar.to))];
  const way = bar.effect < 0 ? "down" : "up";
  const name = bar.feature === null
    ? el("span", {}, "All other inputs")
    : [el("span", {}, nameOf(bar.feature)), el("span", { class: "waterfall__value" }, ` ${valueOf(bar.value, units[bar.feature])}`)];
  return el("tr", { "data-feature": bar.feature ?? "" },
    el("th", { scope: "row" }, name),
    el("td", { class: "waterfall__bar" }, chart(
      line(scale(baseline), "waterfall__base"),
      svg("rect", {
        class: `bar bar--${way}`, x: `${left}%`, width: `${Math.max(right - left, 0.7)}%`,
        y: 4, height: 14, rx: 3, "data-effect": bar.effect,
      }))),
    el("td", { class: `waterfall__effect waterfall__effect--${way}` },
      hidden(bar.effect < 0 ? "lowers by " : "raises by "), signed(bar.effect, writeEffect)));
}

function endRow(text, value, scale, write, baseline, extra = "") {
  return el("tr", { class: `waterfall__total ${extra}` },
    el("th", { scope: "row" }, text),
    el("td", { class: "waterfall__bar" }, chart(
      line(scale(baseline), "waterfall__base"),
      svg("circle", { class: "waterfall__dot", cx: `${scale(value)}%`, cy: 11, r: 5 }))),
    el("td", { class: "waterfall__effect" }, write(value)));
}

function line(at, name) {
  return svg("line", { class: name, x1: `${at}%`, x2: `${at}%`, y1: 0, y2: 22 });
}

function chart(...shapes) {
  return svg("svg", { class: "waterfall__chart", width: "100%", height: 22, "aria-hidden": "true" }, shapes);
}
