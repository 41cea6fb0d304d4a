// Section 3.2: clouds of easy and hard tasks, both initializations, and where their risks come from.

const D = 10;
const CLOUD = normals(2 * 2 * 60);

/** Fixed standard normal numbers (Box and Muller, from a small linear congruential generator). */
function normals(count) {
  let state = 20220811;
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: count }, () =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

function tinted(text, kind) {
  return element("span", { class: `mb-tinted ${kind}` }, text);
}

function draw(values) {
  const now = mixture({ ...values, d: D });
  const { nal, maml, gain } = now;
  const { R, r_hard, r_easy } = values;

  const span = [-4, 8];
  const map = axes({
    width: 380, height: 330, x: span, y: span, ylabel: "second coordinate",
    title: "solutions of 60 easy and 60 hard tasks", xlabel: "first coordinate",
  });
  const beyond = values.rho_hard > values.rho_easy;
  if (beyond) map.box(...span, ...span, { class: "mb-outside" });
  for (let i = 0; i < CLOUD.length; i += 4) {
    map.dot(Math.sqrt(r_easy) * CLOUD[i], Math.sqrt(r_easy) * CLOUD[i + 1], "easy");
    map.dot(R + Math.sqrt(r_hard) * CLOUD[i + 2], R + Math.sqrt(r_hard) * CLOUD[i + 3], "hard");
  }
  // One standard deviation about either center; a center and a ring are handles.
  const ring = (center, r, kind) => {
    const radius = map.px(Math.sqrt(r)) - map.px(0);
    const [cx, cy] = [map.px(center), map.py(center)];
    map.node.append(
      element("circle", { class: `mb-ring ${kind}`, cx, cy, r: radius }),
      element("line", { class: `mb-ring ${kind}`, x1: cx + radius, x2: cx + radius + 12, y1: cy, y2: cy }));
  };
  ring(0, r_easy, "easy");
  ring(R, r_hard, "hard");
  map.dot(nal.w, nal.w, "nal");
  map.dot(maml.w, maml.w, "maml");

  const bars = axes({
    width: 380, height: 330, x: [0, 2], y: [0, 1.08 * Math.max(nal.risk, maml.risk)],
    title: "excess risk, by the kind of task it comes from", xticks: [[0.5, "NAL"], [1.5, "MAML"]],
  });
  [nal, maml].forEach((one, i) => {
    bars.box(i + 0.2, i + 0.8, 0, one.hard, { class: "mb-bar hard" });
    bars.box(i + 0.2, i + 0.8, one.hard, one.risk, { class: "mb-bar easy" });
  });

  const row = (kind, label, one) => [
    kind, label, shown(`${kind}_coordinate`, one.w), shown(`${kind}_hard`, one.hard),
    shown(`${kind}_easy`, one.easy), shown(`${kind}_risk`, one.risk),
  ];
  const table = numbers("", ["", "coordinate", tinted("from hard", "hard"), tinted("from easy", "easy"), "excess risk"], [
    row("nal", "■ NAL", nal), row("maml", "● MAML", maml),
  ]);
  const sentence = [
    "NAL’s excess risk is ", shown("gain", gain), " times MAML’s; the paper’s estimate 1 + R²/r",
    element("sub", {}, "H"), " says ", shown("estimate", 1 + R ** 2 / r_hard),
    ...(beyond ? [", but the estimate is for ρ", element("sub", {}, "H"), " far below ρ", element("sub", {}, "E"),
      ": here, shaded, the tasks called hard are the easier ones"] : []),
    ...(values.rho_hard > 2 * values.rho_easy ? [", and the step, α = 1/ρ", element("sub", {}, "E"),
      " above 2/ρ", element("sub", {}, "H"), ", takes them away from their solutions"] : []),
    ".",
  ];
  // A center moves along the diagonal; a ring is held to its right, where no small one is hidden.
  const right = 24;
  const spread = (center, name, label) => ({
    label, across: name, x: map.px(center + Math.sqrt(values[name])) + right, y: map.py(center),
    read: (x) => ({ [name]: Math.max(0, map.at(x - right, 0)[0] - center) ** 2 }),
  });
  const handles = [
    { label: "the center of the hard tasks", across: "R", x: map.px(R), y: map.py(R), read: (x, y) => ({ R: (map.at(x, y)[0] + map.at(x, y)[1]) / 2 }) },
    spread(R, "r_hard", "the spread of the hard tasks"),
    spread(0, "r_easy", "the spread of the easy tasks"),
  ];
  return { pictures: { map: [map.node], bars: [bars.node] }, table, sentence, handles: { map: handles } };
}

function render({ model, el }) {
  const hardness = { min: 0.01, max: 1, step: 0.01, turned: true };
  return mount({
    model, el,
    title: "Easy and hard tasks: the initializations of NAL and MAML, and what remains after one step",
    size: [{ name: "map", width: 380, height: 330 }, { name: "bars", width: 380, height: 330 }],
    sliders: [
      { name: "R", label: "distance of the centers, <i>R</i>", min: 0, max: 4, step: 0.05 },
      { name: "r_hard", label: "spread of the hard tasks, <i>r</i><sub>H</sub>", min: 0.01, max: 4, log: true },
      { name: "r_easy", label: "spread of the easy tasks, <i>r</i><sub>E</sub>", min: 0.01, max: 4, log: true },
      { name: "rho_hard", label: "hardness of the hard tasks, <i>ρ</i><sub>H</sub> from 1 to 0.01", ...hardness },
      { name: "rho_easy", label: "hardness of the easy tasks, <i>ρ</i><sub>E</sub>", ...hardness },
      { name: "m", label: "samples to adapt on, <i>m</i>", min: 10, max: 10000, log: true, whole: true },
    ],
    draw,
    handles: { map: 3 },
  });
}

export default { render };
