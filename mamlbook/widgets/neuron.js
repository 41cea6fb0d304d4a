// One softplus neuron in the plane: task losses, one inner step, minimisers and landscapes.

const OPTIMA = [[1, 1], [1, 2], [2, 1], [2, 2]]; // the last task is the hard one, as in our Figure 4
const EASY_VARIANCE = 1;
const WINDOW = [-0.5, 3.5];
const CELLS = 32;
const LEVELS = 12;
const MAP = [380, 384]; // the size of a picture of the window

/**
 * Gauss-Hermite nodes and weights for N(0, I) in the plane, on the half plane x > 0: what follows
 * is even in x. `order` is even, so no node lies on the edge.
 */
function quadrature(order) {
  // orthonormal Hermite polynomials: the last one vanishes at the nodes, and a node's weight is
  // one over the sum of the squares of the others there
  const at = (x) => {
    let [before, now, sum] = [0, 1, 0];
    for (let k = 0; k < order; k += 1) {
      sum += now * now;
      [before, now] = [now, (x * now - Math.sqrt(k) * before) / Math.sqrt(k + 1)];
    }
    return { value: now, weight: 1 / sum };
  };
  const line = [];
  const step = 0.01;
  for (let x = 0; x < Math.sqrt(4 * order + 2); x += step) {
    let [low, high] = [x, x + step];
    if (at(low).value * at(high).value > 0) continue;
    for (let k = 0; k < 60; k += 1) {
      const middle = (low + high) / 2;
      if (at(low).value * at(middle).value > 0) low = middle;
      else high = middle;
    }
    line.push([low, at(low).weight]);
  }
  const nodes = [];
  for (const [x, p] of line)
    for (const [y, q] of line)
      if (p * q > 1e-16) nodes.push([x, y, 2 * p * q], [x, -y, 2 * p * q]);
  return Float64Array.from(nodes.flat());
}

const COARSE = quadrature(10); // for pictures and first guesses
const FINE = quadrature(40); // for every number shown, as in Python

// softplus(z) = z/2 + g(z) with g(z) = log(2 cosh(z/2)) even, g' = tanh(z/2)/2, g'' = 1/4 - g'^2.
// A Taylor step of third order from a table of g and g' is right to 1e-13, and five times as fast
// as exp and log; beyond the table it goes on in a straight line, as g does.
const PER_UNIT = 256;
const TABLE = new Float64Array(2 * 64 * PER_UNIT);
for (let k = 0; k < TABLE.length; k += 2) {
  const z = k / 2 / PER_UNIT;
  TABLE[k] = z / 2 + Math.log1p(Math.exp(-z));
  TABLE[k + 1] = Math.tanh(z / 2) / 2;
}

/** A task on a quadrature: inputs of its variance and their labels. */
function taskOn(rule, [v1, v2], variance) {
  const points = new Float64Array((rule.length / 3) * 4);
  for (let j = 0, k = 0; j < rule.length; j += 3, k += 4) {
    const [x1, x2] = [rule[j] * Math.sqrt(variance), rule[j + 1] * Math.sqrt(variance)];
    const z = Math.abs(v1 * x1 + v2 * x2);
    points.set([x1, x2, rule[j + 2], z / 2 + Math.log1p(Math.exp(-z))], k);
  }
  return { v1, v2, variance, points };
}

const tasksOn = (rule, hard_variance) =>
  OPTIMA.map((optimum, i) => taskOn(rule, optimum, kindOf(i) === "hard" ? hard_variance : EASY_VARIANCE));

/**
 * A task's loss with its gradient and Hessian at (w1, w2), into `out`:
 * f(w) = s/8 |w - v|^2 + 1/2 E (g(w x) - g(v x))^2, as the cross term is odd in x.
 */
function lossAt({ v1, v2, variance, points }, w1, w2, out) {
  let f = 0, g1 = 0, g2 = 0, h11 = 0, h12 = 0, h22 = 0;
  for (let k = 0; k < points.length; k += 4) {
    const x1 = points[k];
    const x2 = points[k + 1];
    const p = points[k + 2];
    const z = w1 * x1 + w2 * x2;
    const size = z < 0 ? -z : z;
    const near = Math.min((size * PER_UNIT + 0.5) | 0, TABLE.length / 2 - 1);
    const off = size - near / PER_UNIT;
    const t0 = TABLE[2 * near + 1];
    const c0 = 0.25 - t0 * t0;
    const r = TABLE[2 * near] + off * (t0 + off * c0 * (0.5 - (off * t0) / 3)) - points[k + 3];
    const t1 = t0 + off * c0 * (1 - off * t0);
    const t = z < 0 ? -t1 : t1;
    const slope = p * r * t;
    const bend = p * (t * t + r * (0.25 - t * t));
    f += p * r * r;
    g1 += slope * x1;
    g2 += slope * x2;
    h11 += bend * x1 * x1;
    h12 += bend * x1 * x2;
    h22 += bend * x2 * x2;
  }
  const quarter = variance / 4;
  out.f = 0.5 * f + 0.5 * quarter * ((w1 - v1) ** 2 + (w2 - v2) ** 2);
  out.g1 = g1 + quarter * (w1 - v1);
  out.g2 = g2 + quarter * (w2 - v2);
  out.h11 = h11 + quarter;
  out.h12 = h12;
  out.h22 = h22 + quarter;
  return out;
}

const BEFORE = {};
const AFTER = {};

/** The mean loss after a step of size alpha from w, and its gradient; NAL is alpha = 0. */
function objective(tasks, alpha, w1, w2) {
  let [f, g1, g2] = [0, 0, 0];
  for (const task of tasks) {
    const a = lossAt(task, w1, w2, BEFORE);
    const b = lossAt(task, w1 - alpha * a.g1, w2 - alpha * a.g2, AFTER);
    f += b.f;
    g1 += b.g1 - alpha * (a.h11 * b.g1 + a.h12 * b.g2);
    g2 += b.g2 - alpha * (a.h12 * b.g1 + a.h22 * b.g2);
  }
  return { f: f / tasks.length, g1: g1 / tasks.length, g2: g2 / tasks.length };
}

/** Newton's method from [w1, w2]; its Hessian is of differences, made positive where it is not. */
function descend(tasks, alpha, [w1, w2]) {
  const h = 1e-4;
  for (let k = 0; k < 60; k += 1) {
    const { f, g1, g2 } = objective(tasks, alpha, w1, w2);
    if (Math.hypot(g1, g2) < 1e-13) break;
    const [right, left] = [objective(tasks, alpha, w1 + h, w2), objective(tasks, alpha, w1 - h, w2)];
    const [up, down] = [objective(tasks, alpha, w1, w2 + h), objective(tasks, alpha, w1, w2 - h)];
    let a = (right.g1 - left.g1) / (2 * h);
    let c = (up.g2 - down.g2) / (2 * h);
    const b = (right.g2 - left.g2 + up.g1 - down.g1) / (4 * h);
    const radius = Math.hypot((a - c) / 2, b);
    const [least, most] = [(a + c) / 2 - radius, (a + c) / 2 + radius];
    const shift = least > 1e-3 * Math.abs(most) ? 0 : Math.abs(least) - least + 1e-2 * Math.abs(most);
    a += shift;
    c += shift;
    const det = a * c - b * b;
    let [s1, s2] = [(b * g2 - c * g1) / det, (b * g1 - a * g2) / det];
    const length = Math.hypot(s1, s2);
    if (length > 0.3) [s1, s2] = [(0.3 * s1) / length, (0.3 * s2) / length];
    // below that length rounding decides which of two losses is less
    for (let tries = 0; tries < 30 && length > 1e-6; tries += 1) {
      if (objective(tasks, alpha, w1 + s1, w2 + s2).f < f) break;
      [s1, s2] = [s1 / 2, s2 / 2];
    }
    [w1, w2] = [w1 + s1, w2 + s2];
    if (length < 1e-11) break;
  }
  return [w1, w2];
}

/** The centre of the k-th cell along either axis of the window. */
const centre = (k) => WINDOW[0] + ((k + 0.5) * (WINDOW[1] - WINDOW[0])) / CELLS;

/** NAL's and MAML's objectives at the centre of every cell of the window. */
function landscapes(tasks, alpha) {
  const values = { nal: new Float64Array(CELLS * CELLS), maml: new Float64Array(CELLS * CELLS) };
  for (let j = 0; j < CELLS; j += 1)
    for (let i = 0; i < CELLS; i += 1)
      for (const task of tasks) {
        const { f, g1, g2 } = lossAt(task, centre(i), centre(j), BEFORE);
        const after = lossAt(task, centre(i) - alpha * g1, centre(j) - alpha * g2, AFTER).f;
        values.nal[j * CELLS + i] += f / tasks.length;
        values.maml[j * CELLS + i] += after / tasks.length;
      }
  return values;
}

/**
 * The lowest minimum in the window: every cell that no neighbour undercuts starts a descent.
 * [NaN, NaN] if there is none: just above alpha = 1/L MAML's may lie far outside.
 */
function minimiser(values, coarse, fine, alpha) {
  let best = { w: [NaN, NaN], f: Infinity };
  for (let j = 1; j < CELLS - 1; j += 1)
    for (let i = 1; i < CELLS - 1; i += 1) {
      const here = values[j * CELLS + i];
      let low = true;
      for (const [di, dj] of [[-1, -1], [0, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [0, 1], [1, 1]])
        low = low && here <= values[(j + dj) * CELLS + i + di];
      if (!low) continue;
      const w = descend(fine, alpha, descend(coarse, alpha, [centre(i), centre(j)]));
      const { f } = objective(fine, alpha, ...w);
      const inside = w.every((v) => v > WINDOW[0] && v < WINDOW[1]);
      if (inside && f < best.f) best = { w, f };
    }
  return best.w;
}

/** Both landscapes and both minimisers for one environment and one inner learning rate. */
function solve(hard_variance, alpha) {
  const [coarse, fine] = [tasksOn(COARSE, hard_variance), tasksOn(FINE, hard_variance)];
  const values = landscapes(coarse, alpha);
  const hard = OPTIMA[OPTIMA.length - 1];
  const start = (name, rate) => {
    const w = minimiser(values[name], coarse, fine, rate);
    return {
      w, toHard: Math.hypot(w[0] - hard[0], w[1] - hard[1]),
      before: objective(fine, 0, ...w).f, after: objective(fine, alpha, ...w).f,
    };
  };
  return { fine, values, nal: start("nal", 0), maml: start("maml", alpha) };
}

/** A square map of the window with a landscape: shades, contours, optima and both minimisers. */
function terrain(now, name, title) {
  const values = now.values[name];
  const [width, height] = MAP;
  const map = axes({ width, height, x: WINDOW, y: WINDOW, title, xlabel: "w_1", ylabel: "w_2" });
  const least = Math.min(...values);
  const root = Array.from(values, (v) => Math.sqrt(v - least));
  const most = Math.max(...root);
  const canvas = element("canvas", { width: CELLS, height: CELLS });
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(CELLS, CELLS);
  for (let j = 0; j < CELLS; j += 1)
    for (let i = 0; i < CELLS; i += 1) {
      const shade = (200 * root[j * CELLS + i]) / most;
      image.data.set([100, 116, 139, shade], 4 * ((CELLS - 1 - j) * CELLS + i));
    }
  brush.putImageData(image, 0, 0);
  const [left, top] = [map.px(WINDOW[0]), map.py(WINDOW[1])];
  map.node.append(
    element("image", {
      href: canvas.toDataURL(), x: left, y: top, width: map.px(WINDOW[1]) - left,
      height: map.py(WINDOW[0]) - top, preserveAspectRatio: "none",
    }),
    element("path", { class: "mb-contour", d: contours(root, most, map) }),
  );
  OPTIMA.forEach(([v1, v2], i) => {
    let d = "";
    for (let k = 0; k < 10; k += 1) {
      const [angle, r] = [(k * Math.PI) / 5, k % 2 ? 3.5 : 8];
      d += `${k ? "L" : "M"}${map.px(v1) + r * Math.sin(angle)} ${map.py(v2) - r * Math.cos(angle)}`;
    }
    map.node.append(element("path", { class: `mb-optimum ${kindOf(i)}`, d: `${d}Z` }));
  });
  for (const kind of ["nal", "maml"]) if (Number.isFinite(now[kind].w[0])) map.dot(...now[kind].w, kind);
  return map;
}

const kindOf = (i) => (i === OPTIMA.length - 1 ? "hard" : "easy");

/**
 * Level lines over the triangles between the cells' centres, in tenths of a pixel: whole numbers
 * make the path's text in half the time.
 */
function contours(root, most, map) {
  const x = Array.from({ length: CELLS }, (_, k) => 10 * map.px(centre(k)));
  const y = Array.from({ length: CELLS }, (_, k) => 10 * map.py(centre(k)));
  let d = "";
  let first = true;
  const cross = (level, i, j, k, l) => {
    const from = root[j * CELLS + i];
    const to = root[l * CELLS + k];
    if (from < level === to < level) return;
    const share = (level - from) / (to - from);
    d += `${first ? "M" : "L"}${Math.round(x[i] + share * (x[k] - x[i]))} ${Math.round(y[j] + share * (y[l] - y[j]))}`;
    first = !first;
  };
  for (let j = 0; j + 1 < CELLS; j += 1)
    for (let i = 0; i + 1 < CELLS; i += 1) {
      const corner = [root[j * CELLS + i], root[j * CELLS + i + 1], root[(j + 1) * CELLS + i], root[(j + 1) * CELLS + i + 1]];
      const [low, high] = [Math.min(...corner), Math.max(...corner)];
      for (let n = Math.ceil((low / most) * LEVELS); n <= (high / most) * LEVELS; n += 1) {
        const level = (n / LEVELS) * most;
        for (const [k, l] of [[i + 1, j], [i, j + 1]]) {
          cross(level, i, j, k, l);
          cross(level, k, l, i + 1, j + 1);
          cross(level, i, j, i + 1, j + 1);
        }
      }
    }
  return d;
}
