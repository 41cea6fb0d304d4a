// What every picture of the book is made of: sliders, axes, curves and shown numbers.
// No dependency; each widget's own script follows this text in the same module.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text. */
function element(tag, attributes = {}, ...children) {
  const node = ["svg", "g", "path", "line", "circle", "rect", "text", "tspan", "image"].includes(tag)
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Shown to `digits` significant digits, held in full: <data value="0.123456789">0.123</data>. */
function shown(name, value, digits = 3) {
  return element("data", { class: "mb-number", "data-name": name, value }, plain(value, digits));
}

/** A number for people: no exponent between 0.001 and 100,000, and a true minus sign. */
function plain(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e5)
      ? value.toExponential(digits - 1).replace(/e([+-])(\d+)/, (_, sign, power) =>
          ` × 10${[...`${sign === "-" ? "-" : ""}${power}`].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("")}`)
      : Number(value.toPrecision(digits)).toString();
  return text.replace("-", "−");
}

/** A number as people type it: a comma or a point, any minus sign; NaN if it is none. */
function typed(text) {
  const plainly = text.trim().replace("−", "-").replace(",", ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plainly) ? Number(plainly) : NaN;
}

/**
 * A labelled range input tied to the model's trait `name`, and a box beside it to type the value.
 * On a log scale the input moves over the logarithm, and whole numbers stay whole. One that is
 * `turned` has its largest value on the left. Of `names`, one for each whole number, the box shows
 * and takes one of them. What the box cannot take is answered by a sentence, and the value stays.
 */
function slider(model, { name, label, min, max, step, log = false, whole = false, turned = false, names }) {
  const forth = log ? Math.log10 : turned ? (x) => -x : (x) => x;
  const [low, high] = [min, max].map(forth).sort((a, b) => a - b);
  const input = element("input", { type: "range", min: low, max: high, step: log ? 0.01 : step, "data-name": name });
  const words = element("span", { class: "mb-label" });
  words.innerHTML = label;
  const box = element("input", {
    class: "mb-box", type: "text", inputmode: names ? "text" : "decimal", autocomplete: "off", spellcheck: "false",
    "data-box": name, "aria-label": `${words.textContent}: type a value`,
  });
  const refusal = element("span", { class: "mb-refusal", role: "alert" });
  const say = (value) => (names ? names[value] : whole ? String(value) : plain(value));
  const parse = (text) =>
    names ? names.findIndex((one) => one === text.trim() || typed(one) === typed(text)) : typed(text);
  const allowed = (value) => (names ? value >= 0 : value >= min && value <= max && (!whole || Number.isInteger(value)));
  const read = () => {
    const value = log ? 10 ** Number(input.value) : turned ? -input.value : Number(input.value);
    return whole ? Math.round(value) : Number(value.toPrecision(6));
  };
  const write = () => {
    const value = model.get(name);
    if (read() !== value) input.value = forth(value);
    // What was typed stays as it was typed, and what is being typed is left alone.
    if (parse(box.value) !== value && !box.dataset.typing) box.value = say(value);
    input.setAttribute("aria-valuetext", say(value));
  };
  const set = (value) => {
    refusal.textContent = "";
    box.removeAttribute("aria-invalid");
    delete box.dataset.typing;
    model.set(name, value);
    model.save_changes();
  };
  const send = () => set(read());
  input.addEventListener("input", send);
  box.addEventListener("input", () => { box.dataset.typing = true; });
  box.addEventListener("change", () => {
    const [text, value, kept] = [box.value.trim(), parse(box.value), say(model.get(name))];
    delete box.dataset.typing;
    if (allowed(value)) set(value);
    else {
      const wanted = names ? `one of ${names.join(", ")}` : `a${whole ? " whole" : ""} number from ${plain(min)} to ${plain(max)}`;
      refusal.textContent = `“${text.slice(0, 20)}” is not ${wanted}; ${kept} stays.`;
      box.setAttribute("aria-invalid", "true");
      box.value = kept;
    }
    write();
  });
  // `put` takes the nearest value that the input can have; `move` goes a fiftieth of its way.
  const put = (value) => {
    input.value = forth(log ? Math.max(value, min) : value);
    send();
  };
  const move = (direction) => {
    const way = (high - low) / 50;
    input.value = Number(input.value) + direction * Math.max(way, Number(input.step));
    send();
  };
  write();
  const node = element("div", { class: "mb-slider" }, element("label", {}, words, input), box, refusal);
  return { node, name, input, write, put, move };
}

/** Round tick positions: about `count` of them between low and high. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((s) => s >= rough);
  const result = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1)
    result.push(k * step);
  return result;
}

/** Text for a picture; `ρ_H` sets the H as a subscript. */
function lettering(attributes, text) {
  const node = element("text", attributes);
  text.split(/(_\w)/).forEach((part, i) => {
    if (i % 2) node.append(element("tspan", { dy: 3, "font-size": "75%" }, part[1]));
    else if (part) node.append(element("tspan", i ? { dy: -3 } : {}, part));
  });
  return node;
}

/** Axes with ticks in a box of width x height; px and py map data to the picture, `at` maps back. */
function axes({ width, height, x, y, xlabel, ylabel, title, xticks, yticks }) {
  const [left, right, top, bottom] = [48, 10, 22, xlabel ? 36 : 20];
  const scale = ([low, high], from, to) => (v) => from + ((v - low) / (high - low)) * (to - from);
  const px = scale(x, left, width - right);
  const py = scale(y, height - bottom, top);
  const node = element("g");
  const named = (t) => (Array.isArray(t) ? t : [t, plain(t).replace(/[.]?0* × /, `·`)]);
  for (const [t, text] of (yticks ?? ticks(...y, 4)).map(named)) {
    node.append(
      element("line", { class: "mb-grid", x1: left, x2: width - right, y1: py(t), y2: py(t) }),
      element("text", { class: "mb-tick", x: left - 5, y: py(t) + 4, "text-anchor": "end" }, text),
    );
  }
  for (const [t, text] of (xticks ?? ticks(...x, 5)).map(named))
    node.append(
      element("text", { class: "mb-tick", x: px(t), y: height - bottom + 14, "text-anchor": "middle" }, text),
    );
  node.append(
    element("line", { class: "mb-axis", x1: left, x2: width - right, y1: py(y[0]), y2: py(y[0]) }),
    lettering({ class: "mb-title", x: 4, y: 13 }, title),
  );
  if (ylabel)
    node.append(
      lettering({ class: "mb-tick", transform: `translate(16 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, ylabel),
    );
  if (xlabel)
    node.append(
      lettering({ class: "mb-tick", x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, xlabel),
    );
  const curve = (f, kind, steps = 120) => {
    let d = "";
    for (let i = 0; i <= steps; i += 1) {
      const v = x[0] + ((x[1] - x[0]) * i) / steps;
      const h = f(v);
      if (Number.isFinite(h)) d += `${d ? "L" : "M"}${px(v).toFixed(2)} ${py(h).toFixed(2)}`;
    }
    node.append(element("path", { class: `mb-curve ${kind}`, d }));
  };
  const dot = (v, h, kind) => {
    const at = { class: `mb-dot ${kind}` };
    node.append(
      kind === "easy" || kind === "hard"
        ? element("circle", { class: `mb-task ${kind}`, cx: px(v), cy: py(h), r: 2.2 })
        : kind === "nal"
        ? element("rect", { ...at, x: px(v) - 5, y: py(h) - 5, width: 10, height: 10 })
        : element("circle", { ...at, cx: px(v), cy: py(h), r: 5.5 }),
    );
  };
  const rule = (v, kind) =>
    node.append(element("line", { class: `mb-rule ${kind}`, x1: px(v), x2: px(v), y1: top, y2: height - bottom }));
  const box = (x0, x1, y0, y1, attributes) => {
    const [left, upper] = [px(x0), py(y1)];
    const rect = element("rect", { x: left, y: upper, width: px(x1) - left, height: py(y0) - upper, ...attributes });
    node.append(rect);
    return rect;
  };
  const below = (v, text, kind) =>
    node.append(lettering({ class: `mb-word ${kind}`, x: px(v), y: height - bottom + 14, "text-anchor": "middle" }, text));
  const [dx, dy] = [scale([left, width - right], ...x), scale([height - bottom, top], ...y)];
  const at = (h, v) => [dx(h), dy(v)];
  return { node, px, py, at, box, curve, dot, rule, below, low: height - bottom, high: top };
}

/**
 * What is dragged in a picture, by mouse, pen or finger, and moved by arrow keys. It lies over the
 * picture, which screen readers do not see. Each drawing says where it is, a handle of
 * `x`, `y`: in the picture; `label`; `across` and `up`: the traits that the arrow keys move;
 * `read(x, y)`: values of traits when it is dragged to x, y.
 */
function grip(picture, { width, height }, controls) {
  const node = element("div", { class: "mb-handle", role: "slider", tabindex: 0 });
  const control = (name) => controls.find((one) => one.name === name);
  const inPicture = ({ clientX, clientY }) =>
    new DOMPoint(clientX, clientY).matrixTransform(picture.getScreenCTM().inverse());
  let handle;
  let away; // from the pointer to the handle's middle, while it is held
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    node.focus({ preventScroll: true });
    node.setPointerCapture(event.pointerId);
    const point = inPicture(event);
    away = [handle.x - point.x, handle.y - point.y];
  });
  node.addEventListener("pointermove", (event) => {
    if (!away) return;
    const point = inPicture(event);
    const values = handle.read(point.x + away[0], point.y + away[1]);
    for (const [name, value] of Object.entries(values)) control(name).put(value);
  });
  for (const end of ["pointerup", "pointercancel"])
    node.addEventListener(end, () => { away = undefined; });
  const KEYS = { ArrowLeft: ["across", -1], ArrowRight: ["across", 1], ArrowDown: ["up", -1], ArrowUp: ["up", 1] };
  node.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    const [axis, direction] = KEYS[event.key];
    event.preventDefault();
    control(handle[axis] ?? handle.across).move(direction);
  });
  const place = (now) => {
    handle = now;
    node.style.left = `${(100 * handle.x) / width}%`;
    node.style.top = `${(100 * handle.y) / height}%`;
    const { input } = control(handle.across);
    const said = [handle.across, handle.up].filter(Boolean).map((name) => control(name).input.getAttribute("aria-valuetext"));
    const aria = { label: handle.label, valuemin: input.min, valuemax: input.max, valuenow: input.value, valuetext: said.join(", ") };
    for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
  };
  return { node, place };
}

/**
 * Mount a widget: sliders above, pictures, then numbers and a sentence that is also read aloud.
 * `draw(values)` returns { pictures: {name: svg node}, table: node, sentence: nodes }; where
 * `handles` says how many a picture has, by its name, also { handles: {name: what `grip` takes} }.
 * With `press`, pointing into its picture sets the traits `press.place(x, y)`; sliders say them too.
 */
function mount({ model, el, title, sliders, size, draw, press, handles = {} }) {
  const controls = sliders.map((options) => slider(model, options));
  const pictures = size.map(({ width, height }) =>
    element("svg", { class: "mb-picture", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }),
  );
  const grips = size.map(({ name, ...box }, i) =>
    Array.from({ length: handles[name] ?? 0 }, () => grip(pictures[i], box, controls)));
  const stages = size.map(({ name }, i) =>
    element("div", { class: `mb-stage mb-${name}` }, pictures[i], ...grips[i].map(({ node }) => node)));
  const table = element("div", { class: "mb-table" });
  const sentence = element("p", { class: "mb-sentence", "aria-live": "polite" });
  el.classList.add("mb-widget");
  el.append(
    element(
      "div",
      { class: "mb-frame", role: "group", "aria-label": title },
      element("div", { class: "mb-sliders" }, ...controls.map((c) => c.node)),
      element("div", { class: "mb-pictures" }, ...stages),
      table,
      sentence,
    ),
  );
  if (press) {
    const picture = pictures[size.findIndex(({ name }) => name === press.picture)];
    const place = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
      model.set(press.place(point.x, point.y));
      model.save_changes();
    };
    picture.classList.add("mb-press");
    picture.addEventListener("click", place); // a touch that scrolls the page is no click
    picture.addEventListener("pointermove", (event) => {
      if (event.buttons && event.pointerType !== "touch") place(event);
    });
  }
  let waiting = false;
  const redraw = () => {
    waiting = false;
    for (const control of controls) control.write();
    const values = Object.fromEntries(sliders.map(({ name }) => [name, model.get(name)]));
    const drawn = draw(values);
    size.forEach(({ name }, i) => {
      pictures[i].replaceChildren(...drawn.pictures[name]);
      grips[i].forEach(({ place }, k) => place(drawn.handles[name][k]));
    });
    table.replaceChildren(drawn.table);
    sentence.replaceChildren(...drawn.sentence);
  };
  const soon = () => {
    if (!waiting) requestAnimationFrame(redraw);
    waiting = true;
  };
  for (const { name } of sliders) model.on(`change:${name}`, soon);
  redraw();
  return () => sliders.forEach(({ name }) => model.off(`change:${name}`, soon));
}

/** A table of numbers: a header row, then rows of [label, ...cells]. */
function numbers(caption, header, rows) {
  const cell = (tag, content, scope) => element(tag, scope ? { scope } : {}, content);
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...header.map((h) => cell("th", h, "col")))),
    element(
      "tbody",
      {},
      ...rows.map(([kind, label, ...cells]) =>
        element("tr", { class: kind }, cell("th", label, "row"), ...cells.map((c) => cell("td", c))),
      ),
    ),
  );
}
