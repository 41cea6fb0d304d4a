// Choose any initialization: one step of every task from there, and what it leaves.

const LIMITS = { min: WINDOW[0], max: WINDOW[1], step: 0.01 };
let known = {}; // the environment solved last: moving the initialization does not change it
let map;

function draw({ w1, w2, hard_variance, alpha }) {
  if (known.hard_variance !== hard_variance || known.alpha !== alpha)
    known = { hard_variance, alpha, ...solve(hard_variance, alpha) };
  const { fine, nal, maml } = known;

  map = terrain(known, "maml", "MAML loss, and one step of every task");
  const steps = fine.map((task, i) => {
    const { f, g1, g2 } = lossAt(task, w1, w2, {});
    const to = [w1 - alpha * g1, w2 - alpha * g2];
    map.node.append(
      element("line", { class: `mb-step ${kindOf(i)}`, x1: map.px(w1), y1: map.py(w2), x2: map.px(to[0]), y2: map.py(to[1]) }),
      element("circle", { class: `mb-bar ${kindOf(i)}`, cx: map.px(to[0]), cy: map.py(to[1]), r: 4 }),
    );
    return { to, before: f, after: lossAt(task, ...to, {}).f };
  });
  map.node.append(element("circle", { class: "mb-start", cx: map.px(w1), cy: map.py(w2), r: 6 }));

  const mean = (key) => steps.reduce((sum, step) => sum + step[key], 0) / steps.length;
  const bars = axes({
    width: MAP[0], height: MAP[1], x: [0, steps.length], y: [0, 1.05 * Math.max(...steps.flatMap((s) => [s.before, s.after]))],
    title: "each task’s loss, before (pale) and after",
    xticks: steps.map((_, i) => [i + 0.5, `task ${i + 1}`]),
  });
  steps.forEach((step, i) => {
    bars.box(i + 0.2, i + 0.8, 0, step.before, { class: `mb-bar ${kindOf(i)}`, "fill-opacity": 0.35 });
    bars.box(i + 0.35, i + 0.65, 0, step.after, { class: `mb-bar ${kindOf(i)}` });
  });

  const rows = steps.map((step, i) => [
    "", `${i + 1}, ${kindOf(i)}`, shown(`w1_${i + 1}`, step.to[0]), shown(`w2_${i + 1}`, step.to[1]),
    shown(`before_${i + 1}`, step.before), shown(`after_${i + 1}`, step.after),
  ]);
  rows.push(["", "mean", "", "", shown("before", mean("before")), shown("after", mean("after"))]);
  const table = numbers("", ["task", "w₁ after", "w₂ after", "loss before", "loss after"], rows);
  const sentence = [
    "From here one step leaves a mean loss of ", shown("left", mean("after")), "; from NAL’s initialization ■ it is ",
    shown("nal", nal.after), ", from MAML’s ● ", shown("maml", maml.after), ".",
  ];
  const ring = {
    label: "the initialization", across: "w1", up: "w2", x: map.px(w1), y: map.py(w2),
    read: (x, y) => Object.fromEntries(map.at(x, y).map((v, i) => [`w${i + 1}`, v])),
  };
  return { pictures: { map: [map.node], bars: [bars.node] }, table, sentence, handles: { map: [ring] } };
}

function render({ model, el }) {
  return mount({
    model, el,
    title: "Choose the initialization: one adaptation step of each of four tasks, and its loss",
    size: ["map", "bars"].map((name) => ({ name, width: MAP[0], height: MAP[1] })),
    sliders: [
      { name: "w1", label: "initialization, <i>w</i><sub>1</sub> (or press on the map)", ...LIMITS },
      { name: "w2", label: "initialization, <i>w</i><sub>2</sub>", ...LIMITS },
      { name: "hard_variance", label: "variance of the hard task’s inputs (task 4)", min: 0.1, max: 1, step: 0.01 },
      { name: "alpha", label: "inner learning rate, <i>α</i>", min: 0, max: 3, step: 0.01 },
    ],
    draw,
    handles: { map: 1 },
    press: {
      picture: "map",
      place: (x, y) => {
        const [w1, w2] = map.at(x, y).map((v) => Math.min(LIMITS.max, Math.max(LIMITS.min, Number(v.toFixed(2)))));
        return { w1, w2 };
      },
    },
  });
}

export default { render };
