// How often what was predicted came true: points near the diagonal are well calibrated.

import { svg } from "../dom.js";
import { percent } from "../words.js";

const SIDE = 200;
const EDGE = 34;

/** `bins`: [{mean_predicted, share_observed, rows}], both shares from 0 to 1. */
export function reliability(bins) {
  const x = (share) => EDGE + share * SIDE;
  const y = (share) => 8 + (1 - share) * SIDE;
  const ticks = [0, 0.5, 1].flatMap((share) => [
    svg("text", { class: "gauge__tick", x: x(share), y: SIDE + 24, "text-anchor": "middle" }, `${share * 100}`),
    svg("text", { class: "gauge__tick", x: EDGE - 6, y: y(share) + 4, "text-anchor": "end" }, `${share * 100}`),
  ]);
  const text = bins.map((bin) => `${percent(bin.mean_predicted, 0)} predicted, ${percent(bin.share_observed, 0)} observed`).join("; ");
  return svg("svg", { class: "reliability", viewBox: `0 0 ${SIDE + EDGE + 12} ${SIDE + 46}`, role: "img", "aria-label": `Reliability: ${text}` },
    svg("rect", { class: "track", x: EDGE, y: 8, width: SIDE, height: SIDE }),
    svg("line", { class: "waterfall__base", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    svg("polyline", { class: "reliability__line", points: bins.map((bin) => `${x(bin.mean_predicted)},${y(bin.share_observed)}`).join(" ") }),
    bins.map((bin) => svg("circle", { class: "reliability__dot", cx: x(bin.mean_predicted), cy: y(bin.share_observed), r: 4 })),
    ticks,
    svg("text", { class: "gauge__tick", x: x(0.5), y: SIDE + 42, "text-anchor": "middle" }, "predicted % → observed % (up)"));
}
