// The diagnosis of `mamlbook.diagnose`, step by step the same: see there for what each part means.

const FOLDS = 10, SPLITS = 8, GRID = 12, SPARE = 3, LEAST = 10, ITERATIONS = 60, AT_MOST = 200;
const LEAST_LOSS = 1e-6, STILL = 1e-8, THRESHOLD = 1.05, POWER = 0.8416;
const PENALTIES = [1e-6, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

const steepest = (second, adapted) =>
  eigenvalues(second.map((row, i) => row.map((x, j) => x * adapted[i] * adapted[j]))).at(-1);

/** The sum of weight z z' over rows z. */
function scatter(rows, weight = () => 1) {
  const q = rows[0].length;
  const total = matrix(q, q);
  rows.forEach((z, r) => {
    const w = weight(r);
    for (let i = 0; i < q; i += 1) for (let j = 0; j < q; j += 1) total[i][j] += w * z[i] * z[j];
  });
  return total;
}

/** Means over different rows of products of one, two and three z z': see `quadratics.moments`. */
function momentsOf(rows, adapted) {
  const n = rows.length, pair = n * (n - 1);
  const total = scatter(rows);
  const a = rows.map((z) => sum(z.map((x, i) => x * x * adapted[i])));
  const across = product(masked(total, adapted), total);
  const g = rows.map((z) => {
    const d = z.map((x, i) => x * adapted[i]);
    return sum(product([d], total)[0].map((x, i) => x * d[i]));
  });
  const once = scatter(rows, (r) => a[r]);
  const twice = scatter(rows, (r) => g[r] - a[r] ** 2);
  const equal = product(masked(once, adapted), total);
  const three = minus(
    minus(product(masked(across, adapted), total), both(equal, transposed(equal), (x, y) => x + y)),
    scatter(rows, (r) => g[r] - 2 * a[r] ** 2),
  );
  return {
    one: scaled(total, 1 / n),
    two: scaled(minus(across, once), 1 / pair),
    three: scaled(three, 1 / (pair * (n - 2))),
    twice: scaled(twice, 1 / pair),
  };
}

/** M of one step, exactly. */
function quadraticOf({ one, two, three, twice }, alpha, m) {
  return matrix(one.length, one.length, (i, j) =>
    one[i][j] - alpha * (two[i][j] + two[j][i]) +
    alpha ** 2 * (three[i][j] + (twice[i][j] - three[i][j]) / m));
}

/** Mulberry32, as in Python. */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Means of z z' over the support and over the query rows of each split. */
function splitOf(rows, m, seed) {
  const n = rows.length, random = uniform(seed), order = range(n);
  for (let i = n - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return range(SPLITS).map((r) => {
    const first = Math.floor((r * n) / SPLITS);
    const at = (k) => rows[order[(first + k) % n]];
    return {
      support: scaled(scatter(range(m).map(at)), 1 / m),
      query: scaled(scatter(range(n - m).map((k) => at(m + k))), 1 / (n - m)),
    };
  });
}

/** M of K steps on the same rows, the mean over the splits. */
function stepsOf(splits, adapted, alpha, steps) {
  return scaled(added(splits.map(({ support, query }) => {
    const step = support.map((row, i) => row.map((x, j) => (i === j ? 1 : 0) - alpha * adapted[i] * x));
    let walk = step;
    for (let k = 1; k < steps; k += 1) walk = product(walk, step);
    return product(product(transposed(walk), query), walk);
  })), 1 / splits.length);
}

const lossOf = (quadratic, w) => {
  const v = [...w, -1];
  let total = 0;
  for (let i = 0; i < v.length; i += 1) for (let j = 0; j < v.length; j += 1) total += v[i] * quadratic[i][j] * v[j];
  return total;
};
const minimizer = (total) => {
  const p = total.length - 1;
  return solved(total.slice(0, p).map((row) => row.slice(0, p)), total.slice(0, p).map((row) => [row[p]])).map((x) => x[0]);
};
const foldSums = (list) => range(FOLDS).map((f) => added(list.filter((_, i) => i % FOLDS === f)));
const foldTotals = (list) => range(FOLDS).map((f) => sum(list.filter((_, i) => i % FOLDS === f)));

function definite(list) {
  const parts = foldSums(list), total = added(parts), p = total.length - 1;
  return parts.every((part) => {
    const values = eigenvalues(minus(total, part).slice(0, p).map((row) => row.slice(0, p)));
    return values[0] > 1e-9 * values.at(-1);
  });
}

/** Losses of tasks left out, the inner loop chosen on other folds: `train(g)` and `tests[g]`. */
function tunedOn(trains, tests) {
  const inner = tests.map((test, g) => {
    const parts = foldSums(trains[g]), judged = foldSums(test), total = added(parts);
    return range(FOLDS).map((f) => sum(range(FOLDS).filter((k) => k !== f).map((k) =>
      lossOf(judged[k], minimizer(minus(minus(total, parts[f]), parts[k]))))));
  });
  const whole = tests.map((test, g) => {
    const parts = foldSums(trains[g]), judged = foldSums(test), total = added(parts);
    return sum(range(FOLDS).map((f) => lossOf(judged[f], minimizer(minus(total, parts[f])))));
  });
  const chosen = range(FOLDS).map((f) => least(inner.map((row) => row[f])));
  const totals = chosen.map((g) => added(trains[g]));
  const losses = tests[0].map((_, i) => {
    const g = chosen[i % FOLDS];
    return lossOf(tests[g][i], minimizer(minus(totals[i % FOLDS], trains[g][i])));
  });
  return { losses, best: least(whole) };
}

/** Each task alone. */
function ridgeOf(splits) {
  const losses = PENALTIES.map((penalty) => splits.map((task) => mean(task.map(({ support, query }) => {
    const q = support.length, centre = support[0].slice(1), p = q - 2;
    const c = matrix(q - 1, q - 1, (i, j) => support[i + 1][j + 1] - centre[i] * centre[j]);
    const slopes = solved(
      matrix(p, p, (i, j) => c[i][j] + (i === j ? penalty : 0)), range(p).map((i) => [c[i][p]]),
    ).map((x) => x[0]);
    return lossOf(query, [centre[p] - sum(slopes.map((b, i) => b * centre[i])), ...slopes]);
  }))));
  const parts = losses.map(foldTotals);
  const chosen = range(FOLDS).map((f) => least(parts.map((part) => sum(part) - part[f])));
  return splits.map((_, i) => losses[chosen[i % FOLDS]][i]);
}

/** The mixed model: posterior mean and covariance of a task's coefficients, and the fit. */
function posterior({ centre, covariance, noise }, second, n) {
  const p = centre.length, k = n / noise;
  const a = new Array(p), pull = new Array(p);
  for (let i = 0; i < p; i += 1) {
    const row = (a[i] = new Array(p));
    let left = k * second[i][p];
    for (let j = 0; j < p; j += 1) {
      row[j] = k * second[i][j];
      left -= row[j] * centre[j];
    }
    pull[i] = [left];
  }
  const across = product(covariance, a);
  for (let i = 0; i < p; i += 1) across[i][i] += 1;
  const spread = solved(across, covariance);
  return { w: product(spread, pull).map((x, i) => x[0] + centre[i]), spread };
}
function residual(second, { w, spread }) {
  let total = lossOf(second, w);
  for (let i = 0; i < w.length; i += 1) for (let j = 0; j < w.length; j += 1) total += second[i][j] * spread[j][i];
  return total;
}
function mixedFit(all, sizes) {
  const step = Math.ceil(sizes.length / AT_MOST);
  const second = all.filter((_, i) => i % step === 0), rows = sizes.filter((_, i) => i % step === 0);
  const count = sum(rows), p = second[0].length - 1, n = rows.length;
  const pooled = scaled(added(second.map((s, i) => scaled(s, rows[i]))), 1 / count);
  const start = minimizer(pooled);
  const left = pooled[p][p] - sum(start.map((x, i) => x * pooled[i][p]));
  let model = { centre: start, covariance: matrix(p, p, (i, j) => (i === j ? left / 2 : 0)), noise: Math.max(left / 2, 1e-12) };
  for (let k = 0; k < ITERATIONS; k += 1) {
    const found = second.map((s, i) => posterior(model, s, rows[i]));
    const centre = range(p).map((j) => mean(found.map(({ w }) => w[j])));
    const inner = scaled(added(found.map(({ spread }) => spread)), 1 / n);
    const covariance = matrix(p, p, (i, j) => (inner[i][j] + inner[j][i]) / 2 +
      sum(found.map(({ w }) => (w[i] - centre[i]) * (w[j] - centre[j]))) / n);
    const noise = sum(second.map((s, i) => rows[i] * residual(s, found[i]))) / count;
    model = { centre, covariance, noise: Math.max(noise, 1e-12) };
  }
  return model;
}

/** Student's quantile, the ratio of means and its interval. */
function student(tasks) {
  const z = 1.959963984540054, n = tasks - 1;
  return z + (z ** 3 + z) / 4 / n + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 / n ** 2 +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 / n ** 3 +
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160 / n ** 4;
}
const deviation = (values) => {
  const centre = mean(values);
  return Math.sqrt(sum(values.map((x) => (x - centre) ** 2)) / (values.length - 1));
};
function ratioOf(above, below) {
  const [a, b] = [mean(above), mean(below)];
  const error = deviation(above.map((x, i) => x / a - below[i] / b)) / Math.sqrt(above.length);
  const width = student(above.length) * error;
  return { value: a / b, low: (a / b) * Math.exp(-width), high: (a / b) * Math.exp(width), error };
}

/** The whole diagnosis of standardized rows z = (1, x, y) of each task. */
function diagnosed(rows, { support: m, adapt, steps = [1, 5] }) {
  const q = rows[0][0].length;
  const mask = (kind) => range(q).map((j) => (j === 0 || (kind === "all" && j < q - 1) ? 1 : 0));
  const adapted = mask(adapt);
  const moments = rows.map((z) => momentsOf(z, adapted));
  const one = moments.map((moment) => moment.one);
  const splits = rows.map((z, i) => splitOf(z, m, i + 1));
  const sizes = rows.map((z) => z.length);
  const limit = Math.max(...one.map((second) => steepest(second, adapted)));
  const widest = Math.max(...splits.flat().map(({ support }) => steepest(support, adapted)));
  const loops = steps.flatMap((count) => range(GRID).flatMap((k) => {
    const alpha = (1.9 / limit) * 50 ** (-k / (GRID - 1));
    if (count > 1 && alpha * widest >= 1) return [];
    const made = count === 1
      ? moments.map((moment) => quadraticOf(moment, alpha, m))
      : splits.map((task) => stepsOf(task, adapted, alpha, count));
    return definite(made) ? [{ count, alpha, made }] : [];
  }));
  if (!loops.length) throw new Error("The tasks’ mean curvature is singular without some of them; leave out features that vary in few tasks.");
  const tests = loops.map(({ made }) => made);
  const nal = tunedOn(tests.map(() => one), tests);
  const maml = tunedOn(tests, tests);
  const level = adapt === "intercept" ? moments : rows.map((z) => momentsOf(z, mask("intercept")));
  const within = rows.map((z, i) => {
    const n = z.length, centre = one[i][0];
    return matrix(q, q, (a, b) => (a === 0 ? centre[b] : b === 0 ? 0 : ((one[i][a][b] - centre[a] * centre[b]) * n) / (n - 1) + (a === b && a < q - 1 ? STILL : 0)));
  });
  const shares = range(GRID).map((k) => 0.7 ** k);
  const mixed = rows.map(() => 0);
  for (let f = 0; f < FOLDS; f += 1) {
    const model = mixedFit(one.filter((_, i) => i % FOLDS !== f), sizes.filter((_, i) => i % FOLDS !== f));
    for (let i = f; i < rows.length; i += FOLDS)
      mixed[i] = mean(splits[i].map(({ support, query }) => lossOf(query, posterior(model, support, m).w)));
  }
  const model = mixedFit(one, sizes);
  const losses = {
    none: tunedOn([one], [one]).losses,
    alone: ridgeOf(splits),
    nal: nal.losses,
    maml: maml.losses,
    fixed: tunedOn(shares.map(() => within), shares.map((share) => level.map((moment) => quadraticOf(moment, share, m)))).losses,
    mixed,
    floor: one.map((second, i) => residual(second, posterior(model, second, sizes[i]))),
  };
  for (const name of Object.keys(losses)) losses[name] = losses[name].map((x) => Math.max(x, LEAST_LOSS));
  const gain = ratioOf(losses.nal, losses.maml);
  const [base] = ["nal", "maml"].sort((a, b) => mean(losses[a]) - mean(losses[b]));
  const [other] = ["none", "alone", "fixed", "mixed"].sort((a, b) => mean(losses[a]) - mean(losses[b]));
  const found = ratioOf(losses[base], losses[other]);
  const alternative = found.low > THRESHOLD ? { name: other, ...found } : null;
  const kind = gain.low > THRESHOLD ? (alternative ? "pays-but" : "pays") : gain.high < THRESHOLD ? "does-not" : "cannot-tell";
  const spread = student(rows.length);
  return {
    kind, gain, alternative, losses,
    loops: { nal: loops[nal.best], maml: loops[maml.best] },
    leastGain: THRESHOLD * Math.exp((spread + POWER) * gain.error),
    tasks: rows.map((_, i) => ({ before: losses.none[i], left: losses.nal[i] / losses.none[i], change: losses.nal[i] - losses.maml[i] })),
  };
}
