// Gradient descent on both objectives for the two tasks of Figure 2 (d = 10, m = 2000, alpha = 1),
// in the plane of both solutions and the initialization; the solutions are at (1, 0) and (-1, 0).

const [RHO_EASY, D, M, ALPHA, STEPS] = [1, 10, 2000, 1, 60];
const TASKS = [["hard", 1], ["easy", -1]];
const SPEED = [1.2, 0.15]; // outer steps in a second: at first, and more with each

/** Coordinate k of an initialization after each of the outer steps, and where they lead. */
function descend(rate, start, curvatures) {
  const mean = (curvatures[0] + curvatures[1]) / 2;
  const goal = [(curvatures[0] - curvatures[1]) / (2 * mean), 0];
  const path = Array.from({ length: STEPS + 1 }, (_, k) =>
    start.map((s, i) => goal[i] + (1 - rate * mean) ** k * (s - goal[i])));
  return { goal, path };
}

/**
 * All that is drawn. The first half of an outer step moves the initialization, in the second half
 * the inner steps go out to the tasks; between two outer steps they are whole.
 */
function scene({ step, rho_hard, rate, x, y }) {
  const rhos = [rho_hard, RHO_EASY];
  const after = rhos.map((rho) => curvature(rho, ALPHA, D, M));
  const risk = ([u, v]) =>
    TASKS.reduce((sum, [, at], i) => sum + 0.25 * D * after[i] * ((u - at) ** 2 + v ** 2), 0);
  const k = Math.floor(step);
  const part = step - k;
  const reach = part === 0 ? 1 : Math.max(0, 2 * part - 1);
  const one = (curvatures) => {
    const { goal, path } = descend(rate, [x, y], curvatures);
    const [from, to] = [path[k], path[Math.min(k + 1, STEPS)]];
    const at = from.map((u, i) => u + Math.min(2 * part, 1) * (to[i] - u));
    const fan = TASKS.map(([kind, task], i) => {
      const length = reach * ALPHA * rhos[i];
      return [kind, [at[0] + length * (task - at[0]), at[1] - length * at[1]]];
    });
    return { goal, path, at, fan, way: [...path.slice(0, k + 1), at], risk: risk(at), best: risk(goal), risks: path.map(risk) };
  };
  return { k, nal: one(rhos), maml: one(after) };
}

const KINDS = ["nal", "maml"];

function draw(values) {
  const now = scene(values);
  const { nal, maml, k } = now;
  const plane = axes({
    width: 380, height: 300, x: [-1.6, 1.6], y: [-0.7, -0.7 + (3.2 * 242) / 322], xticks: [-1, 0, 1], yticks: [0, 1],
    title: "initializations (■ NAL, ● MAML), inner steps", xlabel: "along the line between the tasks",
  });
  const put = (tag, attributes, ...at) => {
    const node = element(tag, { ...attributes, "data-at": at.flat(2).join(" ") });
    plane.node.append(node);
    return node;
  };
  for (const [kind, at] of TASKS) {
    put("circle", { class: `mb-optimum ${kind}`, cx: plane.px(at), cy: plane.py(0), r: 6 }, at, 0);
    plane.node.append(lettering({ class: `mb-word ${kind}`, x: plane.px(at), y: plane.py(0) + 20, "text-anchor": "middle" }, `${kind} task`));
  }
  for (const name of KINDS) {
    const { way, at, fan } = now[name];
    put("path", { class: `mb-curve ${name}`, d: way.map(([u, v], i) => `${i ? "L" : "M"}${plane.px(u).toFixed(2)} ${plane.py(v).toFixed(2)}`).join("") }, way);
    for (const [kind, to] of fan) {
      const ends = { x1: plane.px(at[0]), y1: plane.py(at[1]), x2: plane.px(to[0]), y2: plane.py(to[1]) };
      put("line", { class: `mb-step ${kind}`, "data-of": name, ...ends }, at, to);
      put("circle", { class: `mb-optimum ${kind}`, cx: ends.x2, cy: ends.y2, r: 3.5 }, to);
    }
    plane.dot(...at, name);
  }

  const top = 1.06 * Math.max(...nal.risks, ...maml.risks);
  const risks = axes({
    width: 380, height: 300, x: [0, STEPS], y: [0, top], xlabel: "outer steps",
    title: "excess risk after a step (drag the line)",
  });
  risks.rule(values.step, "ink");
  for (const name of KINDS) {
    risks.curve((t) => now[name].risks[Math.round(t)], name, STEPS);
    Object.assign(risks.node.lastChild.dataset, { of: "risk", at: now[name].risks.join(" ") });
    risks.dot(values.step, now[name].risk, name);
  }

  const table = numbers("", ["", "along", "across", "excess risk", "at its minimizer"], KINDS.map((name) => [
    name, name === "nal" ? "■ NAL" : "● MAML", shown(`${name}_x`, now[name].at[0]), shown(`${name}_y`, now[name].at[1]),
    shown(`${name}_risk`, now[name].risk), shown(`${name}_best`, now[name].best),
  ]));
  const sentence = [
    k ? `After ${k} outer step${k > 1 ? "s" : ""} NAL’s excess risk is ` : "Before training NAL’s excess risk is ",
    shown("ratio", nal.risk / maml.risk), " times MAML’s; at the two minimizers it is ", shown("limit", nal.best / maml.best), " times.",
  ];
  const handles = {
    plane: [{
      label: "the first initialization", across: "x", up: "y", x: plane.px(values.x), y: plane.py(values.y),
      read: (u, v) => Object.fromEntries(plane.at(u, v).map((w, i) => ["xy"[i], w])),
    }],
    risks: [{
      label: "outer steps", across: "step", x: risks.px(values.step), y: (risks.low + risks.high) / 2,
      read: (u) => ({ step: risks.at(u, 0)[0] }),
    }],
  };
  return { pictures: { plane: [plane.node], risks: [risks.node] }, table, sentence, handles };
}

/** Buttons that move `step`: it plays until its end or the reader's hand, and where the reader
 * prefers no motion it is at the end at once. */
function player(model, el) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const sentence = el.querySelector(".mb-sentence");
  const set = (step) => {
    model.set("step", Math.min(step, STEPS));
    model.save_changes();
  };
  let asked;
  const stop = () => {
    cancelAnimationFrame(asked);
    asked = undefined;
    play.textContent = "play";
    sentence.setAttribute("aria-live", "polite"); // what stands at the end is read aloud
  };
  const run = () => {
    if (model.get("step") >= STEPS) set(0);
    if (still.matches) return set(STEPS);
    play.textContent = "pause";
    sentence.setAttribute("aria-live", "off");
    let last = performance.now();
    const next = (time) => {
      const step = model.get("step") + (Math.max(0, time - last) / 1000) * (SPEED[0] + SPEED[1] * model.get("step"));
      last = time;
      if (step >= STEPS || !el.isConnected) stop();
      else asked = requestAnimationFrame(next);
      set(step);
    };
    asked = requestAnimationFrame(next);
  };
  const pause = () => {
    stop();
    set(Math.round(model.get("step")));
  };
  const button = (name, act) => {
    const node = element("button", { type: "button" }, name);
    node.addEventListener("click", act);
    return node;
  };
  const play = button("play", () => (asked === undefined ? run() : pause()));
  const one = button("one step", () => {
    stop();
    set(Math.floor(model.get("step")) + 1);
  });
  const back = button("start again", () => {
    stop();
    set(0);
  });
  el.querySelector(".mb-sliders").before(element("div", { class: "mb-play" }, play, one, back));
  const hand = ({ type, target }) => asked !== undefined && (type === "input" || target.closest(".mb-handle")) && stop();
  for (const type of ["input", "pointerdown", "keydown"]) el.addEventListener(type, hand, true);
  return stop;
}

function render({ model, el }) {
  const place = { step: 0.02 };
  const leave = mount({
    model, el,
    title: "Gradient descent on the objectives of NAL and MAML: outer steps, and the inner steps from where they lead",
    size: [{ name: "plane", width: 380, height: 300 }, { name: "risks", width: 380, height: 300 }],
    sliders: [
      { name: "step", label: "outer steps", min: 0, max: STEPS, step: 0.25 },
      { name: "rho_hard", label: "hardness of the hard task, <i>ρ</i><sub>H</sub> from 1 to 0.01", min: 0.01, max: 1, step: 0.01, turned: true },
      { name: "rate", label: "outer learning rate, <i>η</i>", min: 0.1, max: 1.9, step: 0.1 },
      { name: "x", label: "first initialization, along", min: -1.5, max: 1.5, ...place },
      { name: "y", label: "first initialization, across", min: -0.5, max: 1.5, ...place },
    ],
    draw,
    handles: { plane: 1, risks: 1 },
  });
  const stop = player(model, el);
  return () => {
    stop();
    leave();
  };
}

export default { render };
