// The reader's own table: pasted, dropped or chosen, diagnosed on the page; nothing leaves it.

const METHODS = {
  none: "no adaptation", alone: "each task alone (ridge)", nal: "NAL", maml: "MAML",
  fixed: "fixed effects, shrunken intercept", mixed: "Gaussian mixed model", floor: "noise floor",
};

function sentenceOf({ kind, gain, alternative }, support, known) {
  const heading = {
    pays: "MAML’s initialization pays",
    "pays-but": `MAML’s initialization pays, but the method “${alternative ? METHODS[alternative.name] : ""}” is better`,
    "does-not": "MAML’s initialization does not pay",
    "cannot-tell": "These tasks cannot tell whether MAML’s initialization pays",
  }[kind];
  const said = [
    element("strong", {}, heading), `: after adapting on ${support} rows, NAL’s loss is `, shown("gain", gain.value),
    " times MAML’s (interval ", shown("low", gain.low), " to ", shown("high", gain.high),
    `, measured coverage ${Math.round(known.gain_low)} to ${Math.round(known.gain_high)}%)`,
  ];
  if (alternative)
    said.push("; the loss of the better of the two is ", shown("other", alternative.value), " times (",
      shown("other_low", alternative.low), " to ", shown("other_high", alternative.high), `) that of “${METHODS[alternative.name]}”`);
  return [...said, "."];
}

/** The plane of tasks, logarithmic both ways. */
function planeOf(tasks, names) {
  const logs = (values) => {
    const all = values.map((x) => Math.log10(Math.max(x, 1e-6)));
    return [all, [Math.min(...all) - 0.1, Math.max(...all) + 0.1]];
  };
  const [x, wide] = logs(tasks.map((t) => t.before));
  const [y, high] = logs(tasks.map((t) => t.left));
  const powers = ([low, top]) => range(Math.floor(top) - Math.ceil(low) + 1).map((k) => Math.ceil(low) + k).map((k) => [k, plain(10 ** k)]);
  const box = axes({
    width: 420, height: 300, x: wide, y: high, title: "share of the loss that adapting from NAL leaves",
    xlabel: "loss before adapting, in target variances", xticks: powers(wide), yticks: powers(high),
  });
  const most = Math.max(1e-300, ...tasks.map((t) => Math.abs(t.change)));
  tasks.forEach((t, i) => {
    const disc = element("circle", {
      class: `mb-disc ${t.change > 0 ? "helped" : "hurt"}`, cx: box.px(x[i]), cy: box.py(y[i]),
      r: 1.5 + 7 * Math.sqrt(Math.abs(t.change) / most), "data-before": t.before, "data-left": t.left, "data-change": t.change,
    });
    const title = document.createElementNS(SVG, "title");
    title.textContent = names[i];
    disc.append(title);
    box.node.append(disc);
  });
  return box.node;
}

function render({ model, el }) {
  el.classList.add("mb-widget");
  const choices = model.get("examples"), covered = model.get("coverages");
  let table = null;
  const area = element("textarea", { class: "mb-paste", rows: 5, spellcheck: "false", "aria-label": "Your table, as CSV text" });
  const file = element("input", { type: "file", accept: ".csv,.txt,.tsv", "aria-label": "Choose a CSV file" });
  const select = (label) => {
    const input = element("select", {});
    return { input, node: element("label", { class: "mb-field" }, element("span", {}, label), input) };
  };
  const [task, target, adapt] = [select("task"), select("target"), select("adapts")];
  adapt.input.append(element("option", { value: "all" }, "all parameters"), element("option", { value: "intercept" }, "intercept only"));
  const support = element("input", { type: "number", min: 1, max: 1000, value: 5 });
  const features = element("fieldset", { class: "mb-features" });
  const picture = element("svg", { class: "mb-picture", viewBox: "0 0 420 300", role: "img", "aria-label": "Tasks by loss before adapting and share left; the table below gives the numbers" });
  const key = element("p", { class: "mb-key" });
  const sentence = element("p", { class: "mb-sentence", "aria-live": "polite" });
  const numbersBox = element("div", { class: "mb-table" });
  const buttons = Object.keys(choices).map((name) => {
    const node = element("button", { type: "button" }, name);
    node.addEventListener("click", () => load(choices[name].table, choices[name]));
    return node;
  });
  const frame = element("div", { class: "mb-frame mb-own", role: "group", "aria-label": "Diagnose your own tasks" },
    element("div", { class: "mb-kinds" }, element("span", {}, "Try"), ...buttons, element("span", {}, "or your own:"), file),
    area,
    element("div", { class: "mb-fields" }, task.node, target.node, adapt.node,
      element("label", { class: "mb-field" }, element("span", {}, "support rows"), support)),
    features, sentence, picture, key, numbersBox);
  el.append(frame);

  const clear = (said) => {
    sentence.replaceChildren(said);
    picture.replaceChildren();
    picture.style.display = "none";
    key.replaceChildren();
    numbersBox.replaceChildren();
  };
  let waiting = 0;
  const compute = () => { // after the browser has drawn: large tables take a second
    clearTimeout(waiting);
    frame.setAttribute("aria-busy", "true");
    waiting = setTimeout(() => {
      computeNow();
      frame.setAttribute("aria-busy", "false");
    }, 20);
  };
  const computeNow = () => {
    if (!table) return;
    try {
      const asked = {
        task: task.input.value, target: target.input.value, adapt: adapt.input.value, support: Number(support.value),
        features: [...features.querySelectorAll("input:checked")].map((box) => box.value),
      };
      const ready = prepared(table, asked);
      const found = diagnosed(ready.rows, asked);
      sentence.replaceChildren(...sentenceOf(found, asked.support, covered.findLast((each) => each.tasks <= ready.tasks.length)));
      picture.style.display = "";
      picture.replaceChildren(planeOf(found.tasks, ready.tasks));
      const helped = found.tasks.filter((t) => t.change > 0).length;
      const [nal, maml] = [found.loops.nal, found.loops.maml];
      key.replaceChildren(
        element("span", { class: "mb-helped" }, "● "), `MAML helps ${helped} tasks; `,
        element("span", { class: "mb-hurt" }, "○ "), `it hurts ${ready.tasks.length - helped}; a larger disc, a larger change. `,
        `${ready.tasks.length} tasks find a gain of `, shown("least_gain", found.leastGain), " in four cases of five. NAL adapts in ",
        shown("nal_steps", nal.count), nal.count > 1 ? " steps of " : " step of ", shown("nal_alpha", nal.alpha), ", MAML in ",
        shown("maml_steps", maml.count), maml.count > 1 ? " steps of " : " step of ", shown("maml_alpha", maml.alpha), ". Features and target were standardized",
        ready.dropped ? `; ${ready.dropped} tasks with too few rows were dropped.` : ".",
      );
      numbersBox.replaceChildren(numbers("", ["loss on new rows", "mean", "ratio to MAML’s"],
        Object.keys(METHODS).map((name) => [name, METHODS[name], shown(`loss_${name}`, mean(found.losses[name])),
          shown(`over_${name}`, mean(found.losses[name]) / mean(found.losses.maml))])));
    } catch (error) {
      clear(error.message);
    }
  };
  const list = (wanted) => {
    const chosen = wanted ?? table.names.filter((name) => name && name !== task.input.value && name !== target.input.value &&
      looksNumeric(table, name));
    features.replaceChildren(element("legend", {}, "features"), ...table.names
      .filter((name) => name && name !== task.input.value && name !== target.input.value)
      .map((name) => {
        const box = element("input", { type: "checkbox", value: name });
        box.checked = chosen.includes(name);
        box.addEventListener("change", compute);
        return element("label", {}, box, ` ${name}`);
      }));
  };
  const load = (text, asked = {}) => {
    area.value = text;
    try {
      table = parsed(text);
    } catch (error) {
      table = null;
      clear(error.message);
      return;
    }
    const named = table.names.filter(Boolean); // row numbers often have none
    for (const { input } of [task, target]) input.replaceChildren(...named.map((name) => element("option", { value: name }, name)));
    task.input.value = asked.task ?? named[0];
    target.input.value = asked.target ?? named.at(-1);
    adapt.input.value = asked.adapt ?? adapt.input.value;
    support.value = asked.support ?? support.value;
    list(asked.features);
    compute();
  };
  area.addEventListener("input", () => load(area.value));
  const take = (chosen) => chosen && chosen.text().then((text) => load(text));
  file.addEventListener("change", () => take(file.files[0]));
  frame.addEventListener("dragover", (event) => event.preventDefault());
  frame.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  for (const { input } of [task, target]) input.addEventListener("change", () => { list(); compute(); });
  for (const input of [adapt.input, support]) input.addEventListener("change", compute);
  const [first] = Object.values(choices);
  load(first.table, first);
}

export default { render };
