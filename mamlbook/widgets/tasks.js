// A task as the reader's own: the support examples are shown, and a query to place among them.

/** Mulberry32: the same `seed` deals the same task everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** `count` different ones of `items`, in random order. */
function sample(items, count, random) {
  const left = [...items];
  return Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1)[0]);
}

/** The classes of a task, their support examples, and the query: a place and an example. */
function dealt(groups, { ways, shots, distinct }, examples, seed) {
  const random = generator(seed);
  const classes = distinct
    ? sample(groups, ways, random).map((group) => sample(group, 1, random)[0])
    : sample(sample(groups, 1, random)[0], ways, random);
  const answer = Math.floor(random() * ways);
  const supports = classes.map(() => sample([...Array(examples).keys()], shots + 1, random));
  const query = supports[answer][shots];
  return { classes, supports: supports.map((all) => all.slice(0, shots)), answer, query };
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const rows = Math.max(...get("groups").flat()) + 1;
  const frame = element("div", { class: "mb-frame", role: "group", "aria-label": get("title") });
  frame.style.setProperty("--mb-sheet", `url(${get("sheet")})`);
  frame.style.setProperty("--mb-columns", get("examples"));
  frame.style.setProperty("--mb-rows", rows);
  el.classList.add("mb-widget");
  el.append(frame);

  const tile = (row, column) => {
    const node = element("span", { class: "mb-tile" });
    node.style.setProperty("--mb-row", row);
    node.style.setProperty("--mb-column", column);
    return node;
  };
  const button = (attributes, press, ...children) => {
    const node = element("button", { type: "button", ...attributes }, ...children);
    node.addEventListener("click", press);
    return node;
  };
  const put = (changes) => {
    model.set(changes);
    model.save_changes();
  };

  const kinds = element("div", { class: "mb-kinds" });
  const board = element("div", { class: "mb-board" });
  const sentence = element("p", { class: "mb-sentence", "aria-live": "polite" });
  const scores = element("div", { class: "mb-table" });
  frame.append(kinds, board, sentence, scores);

  // The new task replaces what had the focus: it goes to the same button, or else to the question.
  const next = (hardness, to) => {
    put({ hardness, deal: get("deal") + 1 });
    frame.querySelector(to).focus();
  };
  const redraw = () => {
    const hardness = get("hardness");
    const task = dealt(get("groups"), get(hardness), get("examples"), get("deal"));
    let answered = false;
    kinds.replaceChildren(
      ...["easy", "hard"].map((kind) =>
        button({ class: `mb-kind ${kind}`, "aria-pressed": kind === hardness }, () => next(kind, `.mb-kind.${kind}`),
          `${kind === hardness ? "Another" : kind === "easy" ? "An" : "A"} ${kind} task`)),
    );
    const choices = task.classes.map((row, place) =>
      button({ class: "mb-choice", "aria-label": `It belongs to class ${place + 1}` }, () => answer(place),
        ...task.supports[place].map((column) => tile(row, column)),
        element("span", { class: "mb-place", "aria-hidden": "true" }, `${place + 1}`)),
    );
    const query = element("span", { class: "mb-query", role: "img", "aria-label": "the query" },
      tile(task.classes[task.answer], task.query));
    board.replaceChildren(
      element("div", { class: "mb-asked", role: "group", tabindex: -1, "aria-label": "a new task" }, query, element("span", {}, get("question"))),
      element("div", { class: "mb-choices" }, ...choices),
    );
    sentence.replaceChildren("Press the class to which the query belongs.");
    const answer = (place) => {
      if (answered) return;
      answered = true;
      const right = place === task.answer;
      choices[task.answer].classList.add("right");
      if (!right) choices[place].classList.add("wrong");
      const tally = structuredClone(get("tally"));
      tally[hardness] = [tally[hardness][0] + right, tally[hardness][1] + 1];
      const on = button({ class: "mb-next" }, () => next(hardness, ".mb-asked"), "Next");
      sentence.replaceChildren(right ? "Right. " : `No: class ${task.answer + 1}. `, on);
      on.focus();
      put({ tally });
    };
  };
  const score = () => {
    const tally = get("tally");
    const percent = (kind) => {
      const [right, asked] = tally[kind];
      if (!asked) return "–";
      return element("span", {}, shown(`right_${kind}`, right), " of ", shown(`asked_${kind}`, asked));
    };
    const chance = (kind) => element("span", {}, shown(`chance_${kind}`, 100 / get(kind).ways), "%");
    const kinds = ["easy", "hard"];
    const others = Object.entries(get("networks")).map(([name, values]) => [
      "", name, ...kinds.map((kind) => element("span", {}, shown(`${name}_${kind}`, values[kind]), "%")),
    ]);
    scores.replaceChildren(
      numbers("", ["right", "easy", "hard"], [
        ["", "you", ...kinds.map(percent)], ...others, ["", "by chance", ...kinds.map(chance)],
      ]),
    );
  };
  model.on("change:deal", redraw);
  model.on("change:hardness", redraw);
  model.on("change:tally", score);
  redraw();
  score();
  return () => {
    model.off("change:deal", redraw);
    model.off("change:hardness", redraw);
    model.off("change:tally", score);
  };
}

export default { render };
