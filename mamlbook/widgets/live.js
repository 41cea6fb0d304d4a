// Five characters and a sixth, drawn or dealt; what each network thinks of it before and after its
// inner steps on the five, which a worker takes.

// Measured on Omniglot's drawings of 28 x 28: the median of a drawing's larger side, the mean of its
// centre, and the mean width of a line.
const [GRID, EXTENT, MIDDLE, LINE] = [28, 18, 13.5, 1.2];
const DEALT = ["easy", "hard"];

/** Strokes, lists of points [x, y] in any unit, as the network's drawing: 784 numbers, ink 0 and
 * paper 1. The box about them is centred and its larger side is EXTENT. */
function rasterised(strokes) {
  const all = strokes.flat();
  const image = new Float32Array(GRID * GRID).fill(1);
  if (!all.length) return image;
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...all.map((p) => p[axis]))));
  const side = Math.max(high[0] - low[0], high[1] - low[1]);
  const scale = side ? EXTENT / side : 0;
  const put = (p) => p.map((v, axis) => (v - (low[axis] + high[axis]) / 2) * scale + MIDDLE);
  for (const stroke of strokes) {
    const points = stroke.map(put);
    points.forEach(([x1, y1], i) => {
      const [x0, y0] = points[Math.max(0, i - 1)];
      const [dx, dy] = [x1 - x0, y1 - y0];
      const long = dx * dx + dy * dy;
      for (let row = 0; row < GRID; row += 1)
        for (let column = 0; column < GRID; column += 1) {
          const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
          const t = long ? Math.min(1, Math.max(0, (x * dx + y * dy) / long)) : 0;
          if (Math.hypot(x - t * dx, y - t * dy) <= LINE / 2) image[row * GRID + column] = 0;
        }
    });
  }
  return image;
}

/** A dealt drawing: 784 bits in base64, 1 where there is ink. */
function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return Float32Array.from({ length: GRID * GRID }, (_, i) => 1 - ((bytes[i >> 3] >> (7 - (i & 7))) & 1));
}

/** The ink of a drawing as a path in a box of GRID x GRID. */
const inked = (image) => {
  let d = "";
  image.forEach((value, i) => { if (!value) d += `M${i % GRID} ${Math.floor(i / GRID)}h1v1h-1z`; });
  return element("path", { class: "mb-ink", d });
};
const kindOf = (name) => (name === "MAML" ? "maml" : name.startsWith("NAL") ? "nal" : "");
const percent = (share) => `${Math.round(100 * share)} %`;

function render({ model, el }) {
  const networks = model.get("networks");
  const names = Object.keys(networks);
  const tasks = model.get("tasks");
  let drawings = []; // six of {image, strokes}: the five and the sixth
  let truth = -1; // to which of the five the sixth belongs
  let [chosen, dealt, caret, down] = [0, { easy: 0, hard: 0 }, [10, 10], false];
  const found = {};

  const button = (attributes, press, ...children) => {
    const node = element("button", { type: "button", ...attributes }, ...children);
    node.addEventListener("click", press);
    return node;
  };
  const kinds = element("div", { class: "mb-deals" },
    ...DEALT.map((kind) => button({ class: `mb-deal ${kind}` }, () => deal(kind), `${kind === "easy" ? "An" : "A"} ${kind} task`)),
    button({ class: "mb-deal own" }, () => empty(), "Draw six"));
  const called = (k) => (k < 5 ? `${k + 1}` : "?");
  const thumbs = [0, 1, 2, 3, 4, 5].map((k) =>
    button({ class: "mb-thumb" }, () => choose(k),
      element("svg", { viewBox: `0 0 ${GRID} ${GRID}`, "aria-hidden": "true" }), element("span", { "aria-hidden": "true" }, called(k))));
  const pad = element("svg", {
    class: "mb-pad", viewBox: `0 0 ${GRID} ${GRID}`, tabindex: 0, role: "application", "aria-roledescription": "drawing pad",
  });
  const answer = element("select", { "aria-label": "To which of the five the sixth belongs" },
    element("option", { value: -1 }, "not said"), ...[0, 1, 2, 3, 4].map((k) => element("option", { value: k }, called(k))));
  answer.addEventListener("change", () => { truth = Number(answer.value); tell(); });
  const wipe = button({ class: "mb-wipe" }, () => { drawings[chosen] = { image: rasterised([]), strokes: [] }; changed(); }, "Wipe");
  const controls = [
    { name: "steps", label: "inner steps", min: 0, max: 10, step: 1, whole: true },
    { name: "rate", label: "inner learning rate, <i>α</i>", min: 0.01, max: 1, log: true },
  ].map((options) => slider(model, options));
  const sentence = element("p", { class: "mb-sentence", "aria-live": "polite" });
  const board = element("div", { class: "mb-thoughts" });
  const heard = element("p", { class: "mb-keys" },
    "By keyboard: the arrow keys move the pen over the pad, the space bar puts it down or lifts it.");
  el.classList.add("mb-widget");
  el.append(element("div", { class: "mb-frame mb-live", role: "group", "aria-label": "Five characters and a sixth: networks adapt to them" },
    kinds,
    element("div", { class: "mb-drawn" },
      element("div", { class: "mb-thumbs" }, ...thumbs),
      element("div", { class: "mb-hand" }, pad, element("div", { class: "mb-tools" }, wipe,
        element("label", {}, "The sixth, ?, is another ", answer)), heard)),
    ...(model.get("small") ? [] : [element("div", { class: "mb-sliders" }, ...controls.map((c) => c.node))]),
    sentence, board,
    element("p", { class: "mb-keys" }, "Pale: what the network thinks before any step; full: after its steps on the five. ✓: the right one.")));

  // One request at a time: what changes meanwhile is asked for when its answers are in.
  const worker = new Worker(URL.createObjectURL(new Blob([`(${engine})()`], { type: "text/javascript" })));
  let [asked, answers, again] = [0, 0, false];
  for (const name of names) worker.postMessage({ name, network: { data: networks[name].data, seed: networks[name].seed } });
  const ready = () => drawings.every(({ image }) => image.includes(0));
  const think = () => {
    if (!ready()) { tell(); return; }
    if (answers) { again = true; return; }
    [asked, answers, again] = [asked + 1, names.length, false];
    const support = new Float32Array(5 * GRID * GRID);
    drawings.slice(0, 5).forEach(({ image }, k) => support.set(image, k * GRID * GRID));
    for (const name of names)
      worker.postMessage({ id: asked, name, support, query: drawings[5].image, rate: model.get("rate"), steps: model.get("steps") });
  };
  worker.onmessage = ({ data }) => {
    found[data.name] = data;
    answers -= 1;
    if (answers) return;
    if (again) think();
    else tell();
  };

  const bars = (name) => {
    const { before, after } = found[name];
    const [wide, high] = [40, 74];
    const picture = element("svg", { class: "mb-picture", viewBox: `0 0 ${5 * wide} ${high + 18}`, "aria-hidden": "true" });
    for (let k = 0; k < 5; k += 1) {
      const bar = (share, at, size, kind) =>
        element("rect", { class: `mb-bar mb-share ${kindOf(name)} ${kind}`, x: k * wide + at, width: size, y: 2 + high * (1 - share), height: high * share });
      picture.append(bar(before[k], 6, 10, "pale"), bar(after[k], 17, 16, "full"),
        element("text", { x: k * wide + 20, y: high + 15, "text-anchor": "middle", class: k === truth ? "mb-true" : "" }, called(k) + (k === truth ? " ✓" : "")));
    }
    picture.append(element("line", { class: "mb-axis", x1: 0, x2: 5 * wide, y1: high + 2, y2: high + 2 }));
    return picture;
  };
  function tell() {
    wipe.disabled = !drawings[chosen].image.includes(0);
    if (!ready()) {
      const empty = drawings.findIndex(({ image }) => !image.includes(0));
      sentence.replaceChildren(`Draw ${empty < 5 ? `character ${empty + 1} of five` : "the sixth: another drawing of one of the five"}, or take a task.`);
      board.replaceChildren();
      return;
    }
    if (names.some((name) => !found[name])) return;
    const first = (name) => {
      const { after } = found[name];
      const k = after.indexOf(Math.max(...after));
      const judged = truth < 0 ? "" : k === truth ? ", right" : ", wrong";
      return `${name} says ${k + 1} (${percent(after[k])}${judged})`;
    };
    const steps = model.get("steps");
    sentence.replaceChildren(
      `${steps === 0 ? "Before any step" : `After ${steps} step${steps > 1 ? "s" : ""}`} `, `${names.map(first).join("; ")}.`);
    board.replaceChildren(...names.map((name) => {
      const { easy, hard } = networks[name];
      return element("figure", { class: `mb-thought ${kindOf(name)}`, "data-network": name, "data-after": found[name].after.join(" "), "data-took": found[name].took },
        element("figcaption", {}, element("strong", {}, name)), bars(name),
        element("small", {}, easy === undefined ? "never trained" : `right on unseen alphabets: ${easy} % easy, ${hard} % hard`));
    }));
  }
  const strokesIn = (k) => drawings[k].strokes;
  function draw() {
    thumbs.forEach((thumb, k) => {
      thumb.firstChild.replaceChildren(inked(drawings[k].image));
      const what = k < 5 ? `Character ${k + 1}` : "The sixth character";
      thumb.setAttribute("aria-label", `${what}, ${drawings[k].image.includes(0) ? "drawn" : "empty"}`);
      thumb.setAttribute("aria-pressed", k === chosen);
    });
    const strokes = strokesIn(chosen);
    pad.setAttribute("aria-label", `Pad for ${chosen < 5 ? `character ${chosen + 1}` : "the sixth character"}. Arrow keys move the pen, space puts it down or lifts it.`);
    pad.replaceChildren(
      ...(strokes ? strokes.map((s) => element("path", { class: "mb-stroke", d: `M${s.join("L")}${s.length < 2 ? "h0" : ""}` })) : [inked(drawings[chosen].image)]),
      element("circle", { class: `mb-caret ${down ? "down" : ""}`, cx: caret[0], cy: caret[1], r: 0.9 }));
    answer.value = truth;
  }
  function changed() {
    draw();
    think();
    if (!ready()) tell();
  }
  function choose(k) {
    [chosen, down] = [k, false];
    draw();
    tell();
  }
  const begin = (point) => {
    // A dealt drawing gives way to the reader's first stroke.
    if (!strokesIn(chosen)) drawings[chosen] = { image: rasterised([]), strokes: [] };
    strokesIn(chosen).push([point]);
  };
  const extend = (point) => strokesIn(chosen).at(-1).push(point);
  const finish = () => {
    drawings[chosen].image = rasterised(strokesIn(chosen));
    changed();
  };
  const at = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(pad.getScreenCTM().inverse());
    return [point.x, point.y].map((v) => Number(Math.min(GRID, Math.max(0, v)).toFixed(2)));
  };
  let held = false;
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    pad.focus({ preventScroll: true });
    pad.setPointerCapture(event.pointerId);
    [held, down] = [true, false];
    begin(at(event));
    draw();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!held) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) extend(at(each));
    draw();
  });
  for (const end of ["pointerup", "pointercancel"])
    pad.addEventListener(end, () => {
      if (held) finish();
      held = false;
    });
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  pad.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      down = !down;
      if (down) begin([...caret]);
      finishIf(!down || strokesIn(chosen).at(-1).length === 1);
    } else if (MOVES[event.key]) {
      caret = caret.map((v, axis) => Math.min(GRID - 2, Math.max(2, v + 2 * MOVES[event.key][axis])));
      if (down) extend([...caret]);
      finishIf(down);
    } else return;
    event.preventDefault();
  });
  const finishIf = (inking) => (inking && strokesIn(chosen) ? finish() : draw());

  function deal(kind) {
    const task = tasks[kind][dealt[kind] % tasks[kind].length];
    truth = (dealt[kind] * 2 + 1) % 5; // another of the five at each deal
    dealt[kind] += 1;
    [chosen, down] = [5, false];
    drawings = [...task.support, task.query[truth]].map((text) => ({ image: unpacked(text) }));
    changed();
  }
  function empty() {
    [truth, chosen, down] = [-1, 0, false];
    drawings = thumbs.map(() => ({ image: rasterised([]), strokes: [] }));
    changed();
  }
  const moved = () => {
    for (const control of controls) control.write();
    think();
  };
  for (const name of ["steps", "rate"]) model.on(`change:${name}`, moved);
  deal("hard");
  return () => {
    worker.terminate();
    for (const name of ["steps", "rate"]) model.off(`change:${name}`, moved);
  };
}

export default { render };
