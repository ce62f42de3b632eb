// A half-circle gauge for a probability, with the bands of the risk levels.

import { svg } from "../dom.js";
import { percent } from "../words.js";

export const LEVELS = ["low", "moderate", "high", "critical"];
const CENTRE = { x: 160, y: 156 };
const RADIUS = 122;
const GAP = 0.004;

/** The gauge; `bounds` are the probabilities where moderate, high and critical begin. */
export function gauge({ probability, level, bounds, label }) {
  const edges = [0, ...bounds, 1];
  const bands = LEVELS.map((name, at) => svg("path", {
    class: `gauge__band gauge__band--${name}${name === level ? " gauge__band--here" : ""}`,
    d: arc(RADIUS, edges[at] + (at ? GAP : 0), edges[at + 1] - (at < LEVELS.length - 1 ? GAP : 0)),
  }));
  const ticks = edges.map((edge) => {
    const { x, y } = point(RADIUS + 22, edge);
    const anchor = edge < 0.4 ? "end" : edge > 0.6 ? "start" : "middle";
    const isEnd = edge === 0 || edge === 1;
    return svg("text", {
      class: "gauge__tick", x: isEnd ? point(RADIUS, edge).x : x + 4, y: isEnd ? y + 27 : y + 4,
      "text-anchor": isEnd ? "middle" : anchor,
    }, `${Math.round(edge * 100)}`);
  });
  const knob = point(RADIUS, probability);
  return svg("svg", {
    class: "gauge", viewBox: "0 0 320 188", role: "meter", "aria-label": label,
    "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": probability,
    "aria-valuetext": `${percent(probability)}, ${level}`,
  },
  bands, ticks,
  svg("circle", { class: `gauge__knob gauge__knob--${level}`, cx: knob.x, cy: knob.y, r: 11 }),
  svg("text", { class: "gauge__figure", x: CENTRE.x, y: CENTRE.y - 28, "text-anchor": "middle" }, percent(probability)),
  svg("text", { class: "gauge__caption", x: CENTRE.x, y: CENTRE.y - 4, "text-anchor": "middle" }, "estimated probability"));
}

function point(radius, share) {
  const angle = Math.PI * (1 - share);
  return { x: round(CENTRE.x + radius * Math.cos(angle)), y: round(CENTRE.y - radius * Math.sin(angle)) };
}

function arc(radius, from, to) {
  const start = point(radius, from);
  const end = point(radius, to);
  return `M ${start.x} ${start.y} A ${radius} ${radius} 0 0 1 ${end.x} ${end.y}`;
}

function round(value) {
  return Math.round(value * 100) / 100;
}
