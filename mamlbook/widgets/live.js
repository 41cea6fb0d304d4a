// Five characters and a sixth, drawn or dealt; what each network thinks of the sixth before and after
// its inner steps on the five, which a worker takes.

// Measured on Omniglot's drawings of 28 x 28: the median of a drawing's larger side, the mean of its
// centre, and the mean width of a line.
const [GRID, EXTENT, MIDDLE, LINE] = [28, 18, 13.5, 1.2];
const DEALT = ["easy", "hard"];

/** Strokes, lists of points [x, y] in any unit, as the network's drawing: 784 numbers, ink 0 and
 * paper 1. The box about the ink is centred and its larger side is EXTENT. */
function rasterised(strokes) {
  const all = strokes.flat();
  const image = new Float32Array(GRID * GRID).fill(1);
  if (!all.length) return image;
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...all.map((p) => p[axis]))));
  const side = Math.max(high[0] - low[0], high[1] - low[1]);
  const scale = side ? (EXTENT - LINE) / side : 0;
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
/** Weights of `mamlbook.widgets.weights`, without their gzip: a built page has them beside it, as a
 * file over http, as a script where it is a file itself; a notebook asks its kernel. */
async function fetched(model, name) {
  const root = document.documentElement.dataset.content_root;
  let data;
  if (root === undefined) data = await handed(model, name);
  else if (location.protocol === "file:") {
    const script = element("script", { src: `${root}_static/live/${name}.js` });
    await new Promise((done, failed) => {
      [script.onload, script.onerror] = [done, failed];
      document.head.append(script);
    });
    data = Uint8Array.from(atob(window.mbWeights[name]), (c) => c.charCodeAt(0));
  } else {
    const answer = await fetch(`${root}_static/live/${name}.f16`);
    if (!answer.ok) throw new Error(answer.status);
    data = await answer.arrayBuffer();
  }
  const plain = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** The kernel's answer; it fails where no kernel answers. */
const handed = (model, name) => new Promise((done, failed) => {
  const hear = ({ weights }, buffers) => {
    if (weights !== name) return;
    model.off("msg:custom", hear);
    done(buffers[0]);
  };
  model.on("msg:custom", hear);
  model.send({ weights: name });
  setTimeout(failed, 10_000);
});

const kindOf = (name) => (name === "MAML" ? "maml" : name.startsWith("NAL") ? "nal" : "");
const percent = (share) => `${Math.round(100 * share)}%`;
const best = (shares) => shares.indexOf(Math.max(...shares));

function render({ model, el }) {
  const networks = model.get("networks");
  const names = Object.keys(networks);
  const tasks = model.get("tasks");
  const small = model.get("small");
  const found = {}; // name -> {before, after, took}, of the drawings as they are
  let drawings = []; // six of {image, strokes}: the five and the sixth
  let truth = -1; // to which of the five the sixth belongs
  let [chosen, kind, dealt, caret, down] = [0, "", { easy: 0, hard: 0 }, [10, 10], false];

  const button = (attributes, press, ...children) => {
    const node = element("button", { type: "button", ...attributes }, ...children);
    node.addEventListener("click", press);
    return node;
  };
  const picture = (image, attributes = {}) =>
    element("svg", { viewBox: `0 0 ${GRID} ${GRID}`, "aria-hidden": "true", ...attributes }, ...(image ? [inked(image)] : []));
  const deals = [
    ...DEALT.map((own) => button({ class: `mb-deal ${own}` }, () => { load(); deal(own); }, `${own === "easy" ? "An" : "A"} ${own} task`)),
    button({ class: "mb-deal own" }, () => { load(); empty(); }, "Draw six of my own"),
  ];
  const called = (k) => (k < 5 ? `${k + 1}` : "?");
  const thumbs = [0, 1, 2, 3, 4, 5].map((k) =>
    button({ class: "mb-thumb" }, () => choose(k), picture(), element("span", { "aria-hidden": "true" }, called(k))));
  const pad = element("svg", {
    class: "mb-pad", viewBox: `0 0 ${GRID} ${GRID}`, tabindex: 0, role: "application", "aria-roledescription": "drawing pad",
  });
  const answer = element("select", {}, element("option", { value: -1 }, "not said"),
    ...[0, 1, 2, 3, 4].map((k) => element("option", { value: k }, called(k))));
  answer.addEventListener("change", () => { truth = Number(answer.value); draw(); tell(); });
  const wipe = button({ class: "mb-wipe" }, () => { drawings[chosen] = { image: rasterised([]), strokes: [] }; changed(); }, "Wipe");
  const next = button({ class: "mb-next" }, () => choose(unfilled() < 0 ? (chosen + 1) % 6 : unfilled()), "Next");
  const controls = [
    { name: "steps", label: "inner steps", min: 0, max: 10, step: 1, whole: true },
    { name: "rate", label: "inner learning rate, <i>α</i>", min: 0.01, max: 1, log: true },
  ].map((options) => slider(model, options));
  const sentence = element("p", { class: "mb-sentence", "aria-live": "polite" });
  const board = element("div", { class: "mb-thoughts" });
  const hand = element("div", { class: "mb-hand" }, pad,
    element("div", { class: "mb-tools" }, next, wipe),
    element("p", { class: "mb-note" }, "By mouse, finger or pen; or by keyboard: arrow keys move the pen, the space bar puts it down and lifts it."));
  el.classList.add("mb-widget");
  el.append(element("div", { class: `mb-frame mb-live ${small ? "small" : ""}`, role: "group", "aria-label": "Five characters and a sixth: networks adapt to them" },
    element("div", { class: "mb-deals" }, ...deals),
    element("div", { class: "mb-drawn" },
      element("div", { class: "mb-six" },
        element("div", { class: "mb-thumbs" }, ...thumbs),
        element("label", { class: "mb-answer" }, "? is another drawing of ", answer),
        element("p", { class: "mb-note" }, "Drawings are centered, scaled and their lines drawn as wide as Omniglot’s: here is what the networks see.")),
      hand),
    ...(small ? [] : [element("div", { class: "mb-sliders" }, ...controls.map((c) => c.node))]),
    sentence, board,
    element("p", { class: "mb-note" }, "Pale bars: before any step; full bars: after the steps on the five. Dashed: one in five, as by chance.",
      ...(small ? [] : [" On unseen alphabets: accuracy after one step with α = 0.1, with its 95% interval."]))));

  // One request at a time: what changes meanwhile is asked for when its answers are in.
  const worker = new Worker(URL.createObjectURL(new Blob([`(${engine})()`], { type: "text/javascript" })));
  let [loading, loaded, failed, answers, again] = [undefined, false, false, 0, false];
  const hire = async (name) => {
    const { weights, seed } = networks[name];
    const network = { bytes: weights && (await fetched(model, weights)), seed };
    worker.postMessage({ name, network });
  };
  const load = () => {
    failed = false;
    loading ??= Promise.all(names.map(hire)).then(
      () => { loaded = true; tell(); think(); },
      () => { [loading, failed] = [undefined, true]; tell(); },
    );
  };
  const unfilled = () => drawings.findIndex(({ image }) => !image.includes(0));
  const think = () => {
    again = answers > 0;
    if (again || !loaded || unfilled() >= 0) return;
    answers = names.length;
    const support = new Float32Array(5 * GRID * GRID);
    drawings.slice(0, 5).forEach(({ image }, k) => support.set(image, k * GRID * GRID));
    for (const name of names)
      worker.postMessage({ name, support, query: drawings[5].image, rate: model.get("rate"), steps: model.get("steps") });
  };
  worker.onmessage = ({ data: { name, ...thought } }) => {
    answers -= 1;
    if (!again) found[name] = thought;
    if (answers) return;
    if (again) think();
    else tell();
  };

  const verdict = (k) => (truth < 0 ? "" : k === truth ? "right" : "wrong");
  const bars = ({ before, after } = {}) => {
    const [wide, high, foot] = [40, 76, 32];
    const node = element("svg", { class: "mb-picture", viewBox: `0 0 ${5 * wide} ${high + foot}`, "aria-hidden": "true" });
    const level = (share) => 2 + high * (1 - share);
    node.append(element("line", { class: "mb-rule", x1: 0, x2: 5 * wide, y1: level(0.2), y2: level(0.2) }));
    for (let k = 0; k < 5; k += 1) {
      const bar = (share, at, size, age) =>
        element("rect", { class: `mb-share ${age}`, x: k * wide + at, width: size, y: level(share), height: high * share });
      if (after) node.append(bar(before[k], 6, 10, "pale"), bar(after[k], 17, 16, "full"));
      const own = drawings[k].image;
      node.append(element("svg", { x: k * wide + 8, y: high + 5, width: 24, height: 24, viewBox: `0 0 ${GRID} ${GRID}` }, inked(own)));
      if (k === truth) node.append(element("rect", { class: "mb-truth", x: k * wide + 5, y: high + 4, width: 30, height: 26, rx: 4 }));
    }
    node.append(element("line", { class: "mb-axis", x1: 0, x2: 5 * wide, y1: high + 2, y2: high + 2 }));
    return node;
  };
  const figure = (name) => {
    const thought = found[name];
    const said = thought && best(thought.after);
    const { easy, hard } = networks[name];
    const marks = { right: "✓", wrong: "✗", "": "" };
    const share = ([accuracy, ci95]) => `${plain(accuracy)} ± ${plain(ci95)}%`;
    return element("figure", { class: `mb-thought ${kindOf(name)}`, "data-network": name,
      ...(thought ? { "data-before": thought.before.join(" "), "data-after": thought.after.join(" "), "data-took": thought.took } : {}) },
      element("figcaption", {}, element("strong", {}, name), " ",
        element("span", { class: `mb-verdict ${thought ? verdict(said) : ""}` }, thought ? `${called(said)} ${marks[verdict(said)]}` : "")),
      bars(thought),
      element("small", {}, ...(easy
        ? ["on unseen alphabets", element("br"), `easy ${share(easy)}`, element("br"), `hard ${share(hard)}`]
        : ["never trained"])));
  };
  function tell() {
    board.replaceChildren(...names.map(figure));
    const lacking = unfilled();
    if (lacking >= 0)
      sentence.replaceChildren(`Draw ${lacking < 5 ? `character ${lacking + 1} of five` : "the sixth: another drawing of one of the five"}.`);
    else if (failed) sentence.replaceChildren("The networks could not be loaded. Take another task to try again.");
    else if (!loaded) sentence.replaceChildren("The networks are being loaded.");
    else if (names.every((name) => found[name])) {
      const first = (name) => {
        const { after } = found[name];
        const k = best(after);
        return `${name} says ${k + 1} (${percent(after[k])}${verdict(k) && `, ${verdict(k)}`})`;
      };
      const steps = model.get("steps");
      sentence.replaceChildren(
        `${steps === 0 ? "Before any step" : `After ${steps} step${steps > 1 ? "s" : ""}`} ${names.map(first).join("; ")}.`);
    }
  }
  const strokesIn = (k) => drawings[k].strokes;
  function draw() {
    thumbs.forEach((thumb, k) => {
      thumb.firstChild.replaceChildren(inked(drawings[k].image));
      const what = k < 5 ? `Character ${k + 1}` : "The sixth character";
      thumb.setAttribute("aria-label", `${what}, ${drawings[k].image.includes(0) ? "drawn" : "empty"}`);
      thumb.setAttribute("aria-pressed", k === chosen);
      thumb.classList.toggle("true", k === truth);
    });
    deals.forEach((node, i) => node.setAttribute("aria-pressed", [...DEALT, "own"][i] === kind));
    hand.hidden = small && kind !== "own"; // the small form has no room for a pad that is not asked for
    const strokes = strokesIn(chosen);
    pad.setAttribute("aria-label", `Pad for ${chosen < 5 ? `character ${chosen + 1}` : "the sixth character"}. Arrow keys move the pen, space puts it down or lifts it.`);
    pad.replaceChildren(
      ...(strokes ? strokes.map((s) => element("path", { class: "mb-stroke", d: `M${s.join("L")}${s.length < 2 ? "h0" : ""}` })) : [inked(drawings[chosen].image)]),
      element("text", { class: "mb-which", x: 1, y: 3.4 }, called(chosen)),
      element("circle", { class: `mb-caret ${down ? "down" : ""}`, cx: caret[0], cy: caret[1], r: 0.9 }));
    answer.value = truth;
  }
  function changed() {
    for (const name of names) delete found[name];
    draw();
    tell();
    think();
  }
  function choose(k) {
    [chosen, down] = [k, false];
    draw();
    tell();
  }
  const begin = (point) => {
    // A dealt drawing gives way to the reader's first stroke; only the reader knows then what it is.
    if (!strokesIn(chosen)) [truth, drawings[chosen]] = [-1, { image: rasterised([]), strokes: [] }];
    strokesIn(chosen).push([point]);
  };
  const extend = (point) => strokesIn(chosen).at(-1).push(point);
  const finish = () => {
    drawings[chosen].image = rasterised(strokesIn(chosen));
    load();
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

  function deal(own) {
    const task = tasks[own][dealt[own] % tasks[own].length];
    truth = (dealt[own] * 2 + 1) % 5; // another of the five at each deal
    dealt[own] += 1;
    [chosen, down, kind] = [5, false, own];
    drawings = [...task.support, task.query[truth]].map((text) => ({ image: unpacked(text) }));
    changed();
  }
  function empty() {
    [truth, chosen, down, kind] = [-1, 0, false, "own"];
    drawings = thumbs.map(() => ({ image: rasterised([]), strokes: [] }));
    changed();
  }
  const moved = () => {
    for (const control of controls) control.write();
    think();
  };
  for (const name of ["steps", "rate"]) model.on(`change:${name}`, moved);
  // Nothing is fetched before the reader sees it.
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    load();
  });
  deal("hard");
  seen.observe(el);
  return () => {
    seen.disconnect();
    worker.terminate();
    for (const name of ["steps", "rate"]) model.off(`change:${name}`, moved);
  };
}

export default { render };
