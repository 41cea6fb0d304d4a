// A glyph that the reader bends, and one real step of a trained pair of networks.

/** x (n, a) times W (a, b), plain arrays of rows. */
function times(x, W, b) {
  return x.map((row) => {
    const out = new Float64Array(b);
    for (let i = 0; i < row.length; i += 1) {
      const value = row[i];
      if (value !== 0) for (let j = 0; j < b; j += 1) out[j] += value * W[i * b + j];
    }
    return out;
  });
}

/** x' (a, n) times y (n, b): the gradient of a matrix, (a, b). */
function outer(x, y, a, b) {
  const out = new Float64Array(a * b);
  x.forEach((row, k) => {
    for (let i = 0; i < a; i += 1)
      if (row[i] !== 0) for (let j = 0; j < b; j += 1) out[i * b + j] += row[i] * y[k][j];
  });
  return out;
}

/** y (n, b) times W' (b, a), cut where the layer below was off. */
function back(y, W, a, on) {
  return y.map((row, k) =>
    Float64Array.from({ length: a }, (_, i) => {
      if (on && !(on[k][i] > 0)) return 0;
      let sum = 0;
      for (let j = 0; j < row.length; j += 1) sum += row[j] * W[i * row.length + j];
      return sum;
    }));
}

/** Every layer's output for images x: two ReLU layers, the code, the number. */
function layers({ weights, sizes }, x) {
  const all = [x];
  weights.forEach((W, l) => {
    const out = times(all[l], W, sizes[l + 1]);
    all.push(l < 2 ? out.map((row) => row.map((value) => Math.max(0, value))) : out);
  });
  return all;
}

/** One inner step on images x with labels y: the network after it. */
function stepped(network, x, y, rate) {
  const { weights, sizes } = network;
  const all = layers(network, x);
  let wrong = all[4].map((out, k) => Float64Array.of((out[0] - y[k]) / y.length));
  const moved = [];
  for (let l = 3; l >= 0; l -= 1) {
    const gradient = outer(all[l], wrong, sizes[l], sizes[l + 1]);
    if (l) wrong = back(wrong, weights[l], sizes[l], l <= 2 ? all[l] : null);
    moved.unshift(weights[l].map((value, i) => value - rate * gradient[i]));
  }
  return { weights: moved, sizes };
}

function render({ model, el }) {
  const pen = { ...model.get("pen"), mean: decoded(model.get("mean"), false) };
  const d = pen.across + pen.along;
  const sizes = model.get("sizes");
  const cut = (text) => {
    const numbers = decoded(text, true);
    let at = 0;
    return { sizes, weights: sizes.slice(1).map((b, l) => numbers.slice(at, (at += sizes[l] * b))) };
  };
  const before = { nal: cut(model.get("nal")), maml: cut(model.get("maml")) };
  const { rate, support, hardness, solutions } = model.get("task");
  const after = {};
  const latents = normals(support * d, 11);

  /** Both networks after their step on the task's support images, once for each kind. */
  const learned = (kind) => {
    if (after[kind]) return after[kind];
    const rho = kind ? hardness : 1;
    const z = Array.from({ length: support }, (_, i) => latents.slice(d * i, d * i + d));
    const x = z.map((one) => seen(pen, one, rho));
    const y = z.map((one) => Math.sqrt(rho) * one.reduce((sum, v, j) => sum + v * solutions[kind][j], 0));
    after[kind] = { nal: stepped(before.nal, x, y, rate), maml: stepped(before.maml, x, y, rate) };
    return after[kind];
  };

  const draw = (traits) => {
    const z = Array.from({ length: d }, (_, j) => traits[`z${j + 1}`]);
    const kind = traits.hard;
    const rho = kind ? hardness : 1;
    const label = Math.sqrt(rho) * z.reduce((sum, v, j) => sum + v * solutions[kind][j], 0);
    const x = [seen(pen, z, rho)];
    const said = (network) => layers(network, x)[4][0][0];
    const found = Object.fromEntries(["nal", "maml"].map((name) =>
      [name, { before: said(before[name]), after: said(learned(kind)[name]) }]));

    const picture = element("g");
    picture.append(glyph(pen, z, rho, 70, 10, 200));
    const numbersLine = axes({
      width: 380, height: 220, x: [-2, 2], y: [0, 3], title: "what each network says: pale before the step, full after",
      xlabel: "label", yticks: [],
    });
    numbersLine.rule(Math.min(2, Math.max(-2, label)), kind ? "hard" : "easy");
    ["nal", "maml"].forEach((name, k) => {
      const inside = (v) => Math.min(2, Math.max(-2, v));
      const [from, to] = [inside(found[name].before), inside(found[name].after)];
      const y = numbersLine.py(2 - k);
      numbersLine.node.append(element("line", { class: `mb-way ${name}`, x1: numbersLine.px(from), x2: numbersLine.px(to), y1: y, y2: y }));
      numbersLine.dot(from, 2 - k, `${name} pale`);
      numbersLine.dot(to, 2 - k, name);
    });
    const row = (name, text) => [
      name, text, shown(`${name}_before`, found[name].before), shown(`${name}_after`, found[name].after),
      shown(`${name}_error`, Math.abs(found[name].after - label)),
    ];
    const table = numbers("", ["", "before the step", "after it", "error after"], [row("nal", "■ NAL"), row("maml", "● MAML")]);
    const sentence = ["The label of your glyph in this ", kind ? "hard" : "easy", " task is ", shown("label", label), "."];
    return { pictures: { glyph: [picture], line: [numbersLine.node] }, table, sentence };
  };
  const names = ["shift sideways", "lean", "belly", "curl", "shift up and down", "stretch"];
  return mount({
    model, el,
    title: "Bend a glyph, and see what a trained pair of networks says before and after one step",
    size: [{ name: "glyph", width: 340, height: 220 }, { name: "line", width: 380, height: 220 }],
    sliders: [
      ...names.map((label, j) => ({ name: `z${j + 1}`, label: `<i>z</i><sub>${j + 1}</sub>, ${label}`, min: -2.5, max: 2.5, step: 0.1 })),
      { name: "hard", label: "the task", min: 0, max: 1, step: 1, whole: true, names: ["easy", "hard"] },
    ],
    draw,
  });
}

export default { render };
