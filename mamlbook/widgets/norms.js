// Theorem 1 for one hard and one easy neuron: gradient norms at MAML's stationary point over alpha.

const [MOST, STEPS] = [3.5, 70]; // of alpha
const HEIGHTS = [-0.5, 1.6];
const LIMITS = { printed: "— printed bound", square: "┄ square form" }; // of the ratio, for alpha L < 1
const MIDDLING = quadrature(20); // for the curves
const pair = (rule, hard_variance, distance) =>
  [taskOn(rule, [0, 1], hard_variance), taskOn(rule, [distance, 1], EASY_VARIANCE)];

/** MAML's stationary point near `start` and what Theorem 1 says there; NAL's is that of alpha = 0. */
function norms(tasks, alpha, start) {
  const w = descend(tasks, alpha, start);
  const at = tasks.map((task) => {
    const { g1, g2, h11, h12, h22 } = lossAt(task, ...w, {});
    const [middle, radius] = [(h11 + h22) / 2, Math.hypot((h11 - h22) / 2, h12)];
    return { norm: Math.hypot(g1, g2), least: middle - radius, most: middle + radius };
  });
  const [hard, easy] = at;
  const below = 1 - alpha * hard.most;
  return {
    w, at, alpha, ratio: hard.norm / easy.norm, share: alpha * Math.max(hard.most, easy.most),
    printed: (1 - 2 * alpha * easy.least) / below ** 2, square: ((1 - alpha * easy.least) / below) ** 2,
  };
}

/**
 * The stationary points from alpha = 0 upwards, each sought from the one before, and the `edge` of
 * the theorem's range: where alpha L reaches 1, or where the point ceases to be one and the next is
 * beyond.
 */
function along(hard_variance, distance) {
  const tasks = pair(MIDDLING, hard_variance, distance);
  const course = [];
  for (let k = 0; k <= STEPS; k += 1)
    course.push(norms(tasks, (k * MOST) / STEPS, course[k - 1]?.w ?? [distance / 2, 1]));
  const k = course.findIndex(({ share }) => share >= 1);
  let [last, edge] = [course[k - 1], course[k].alpha];
  for (let turn = 0; turn < 12; turn += 1) {
    const middle = norms(tasks, (last.alpha + edge) / 2, last.w);
    if (middle.share < 1) last = middle;
    else edge = middle.alpha;
  }
  course.splice(k, 0, last);
  return { course, edge };
}

/** Of a line through points, the part between HEIGHTS. */
function visible(points, map) {
  const [low, high] = HEIGHTS;
  let [d, end] = ["", ""];
  points.slice(1).forEach((to, i) => {
    const from = points[i];
    if (Math.max(from[1], to[1]) < low || Math.min(from[1], to[1]) > high) return;
    const [start, stop] = [from, to].map(([x, y]) => {
      const height = Math.min(Math.max(y, low), high);
      const cut = height === y ? x : from[0] + ((to[0] - from[0]) * (height - from[1])) / (to[1] - from[1]);
      return `${map.px(cut).toFixed(2)} ${map.py(height).toFixed(2)}`;
    });
    d += `${start === end ? "" : `M${start}`}L${stop}`;
    end = stop;
  });
  return d;
}

/** What a bound is to the measured ratio. */
function verdict(ratio, bound) {
  if (bound < 0) return "is negative and cannot hold";
  if (ratio > bound * (1 + 1e-7)) return "does not hold";
  return bound < 1 ? "holds" : "holds, but implies no preference";
}

function draw({ alpha, hard_variance, distance }, { course, edge }) {
  const tasks = pair(FINE, hard_variance, distance);
  const nal = norms(tasks, 0, course[0].w);
  const maml = norms(tasks, alpha, course.findLast((one) => one.alpha <= alpha).w);
  const mark = (parent, tag, attributes, ...at) =>
    parent.append(element(tag, { ...attributes, "data-at": at.flat().join(" ") }));

  const plane = axes({
    width: 380, height: 112, x: [-0.25, 1.25], y: [0.86, 0.86 + (1.5 * 70) / 322], xticks: [0, 0.5, 1], yticks: [],
    title: "tasks and initializations (■ NAL, ● MAML)",
  });
  tasks.forEach(({ v1, v2 }, i) => {
    const kind = i ? "easy" : "hard";
    mark(plane.node, "circle", { class: `mb-optimum ${kind}`, cx: plane.px(v1), cy: plane.py(v2), r: 6 }, v1, v2);
    plane.node.append(lettering({ class: `mb-word ${kind}`, x: plane.px(v1), y: plane.py(v2) - 14, "text-anchor": "middle" }, kind));
  });
  const inRange = course.filter((one) => one.alpha < edge);
  const way = inRange.map(({ w: [x, y] }, i) => `${i ? "L" : "M"}${plane.px(x).toFixed(2)} ${plane.py(y).toFixed(2)}`).join("");
  plane.node.append(element("path", { class: "mb-way maml", fill: "none", d: way }));
  for (const [{ w }, kind] of [[nal, "nal"], [maml, "maml"]]) {
    if (w[0] < -0.2 || w[1] > 1.15) continue;
    plane.dot(...w, kind);
    plane.node.lastChild.dataset.at = w.join(" ");
  }

  const longest = Math.max(...[...inRange, maml].flatMap(({ at }) => at.map(({ norm }) => norm)));
  const bars = axes({
    width: 380, height: 188, x: [0, 2], y: [0, 1.06 * longest], xticks: [[0.5, "NAL"], [1.5, "MAML"]],
    title: "gradient norms: hard task, easy task",
  });
  [nal, maml].forEach(({ at }, i) => at.forEach(({ norm }, j) => {
    const x = i + 0.16 + 0.36 * j;
    bars.box(x, x + 0.32, 0, norm, { class: `mb-bar ${j ? "easy" : "hard"}`, "data-at": norm });
  }));

  const curves = axes({
    width: 380, height: 300, x: [0, MOST], y: HEIGHTS, xticks: [0, 1, 2, 3], yticks: [-0.5, 0, 0.5, 1, 1.5],
    xlabel: "inner learning rate α", title: "hard over easy norm, and bounds (drag)",
  });
  curves.box(edge, MOST, ...HEIGHTS, { class: "mb-outside", "data-at": edge });
  curves.node.append(lettering({ class: "mb-tick", x: curves.px(MOST) - 4, y: curves.high + 14, "text-anchor": "end" }, "α > 1/L"));
  curves.rule(alpha, "ink");
  for (const [of, attributes] of [
    ["nal", { class: "mb-curve nal" }], ["square", { class: "mb-curve", "stroke-dasharray": "2 4" }],
    ["printed", { class: "mb-curve" }], ["ratio", { class: "mb-curve maml" }],
  ]) {
    const points = (of in LIMITS ? inRange : course).map((one) => [one.alpha, of === "nal" ? 1 : one[of]]);
    mark(curves.node, "path", { ...attributes, "data-of": of, d: visible(points, curves) }, points.flat().map((number) => Number(number.toPrecision(7))));
  }
  const seen = (height) => height > HEIGHTS[0] && height < HEIGHTS[1];
  const bounded = maml.share < 1;
  if (bounded && seen(maml.printed))
    mark(curves.node, "circle", { class: "mb-start", cx: curves.px(alpha), cy: curves.py(maml.printed), r: 4 }, alpha, maml.printed);
  if (seen(maml.ratio)) curves.dot(alpha, maml.ratio, "maml");

  const cells = (name, values) => values.map((value, i) => shown(`${name}_${i + 1}`, value));
  const table = numbers("", ["", "hard task", "easy task", "ratio"], [
    ["nal", "■ NAL", ...cells("nal", nal.at.map(({ norm }) => norm)), shown("nal_ratio", nal.ratio)],
    ["maml", "● MAML", ...cells("maml", maml.at.map(({ norm }) => norm)), shown("ratio", maml.ratio)],
    ["", "least curvature", ...cells("beta", maml.at.map(({ least }) => least)), ""],
    ["", "largest curvature", ...cells("L", maml.at.map(({ most }) => most)), ""],
    ...Object.entries(LIMITS).map(([name, label]) => ["", label, "", "", bounded ? shown(name, maml[name]) : "–"]),
  ]);
  const times = ["MAML’s gradient on the hard task is ", shown("ratio_again", maml.ratio), " times that on the easy one"];
  const sentence = bounded
    ? ["At α = ", shown("share", maml.share), "/L ", ...times, ". The printed bound, ", shown("printed_again", maml.printed), ", ",
      `${verdict(maml.ratio, maml.printed)}; the square form, `, shown("square_again", maml.square), `, ${verdict(maml.ratio, maml.square)}.`]
    : ["α is ", shown("share", maml.share), "/L, outside the range of Theorem 1 (shaded), which says nothing here: ", ...times, "."];
  const line = {
    label: "inner learning rate", across: "alpha", x: curves.px(alpha), y: curves.py(1.3),
    read: (x) => ({ alpha: curves.at(x, 0)[0] }),
  };
  const left = element("g", { transform: "translate(0 112)" }, bars.node);
  return { pictures: { norms: [plane.node, left], curves: [curves.node] }, table, sentence, handles: { curves: [line] } };
}

function render({ model, el }) {
  let [known, solved] = [];
  return mount({
    model, el,
    title: "Theorem 1: the gradient norms at MAML’s stationary point, and what bounds their ratio",
    size: [{ name: "norms", width: 380, height: 300 }, { name: "curves", width: 380, height: 300 }],
    sliders: [
      { name: "alpha", label: "inner learning rate, <i>α</i>", min: 0, max: MOST, step: 0.01 },
      { name: "hard_variance", label: "variance of the hard task’s inputs", min: 0.1, max: 1, step: 0.01 },
      { name: "distance", label: "distance of the two tasks", min: 0.2, max: 1, step: 0.01 },
    ],
    draw: (values) => {
      const key = `${values.hard_variance} ${values.distance}`;
      if (key !== known) [known, solved] = [key, along(values.hard_variance, values.distance)];
      return draw(values, solved);
    },
    handles: { curves: 1 },
  });
}

export default { render };
