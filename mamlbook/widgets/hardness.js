// Two linear tasks of different hardness, Sigma = rho I: equations (8) and (9) for any alpha.

const RHO_EASY = 1;

/** Everything shown. Positions are signed distances along the line, hard at +distance/2. */
function solve({ rho_hard, m, d, alpha, distance }) {
  const a = { hard: curvature(rho_hard, alpha, d, m), easy: curvature(RHO_EASY, alpha, d, m) };
  const half = distance / 2;
  const weighted = (hard, easy) => (half * (hard - easy)) / (hard + easy);
  const quadratic = (hard, easy) => (w) => 0.25 * (hard * (w - half) ** 2 + easy * (w + half) ** 2);
  const before = quadratic(rho_hard, RHO_EASY);
  const after = quadratic(a.hard, a.easy);
  const nal = weighted(rho_hard, RHO_EASY);
  const maml = weighted(a.hard, a.easy);
  const risk = { nal: after(nal), maml: after(maml) };
  return { half, before, after, nal, maml, risk, ratio: risk.nal / risk.maml };
}

function draw(values) {
  const now = solve(values);
  const { half, before, after, nal, maml, risk, ratio } = now;
  const margin = 0.2 * half;
  const x = [-half - margin, half + margin];

  const strip = (title, f) => {
    const top = 1.08 * Math.max(f(x[0]), f(x[1]));
    const box = axes({ width: 380, height: 150, x, y: [0, top], title, xticks: [] });
    box.rule(half, "hard");
    box.rule(-half, "easy");
    box.below(half, "hard task", "hard");
    box.below(-half, "easy task", "easy");
    box.curve(f, "ink");
    box.dot(nal, f(nal), "nal");
    box.dot(maml, f(maml), "maml");
    return box;
  };
  const upper = strip("loss before adaptation (NAL minimizes this)", before);
  const lower = strip("excess risk after one step (MAML minimizes this)", after);
  lower.node.setAttribute("transform", "translate(0 150)");

  const at = (rho) => solve({ ...values, rho_hard: rho });
  let top = 0;
  for (let rho = 0.01; rho <= 1; rho += 0.01) top = Math.max(top, at(rho).risk.nal, at(rho).risk.maml);
  const sweep = axes({
    width: 380, height: 300, x: [1, 0], y: [0, 1.06 * top], xticks: [1, 0.8, 0.6, 0.4, 0.2, 0],
    title: "excess risk by ρ_H (drag the line)", xlabel: "ρ_H: harder to the right (easy task: ρ_E = 1)",
  });
  sweep.rule(values.rho_hard, "ink");
  sweep.curve((rho) => at(Math.max(rho, 1e-3)).risk.nal, "nal");
  sweep.curve((rho) => at(Math.max(rho, 1e-3)).risk.maml, "maml");
  sweep.dot(values.rho_hard, risk.nal, "nal");
  sweep.dot(values.rho_hard, risk.maml, "maml");

  const table = numbers("", ["", "position", "to the hard task", "excess risk"], [
    ["nal", "■ NAL", shown("nal", nal), shown("nal_to_hard", half - nal), shown("nal_risk", risk.nal)],
    ["maml", "● MAML", shown("maml", maml), shown("maml_to_hard", half - maml), shown("maml_risk", risk.maml)],
  ]);
  const middle = Math.abs(maml) < 1e-9 * half; // tasks alike in hardness
  const place = middle ? "halfway between the tasks" : `nearer the ${maml > 0 ? "hard" : "easy"} task`;
  const sentence = [
    `MAML’s initialization is ${place}. After one step NAL’s excess risk is `,
    shown("ratio", ratio), " times MAML’s.",
  ];
  const handle = {
    label: "the hard task’s ρ_H", across: "rho_hard",
    x: sweep.px(values.rho_hard), y: (sweep.low + sweep.high) / 2, read: (x) => ({ rho_hard: sweep.at(x, 0)[0] }),
  };
  return {
    pictures: { line: [upper.node, lower.node], sweep: [sweep.node] }, table, sentence, handles: { sweep: [handle] },
  };
}

function render({ model, el }) {
  return mount({
    model,
    el,
    title: "Two tasks of different hardness: NAL and MAML on the line between them",
    size: [{ name: "line", width: 380, height: 300 }, { name: "sweep", width: 380, height: 300 }],
    sliders: [
      { name: "rho_hard", label: "hardness of the hard task, <i>ρ</i><sub>H</sub> from 1 to 0.01", min: 0.01, max: 1, step: 0.01, turned: true },
      { name: "m", label: "samples to adapt on, <i>m</i>", min: 10, max: 10000, log: true, whole: true },
      { name: "d", label: "dimension, <i>d</i>", min: 1, max: 100, step: 1, whole: true },
      { name: "alpha", label: "inner learning rate, <i>α</i>", min: 0.05, max: 2, step: 0.05 },
      { name: "distance", label: "distance of the tasks, ‖<b>w</b><sub>1</sub>* − <b>w</b><sub>2</sub>*‖", min: 0.5, max: 12, step: 0.1 },
    ],
    draw,
    handles: { sweep: 1 },
  });
}

export default { render };
