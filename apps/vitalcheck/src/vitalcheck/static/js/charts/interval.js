// A value with its interval on an axis.

import { svg } from "../dom.js";

/** `write` puts a number into words; `axis` is [from, to]. */
export function intervalBar({ low, value, high, axis, write, label }) {
  const at = (amount) => ((amount - axis[0]) / (axis[1] - axis[0])) * 100;
  const ticks = [axis[0], (axis[0] + axis[1]) / 2, axis[1]];
  return svg("svg", {
    class: "interval", width: "100%", height: 92, role: "img",
    "aria-label": `${label}: ${write(value)}, between ${write(low)} and ${write(high)}`,
    "data-low": low, "data-value": value, "data-high": high,
  },
  svg("rect", { class: "track", x: 0, width: "100%", y: 36, height: 12, rx: 6 }),
  svg("rect", {
    class: "interval__band", x: `${at(low)}%`, width: `${Math.max(at(high) - at(low), 0.5)}%`, y: 34, height: 16, rx: 8,
  }),
  svg("line", { class: "interval__mark", x1: `${at(value)}%`, x2: `${at(value)}%`, y1: 28, y2: 56 }),
  words(at(value), 20, write(value), "interval__value"),
  words(at(low), 70, write(low), "interval__end", at(high) - at(low) < 30 ? "end" : null),
  words(at(high), 70, write(high), "interval__end", at(high) - at(low) < 30 ? "start" : null),
  ticks.map((tick) => words(at(tick), 88, write(tick), "interval__tick")));
}

function words(at, y, text, name, wanted = null) {
  const anchor = at < 12 ? "start" : at > 88 ? "end" : wanted ?? "middle";
  return svg("text", { class: name, x: `${at}%`, y, "text-anchor": anchor }, text);
}

/** [0 or below, above] in round numbers around these values. */
export function roundAxis(values, { fromZero = false } = {}) {
  const high = Math.max(...values);
  const low = fromZero ? 0 : Math.min(...values);
  const step = roundStep((high - low) / 4 || 1);
  const from = fromZero ? 0 : Math.floor(low / step - 0.25) * step;
  return [from, Math.ceil(high / step + 0.1) * step];
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}
