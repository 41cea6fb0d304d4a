// One hard task among four: how NAL's and MAML's landscapes and minimizers move.

function draw({ hard_variance, alpha }) {
  const now = solve(hard_variance, alpha);
  const { nal, maml } = now;
  const row = (kind, label, one) => [
    kind, label, shown(`${kind}_w`, one.w[0]), shown(`${kind}_to_hard`, one.toHard),
    shown(`${kind}_before`, one.before), shown(`${kind}_after`, one.after),
  ];
  const table = numbers("", ["", "w₁\u00a0=\u00a0w₂", "to hard task", "NAL loss", "MAML loss"], [
    row("nal", "■ NAL", nal), row("maml", "● MAML", maml),
  ]);
  const gain = nal.after / maml.after;
  const sentence = Number.isFinite(gain)
    ? ["After one step, NAL’s initialization leaves ", shown("gain", gain), " times the loss that MAML’s leaves."]
    : ["MAML has no minimum in this picture."];
  return {
    pictures: {
      nal: [terrain(now, "nal", "NAL loss: the mean before the step").node],
      maml: [terrain(now, "maml", "MAML loss: the mean after the step").node],
    },
    table, sentence,
  };
}

function render({ model, el }) {
  return mount({
    model, el,
    title: "Four neurons, one of them hard: the landscapes of NAL and MAML and their minimizers",
    size: ["nal", "maml"].map((name) => ({ name, width: MAP[0], height: MAP[1] })),
    sliders: [
      { name: "hard_variance", label: "variance of the hard task’s inputs", min: 0.1, max: 1, step: 0.01 },
      { name: "alpha", label: "inner learning rate, <i>α</i>", min: 0, max: 3, step: 0.01 },
    ],
    draw,
  });
}

export default { render };
