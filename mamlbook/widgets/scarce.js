// What the records say at each probability of a hard training task, by the number of steps.

const LINES = [["nal", "■ NAL"], ["maml", "● MAML"], ["classifier", "▲ classifier"], ["none", "untrained"]];
const SIZE = { width: 380, height: 300 };

function render({ model, el }) {
  const [accuracies, ps, chance] = ["accuracies", "ps", "chance"].map((name) => model.get(name));
  const splits = ["test", "train"];
  const last = accuracies.test.hard.maml[0].length - 1;
  const ticks = Array.from({ length: last + 1 }, (_, k) => k).filter((k) => k % 2 === last % 2);

  const draw = ({ p, steps, classes }) => {
    const split = splits[classes];
    const course = (name, hardness) => {
      const each = accuracies[split][hardness][name];
      return each[each.length > 1 ? p : 0]; // the training of some has no p
    };
    const at = (name, hardness, k) => course(name, hardness)[k];
    const panel = (hardness, [low, high]) => {
      const box = axes({
        ...SIZE, x: [0, last], y: [low, high], xticks: ticks, xlabel: "adaptation steps",
        title: `accuracy on ${hardness} tasks, %`,
      });
      box.curve(() => chance[hardness], "chance", 1);
      box.rule(steps, "ink");
      for (const [name] of LINES) {
        const drawn = course(name, hardness);
        const d = drawn.map((height, k) => `${k ? "L" : "M"}${box.px(k).toFixed(2)} ${box.py(height).toFixed(2)}`).join("");
        box.node.append(element("path", { class: `mb-curve ${name}`, d, "data-at": drawn.join(" ") }));
        if (name === "nal" || name === "maml") box.dot(steps, at(name, hardness, steps), name);
        else if (name === "classifier") {
          const [x, y] = [box.px(steps), box.py(at(name, hardness, steps))];
          box.node.append(element("path", { class: "mb-dot classifier", d: `M${x - 6} ${y + 5}L${x + 6} ${y + 5}L${x} ${y - 6}Z` }));
        }
      }
      return box;
    };
    const span = (hardness) => {
      const all = Object.values(accuracies).flatMap((each) => Object.values(each[hardness]).flat(2));
      return [0, 1.06 * Math.max(...all)];
    };
    const [hard, easy] = [panel("hard", span("hard")), panel("easy", [35, span("easy")[1]])];
    const table = numbers("", ["", "hard", "easy"], LINES.map(([name, label]) => [
      name === "classifier" ? "" : name, label, // a class that Sphinx styles in its own way
      shown(`${name}_hard`, at(name, "hard", steps)), shown(`${name}_easy`, at(name, "easy", steps)),
    ]));
    const lead = (one, two) => at(one, "hard", steps) - at(two, "hard", steps);
    const points = (name, value) => [shown(name, Math.abs(value)), ` points ${value < 0 ? "behind" : "ahead of"} `];
    const sentence = [
      `On hard tasks of ${split === "test" ? "test" : "training"} classes, ${steps} step${steps === 1 ? "" : "s"} after training with p = ${ps[p]}, MAML is `,
      ...points("maml_nal", lead("maml", "nal")), "NAL, and ",
      ...points("maml_classifier", lead("maml", "classifier")), "the classifier.",
    ];
    const line = (box) => ({
      label: "adaptation steps", across: "steps", x: box.px(steps), y: (box.low + box.high) / 2,
      read: (x) => ({ steps: box.at(x, 0)[0] }),
    });
    return { pictures: { hard: [hard.node], easy: [easy.node] }, table, sentence, handles: { hard: [line(hard)] } };
  };
  return mount({
    model, el,
    title: "NAL, MAML and a classifier by the number of adaptation steps, at each probability of a hard training task",
    size: [{ name: "hard", ...SIZE }, { name: "easy", ...SIZE }],
    sliders: [
      { name: "p", label: "probability of a hard training task, <i>p</i>", min: 0, max: ps.length - 1, step: 1, whole: true, names: ps.map(String) },
      { name: "steps", label: "adaptation steps", min: 0, max: last, step: 1, whole: true },
      { name: "classes", label: "classes of the tasks", min: 0, max: 1, step: 1, whole: true, names: ["test", "training"] },
    ],
    draw,
    handles: { hard: 1 },
  });
}

export default { render };
