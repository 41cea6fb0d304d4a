// The map of MAML's gain over hardness ratio and packing, and what it costs.

const D = 10;
const N1 = 25;
const X = [-2, 0];
const PACKING = [-1, 2];
const CELLS = [32, 24];
const MOST = 12;

/** rho_easy = R = 1: no ratio of risks depends on either scale. */
function gainAt(x, packing, m, spread) {
  return mixture({ rho_hard: x, rho_easy: 1, R: 1, r_hard: 1 / packing, r_easy: spread, m, d: D }).gain;
}

/** The shaded cells: made once, shaded again when what they depend on has changed. */
function heatmap() {
  const [nx, ny] = CELLS;
  const across = (X[1] - X[0]) / nx;
  const up = (PACKING[1] - PACKING[0]) / ny;
  const node = element("g");
  let cells = null;
  let known = "";
  return (map, m, spread) => {
    cells ??= Array.from({ length: nx * ny }, (_, k) => {
      const [u, v] = [X[0] + (k % nx) * across, PACKING[0] + Math.floor(k / nx) * up];
      const cell = map.box(u, u + across, v, v + up, { class: "mb-heat" });
      node.append(cell);
      return { cell, x: 10 ** (u + across / 2), packing: 10 ** (v + up / 2) };
    });
    if (known !== `${m} ${spread}`)
      for (const { cell, x, packing } of cells) {
        const shade = Math.log(gainAt(x, packing, m, spread)) / Math.log(MOST);
        cell.setAttribute("fill-opacity", Math.min(1, shade).toFixed(3));
      }
    known = `${m} ${spread}`;
    map.node.prepend(node);
  };
}

function draw({ x, packing, m, spread }, heat) {
  const gain = gainAt(x, packing, m, spread);
  const cost = (N1 + 2 * m) / (N1 + m);
  const margin = (x * (1 - x) ** 2 * m) / D;

  const powers = (low, high) =>
    Array.from({ length: high - low + 1 }, (_, i) => [low + i, plain(10 ** (low + i))]);
  const map = axes({
    width: 420, height: 290, x: X, y: PACKING, xticks: powers(...X), yticks: powers(...PACKING),
    title: "NAL’s excess risk over MAML’s, strong: more", xlabel: "hardness ratio ρ_H / ρ_E", ylabel: "R² / r_H",
  });
  heat(map, m, spread);
  const edges = [];
  for (let k = 1; k < 400; k += 1) {
    const [u, v] = [(k - 1) / 400, k / 400].map((t) => 10 ** (X[0] + t * (X[1] - X[0])));
    const inside = (t) => t * (1 - t) ** 2 * m >= D;
    if (inside(u) !== inside(v)) edges.push(Math.log10(v));
  }
  edges.forEach((edge) => map.rule(edge, "ink"));
  map.dot(Math.log10(x), Math.log10(packing), "maml");

  const row = (label, value) => ["", label, value];
  const table = numbers("", ["", "here"], [
    row("gain: NAL’s excess risk over MAML’s", shown("gain", gain)),
    row("the paper’s estimate of the gain", shown("estimate", 1 + packing)),
    row("the paper’s condition, left side over right: far above 1?", shown("margin", margin)),
    row("MAML’s work per training step over NAL’s", shown("cost", cost)),
  ]);
  const word = gain < 1.1 ? "NAL is good enough here" : gain < 2 ? "MAML helps a little here" : "MAML is worth its work here";
  const sentence = [`${word}: a gain of `, shown("gain_again", gain), " for ", shown("cost_again", cost), " times the work."];
  const dot = {
    label: "your case on the map", across: "x", up: "packing", x: map.px(Math.log10(x)), y: map.py(Math.log10(packing)),
    read: (across, up) => {
      const [u, v] = map.at(across, up);
      return { x: 10 ** u, packing: 10 ** v };
    },
  };
  return { pictures: { gainmap: [map.node] }, table, sentence, handles: { gainmap: [dot] } };
}

function render({ model, el }) {
  const heat = heatmap();
  return mount({
    model, el,
    title: "Should I use MAML here? The gain over hardness and geography, and its cost",
    size: [{ name: "gainmap", width: 420, height: 290 }],
    sliders: [
      { name: "x", label: "hardness ratio, <i>ρ</i><sub>H</sub>/<i>ρ</i><sub>E</sub>", min: 0.01, max: 1, log: true },
      { name: "packing", label: "distance over spread, <i>R</i>²/<i>r</i><sub>H</sub>", min: 0.1, max: 100, log: true },
      { name: "m", label: "samples to adapt on, <i>m</i> (<i>d</i> = 10)", min: 10, max: 10000, log: true, whole: true },
      { name: "spread", label: "spread of the easy tasks, <i>r</i><sub>E</sub>/<i>R</i>²", min: 0.01, max: 10, log: true },
    ],
    draw: (values) => draw(values, heat),
    handles: { gainmap: 1 },
  });
}

export default { render };
