// A budget of samples, split between tasks and the episodes of each: what finite training leaves.

const NAMES = [["nal", "■ NAL"], ["maml", "● MAML"]];
const SIZE = { width: 380, height: 300 };

function render({ model, el }) {
  const [parts, splits, budgets, episode] = ["parts", "splits", "budgets", "episode"].map((name) => model.get(name));
  // Half the mean squared distance from the population solution, (between + within / tau) / 2T, in
  // thousandths.
  const excess = (name, episodes, tau) => {
    const [between, within] = parts[name].map((part) => (500 * part * tau) / episodes);
    return { tasks: between, samples: within / tau, risk: between + within / tau };
  };
  const log = Math.log10;
  const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

  const draw = ({ split, budget }) => {
    const [tau, episodes] = [splits[split], budgets[budget]];
    const now = Object.fromEntries(NAMES.map(([name]) => [name, excess(name, episodes, tau)]));
    const all = NAMES.flatMap(([name]) => splits.map((each) => excess(name, episodes, each).risk));
    const bars = axes({
      ...SIZE, x: [0, 2], y: [0, 1.06 * Math.max(...all)], xticks: [[0.5, "NAL"], [1.5, "MAML"]],
      title: "excess × 1,000: from tasks (full), samples (pale)",
    });
    NAMES.forEach(([name], i) => {
      const { tasks, risk } = now[name];
      bars.box(i + 0.2, i + 0.8, 0, tasks, { class: `mb-bar ${name}`, "data-at": tasks });
      bars.box(i + 0.2, i + 0.8, tasks, risk, { class: `mb-bar ${name}`, "fill-opacity": 0.4, "data-at": risk });
    });
    const range = [log(Math.min(...all)) - 0.05, log(Math.max(...all)) + 0.05];
    const curves = axes({
      ...SIZE, x: [log(splits[0]), log(splits.at(-1))], y: range, xlabel: "episodes per task",
      xticks: [1, 2, 5, 10, 20, 40].map((each) => [log(each), each]),
      yticks: [-1, 0, 1, 2].flatMap((power) => [1, 2, 5].map((k) => [power + log(k), plain(k * 10 ** power)]))
        .filter(([at]) => at >= range[0] && at <= range[1]),
      title: "excess × 1,000 (drag the line)",
    });
    curves.rule(log(tau), "ink");
    for (const [name] of NAMES) {
      curves.curve((at) => log(excess(name, episodes, 10 ** at).risk), name);
      curves.dot(log(tau), log(now[name].risk), name);
    }
    const table = numbers("", ["excess × 1,000", "from tasks", "from samples", "in all", "over the best"], NAMES.map(([name, label]) => [
      name, label, shown(`${name}_tasks`, now[name].tasks), shown(`${name}_samples`, now[name].samples),
      shown(`${name}_risk`, now[name].risk), shown(`${name}_times`, now[name].risk / excess(name, episodes, splits[0]).risk),
    ]));
    const [T, n] = [episodes / tau, tau * episode];
    const sentence = [
      `${count(T)} tasks of ${count(n)} samples each: `,
      ...(tau === splits[0]
        ? ["the best split for both, as many tasks as the budget has."]
        : ["NAL’s excess is ", shown("nal_again", now.nal.risk / excess("nal", episodes, splits[0]).risk), " times and MAML’s ",
          shown("maml_again", now.maml.risk / excess("maml", episodes, splits[0]).risk),
          ` times that of ${count(episodes / splits[0])} tasks of ${count(splits[0] * episode)}.`]),
    ];
    const line = {
      label: "episodes per task", across: "split", x: curves.px(log(tau)), y: (curves.low + curves.high) / 2,
      read: (x) => {
        const off = splits.map((each) => Math.abs(log(each) - curves.at(x, 0)[0]));
        return { split: off.indexOf(Math.min(...off)) };
      },
    };
    return { pictures: { bars: [bars.node], curves: [curves.node] }, table, sentence, handles: { curves: [line] } };
  };
  const dial = (name, label, values, text) =>
    ({ name, label, min: 0, max: values.length - 1, step: 1, whole: true, names: values.map(text) });
  return mount({
    model, el,
    title: "A budget of samples, split between tasks and episodes: the excess that finite training leaves",
    size: [{ name: "bars", ...SIZE }, { name: "curves", ...SIZE }],
    sliders: [
      dial("split", `episodes per task, <i>τ</i> (of ${episode} samples)`, splits, String),
      dial("budget", "budget, in samples", budgets, (episodes) => count(episodes * episode)),
    ],
    draw,
    handles: { curves: 1 },
  });
}

export default { render };
