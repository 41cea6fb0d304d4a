// The first page's picture: hardness.js's two tasks (d = 10, m = 2000, Figure 2), one slider.
// It moves by itself once, to equal tasks and back, unless the reader prefers no motion, and stops at
// the reader's hand.
const [EQUAL, HARD, SECONDS, BACK] = [1, 0.25, 5.5, 0.2];
const FIGURE2 = { m: 2000, d: 10, alpha: 1, distance: 2 * Math.sqrt(10) };

function picture({ rho_hard }) {
  const { half, after, nal, maml, ratio } = solve({ ...FIGURE2, rho_hard });
  const box = axes({
    width: 460, height: 170, x: [-1.25 * half, 1.25 * half], y: [0, 2], xticks: [],
    title: "excess risk after one step, by initialization",
  });
  box.rule(half, "hard");
  box.rule(-half, "easy");
  box.below(half, "hard task", "hard");
  box.below(-half, "easy task", "easy");
  box.curve(after, "ink");
  const named = (w, text, kind, above) => {
    box.dot(w, after(w), kind);
    box.node.append(element("text", { class: `mb-word ${kind}`, x: box.px(w), y: box.py(after(w)) - above, "text-anchor": "middle" }, text));
  };
  named(nal, "■ NAL", "nal", 12);
  named(maml, "● MAML", "maml", rho_hard > 0.9 || rho_hard < 0.02 ? 28 : 12);
  const sentence = ["After one step NAL’s excess risk is ", shown("ratio", ratio), " times MAML’s."];
  return { pictures: { opening: [box.node] }, table: element("div"), sentence };
}

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const model = lone({ rho_hard: HARD });
const el = enliven(({ model, el }) => mount({
  model,
  el,
  title: "Two tasks: the initializations of NAL and MAML, and what one step leaves",
  size: [{ name: "opening", width: 460, height: 170 }],
  sliders: [{ name: "rho_hard", label: "hardness of the hard task, <i>ρ</i><sub>H</sub> from 1 (as easy as the other) to 0.01", min: 0.01, max: 1, step: 0.01, turned: true }],
  draw: picture,
}), model, document.getElementById("opening"));
if (!still) {
  const sentence = el.querySelector(".mb-sentence");
  let playing = true;
  const stop = () => {
    playing = false;
    sentence.setAttribute("aria-live", "polite");
  };
  for (const event of ["pointerdown", "keydown", "input"]) el.addEventListener(event, stop);
  sentence.setAttribute("aria-live", "off"); // not read aloud while nobody asked
  const start = performance.now();
  const play = (now) => {
    if (!playing) return;
    const t = Math.min(1, Math.max(0, now - start) / 1000 / SECONDS);
    const back = t < BACK ? 1 - t / BACK : (t - BACK) / (1 - BACK);
    const eased = back * back * (3 - 2 * back);
    model.set("rho_hard", Number((EQUAL + (HARD - EQUAL) * eased).toFixed(2)));
    if (t < 1) requestAnimationFrame(play);
    else stop();
  };
  requestAnimationFrame(play);
}
