// One figure's place among others', from 0 to 100.

import { svg } from "../dom.js";

const QUARTERS = [0, 25, 50, 75];

/** A percentile strip; also used for scores, without quarters. */
export function strip({ value, label, text, isPercentile = true }) {
  const parts = isPercentile
    ? QUARTERS.map((from, at) => svg("rect", { class: `strip__quarter strip__quarter--${at}`, x: `${from}%`, width: "24.6%", y: 8, height: 12 }))
    : [svg("rect", { class: "track", x: 0, width: "100%", y: 8, height: 12, rx: 6 }),
      svg("rect", { class: "strip__fill", x: 0, width: `${value}%`, y: 8, height: 12, rx: 6 })];
  return svg("svg", {
    class: "strip", width: "100%", height: 28, role: "meter", "aria-label": label,
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": value, "aria-valuetext": text,
  },
  parts,
  svg("circle", { class: "strip__mark", cx: `${Math.min(Math.max(value, 2), 98)}%`, cy: 14, r: 9 }));
}
