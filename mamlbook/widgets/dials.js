// The world with dials: glyphs, the plane of tasks, four risks, kernels, and the theory's curves.

const CLOUD = normals(160, 20220811);
const SHOWN = normals(48, 7);

/** Landscape: rho_E = 1, hard centre of length one, d directions, r_H = 1/(d packing), r_E = 0.1/d. */
function families({ hardness, packing, d }) {
  return [
    { rho: hardness, at: 1, r: 1 / (d * packing) },
    { rho: 1, at: 0, r: 0.1 / d },
  ];
}

/** The risk at w with rates a along the hard centre and b across, after one step on m samples. */
function riskOf(kinds, d, m, w, a, b) {
  return kinds.reduce((sum, { rho, at, r }) => {
    const spent = (rho ** 3 / m) * (a * a + (d - 1) * b * b);
    const along = rho * (1 - a * rho) ** 2 + spent + (rho ** 3 * a * a) / m;
    const across = rho * (1 - b * rho) ** 2 + spent + (rho ** 3 * b * b) / m;
    return sum + 0.25 * (along * ((w - at) ** 2 + r) + (d - 1) * across * r);
  }, 0);
}

/** The best rates at w: the risk is a parabola in each, and the two do not mix. */
function ratesAt(kinds, d, m, w) {
  let [topA, lowA, topB, lowB] = [0, 0, 0, 0];
  for (const { rho, at, r } of kinds) {
    const V = (w - at) ** 2 + r;
    topA += V * rho ** 2;
    lowA += rho ** 3 * (V * (1 + 2 / m) + ((d - 1) * r) / m);
    topB += (d - 1) * r * rho ** 2;
    lowB += rho ** 3 * ((d - 1) * r * (1 + d / m) + (V * (d - 1)) / m);
  }
  return [topA / lowA, topB / lowB];
}

/** All minima over w of the risk with its best rates, the lowest first: {w, a, b, risk}. */
function minima(kinds, d, m) {
  const at = (w) => riskOf(kinds, d, m, w, ...ratesAt(kinds, d, m, w));
  const [low, step, count] = [-0.25, 0.01, 150];
  const grid = Array.from({ length: count + 1 }, (_, i) => at(low + i * step));
  const found = [];
  for (let i = 1; i < count; i += 1) {
    if (grid[i] > grid[i - 1] || grid[i] >= grid[i + 1]) continue;
    let [left, right] = [low + (i - 1) * step, low + (i + 1) * step];
    for (let turn = 0; turn < 60; turn += 1) {
      const [one, two] = [left + 0.382 * (right - left), right - 0.382 * (right - left)];
      if (at(one) < at(two)) right = two;
      else left = one;
    }
    const w = (left + right) / 2;
    const [a, b] = ratesAt(kinds, d, m, w);
    found.push({ w, a, b, risk: riskOf(kinds, d, m, w, a, b) });
  }
  return found.sort((one, two) => one.risk - two.risk);
}

/** The theory with learned rates: MAML's minima, NAL with its best rate along itself, the parts. */
function theory(values) {
  const { m, d, hardness } = values;
  const kinds = families(values);
  const maml = minima(kinds, d, m);
  const w = hardness / (1 + hardness);
  const [none, one, two] = [0, 1, 2].map((a) => riskOf(kinds, d, m, w, a, 0));
  const curve = (two - 2 * one + none) / 2;
  const nal = { w, risk: riskOf(kinds, d, m, w, Math.max(0, -(one - none - curve) / (2 * curve)), 0) };
  const moved = riskOf(kinds, d, m, w, maml[0].a, maml[0].b);
  return { maml, nal, total: nal.risk / maml[0].risk, position: moved / maml[0].risk, kernel: nal.risk / moved };
}

function tinted(text, kind) {
  return element("span", { class: `mb-tinted ${kind}` }, text);
}

function render({ model, el }) {
  const marks = model.get("marks");
  const pen = { ...model.get("pen"), mean: decoded(model.get("mean"), false) };
  const d = pen.across + pen.along;
  const cells = model.get("cells");
  const size = { width: 380, height: 300 };

  const draw = (traits) => {
    const [hardness, packing, m] = ["hardness", "packing", "m"].map((name) => marks[name][traits[`${name}_mark`]]);
    const biased = traits.biases === 1;
    const values = { hardness, packing, m, d };
    const predicted = theory(values);
    const cell = cells[[hardness, packing, m, traits.biases].join(" ")];

    const strips = element("g");
    [[1, "easy", 20], [hardness, "hard", 84]].forEach(([rho, kind, top]) => {
      strips.append(lettering({ class: `mb-word ${kind}`, x: 4, y: top + 32 }, kind));
      for (let i = 0; i < 6; i += 1) strips.append(glyph(pen, SHOWN.slice(6 * i, 6 * i + 6), rho, 46 + 62 * i, top, 56));
    });
    strips.append(element("text", { class: "mb-title", x: 4, y: 13 }, "the same glyphs in the ink of either task"));

    const plane = axes({
      ...size, x: [-0.7, 2], y: [-1.1, 1.1], xticks: [], yticks: [[0, ""]],
      title: "tasks and initializations", xlabel: "position along the line between the centers",
    });
    const spread = (r) => Math.sqrt(r);
    families(values).forEach(({ at, r }, k) => {
      for (let i = 0; i < 40; i += 1) {
        const [x, y] = [at + spread(r) * CLOUD[4 * i + 2 * k], spread(r) * CLOUD[4 * i + 2 * k + 1]];
        if (x > -0.7 && x < 2 && Math.abs(y) < 1.1) plane.dot(x, y, k ? "easy" : "hard");
      }
    });
    const cross = (w, kind) => {
      const [x, y] = [plane.px(w), plane.py(0)];
      plane.node.append(element("path", { class: `mb-cross ${kind}`, d: `M${x - 7} ${y - 7}L${x + 7} ${y + 7}M${x - 7} ${y + 7}L${x + 7} ${y - 7}` }));
    };
    plane.below(0, "easy", "easy");
    plane.below(1, "hard", "hard");
    if (cell) {
      plane.dot(cell.nal, 0, "nal");
      cell.maml.forEach((w) => plane.dot(w, 0, "maml"));
    }
    cross(predicted.nal.w, "nal");
    cross(predicted.maml[0].w, "maml");

    const four = element("g");
    four.append(element("text", { class: "mb-title", x: 4, y: 13 }, "risk after the step, by function and kernel"));
    const bars = axes({
      ...size, x: [0, d], y: [0, 2.5], title: "speed of one step, by direction",
      xticks: Array.from({ length: d }, (_, i) => [i + 0.5, `${i + 1}`]),
    });
    if (cell) {
      const most = Math.max(...cell.risks.flat());
      cell.risks.forEach((line, i) => line.forEach((risk, j) => {
        const [x, y] = [86 + 140 * j, 44 + 112 * i];
        four.append(
          element("rect", { class: "mb-heat", x, y, width: 134, height: 106, "fill-opacity": (0.75 * risk) / most }),
          element("text", { x: x + 67, y: y + 58, "text-anchor": "middle", class: "mb-title" }, plain(risk)),
        );
      }));
      ["NAL", "MAML"].forEach((name, k) => four.append(
        element("text", { x: 153 + 140 * k, y: 36, "text-anchor": "middle" }, `${name}’s kernel`),
        element("text", { x: 6, y: 92 + 112 * k }, name), element("text", { x: 6, y: 106 + 112 * k }, "function"),
      ));
      cell.speeds.forEach((speeds, k) => speeds.forEach((speed, i) =>
        bars.box(i + 0.1 + 0.4 * k, i + 0.5 + 0.4 * k, 0, Math.min(speed, 2.5), { class: `mb-bar ${k ? "maml" : "nal"}` })));
    }

    const xs = Array.from({ length: 120 }, (_, i) => 0.03 * (1 / 0.03) ** (i / 119));
    const line = xs.map((x) => theory({ ...values, hardness: x }));
    const log = Math.log10;
    const along = marks.hardness.map((x) => [x, cells[[x, packing, m, traits.biases].join(" ")]]).filter(([, one]) => one);
    const highest = Math.max(...[...line, ...along.map(([, one]) => one)].map((one) => one.position), 1.2);
    const curves = axes({
      ...size, x: [log(0.03), 0], y: [0.8, 1.08 * highest], title: "position part: theory (line) and networks",
      xlabel: "hardness ratio ρ_H/ρ_E", xticks: [0.05, 0.1, 0.25, 0.5, 1].map((x) => [log(x), plain(x)]),
    });
    // Where another minimum becomes the lowest, the curve breaks.
    const broken = (i) => i === 0 || Math.abs(line[i].maml[0].w - line[i - 1].maml[0].w) > 0.2;
    const path = line.map((one, i) => `${broken(i) ? "M" : "L"}${curves.px(log(xs[i])).toFixed(1)} ${curves.py(one.position).toFixed(1)}`).join("");
    curves.node.append(element("path", { class: "mb-curve", d: path }));
    curves.rule(log(hardness), "");
    for (const [x, one] of along) {
      const at = { cx: curves.px(log(x)), cy: curves.py(one.position), r: x === hardness ? 5.5 : 3.5 };
      curves.node.append(element("circle", { class: "mb-dot maml", ...at }));
    }

    const say = (name, value) => (value === undefined ? "–" : shown(name, value));
    const rows = [
      ["total", "total gain", predicted.total, cell?.total], ["position", "position part", predicted.position, cell?.position],
      ["kernel", "kernel part", predicted.kernel, cell?.kernel], ["nal", "■ NAL at", predicted.nal.w, cell?.nal],
      ["maml", "● MAML at", predicted.maml[0].w, cell?.mean],
    ];
    const table = numbers("", ["", "theory", "networks"], rows.map(([name, label, one, two]) =>
      [name, label, shown(`theory_${name}`, one), say(name, two)]));
    const sentence = cell
      ? ["MAML’s networks have ", shown("gain", cell.total), " times less risk than NAL’s; ", shown("share", cell.position),
         " times of it is position, the rest is the kernel", biased ? "; with biases the contrast itself tells them the kind of task." : "."]
      : ["No networks were trained at this position of the dials; the theory stands alone."];
    return {
      pictures: { strips: [strips], plane: [plane.node], four: [four], bars: [bars.node], curves: [curves.node] },
      table, sentence,
    };
  };
  const mark = (name, label) => ({
    name: `${name}_mark`, label, min: 0, max: marks[name].length - 1, step: 1, whole: true,
    names: marks[name].map((value) => plain(value)),
  });
  return mount({
    model, el,
    title: "A world with dials: tasks, pairs of networks, and the theory",
    size: [
      { name: "strips", width: 420, height: 146 }, { name: "plane", ...size }, { name: "four", ...size },
      { name: "bars", ...size }, { name: "curves", ...size },
    ],
    sliders: [
      mark("hardness", "hardness ratio, <i>ρ</i><sub>H</sub>/<i>ρ</i><sub>E</sub>"),
      mark("packing", "packing, <i>R</i>²/<i>r</i><sub>H</sub>"),
      mark("m", "support images, <i>m</i>"),
      { name: "biases", label: "biases in the network", min: 0, max: 1, step: 1, whole: true, names: ["without", "with"] },
    ],
    draw,
  });
}

export default { render };
