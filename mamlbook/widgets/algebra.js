// Small dense matrices as arrays of rows.

const range = (n) => Array.from({ length: n }, (_, i) => i);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const mean = (values) => sum(values) / values.length;
const matrix = (rows, columns, f = () => 0) => range(rows).map((i) => range(columns).map((j) => f(i, j)));
const both = (a, b, f) => a.map((row, i) => row.map((x, j) => f(x, b[i][j])));
const scaled = (a, k) => a.map((row) => row.map((x) => x * k));
const transposed = (a) => matrix(a[0].length, a.length, (i, j) => a[j][i]);

function product(a, b) {
  const result = new Array(a.length), columns = b[0].length;
  for (let i = 0; i < a.length; i += 1) {
    const row = new Array(columns).fill(0);
    for (let k = 0; k < b.length; k += 1) for (let j = 0; j < columns; j += 1) row[j] += a[i][k] * b[k][j];
    result[i] = row;
  }
  return result;
}

/** The sum of matrices. */
function added(list) {
  const total = list[0].map((row) => [...row]);
  for (let n = 1; n < list.length; n += 1)
    for (let i = 0; i < total.length; i += 1) for (let j = 0; j < total[i].length; j += 1) total[i][j] += list[n][i][j];
  return total;
}

const minus = (a, b) => both(a, b, (x, y) => x - y);
const masked = (a, adapted) => a.map((row) => row.map((x, j) => x * adapted[j])); // A D
const least = (values) => values.indexOf(Math.min(...values));

/** Solve A X = B by elimination with pivots. */
function solved(a, b) {
  const n = a.length;
  const all = new Array(n);
  for (let i = 0; i < n; i += 1) all[i] = a[i].concat(b[i]);
  for (let k = 0; k < n; k += 1) {
    let pivot = k;
    for (let i = k + 1; i < n; i += 1) if (Math.abs(all[i][k]) > Math.abs(all[pivot][k])) pivot = i;
    [all[k], all[pivot]] = [all[pivot], all[k]];
    for (let i = 0; i < n; i += 1) {
      if (i === k) continue;
      const factor = all[i][k] / all[k][k];
      for (let j = k; j < all[i].length; j += 1) all[i][j] -= factor * all[k][j];
    }
  }
  return all.map((row, i) => row.slice(n).map((x) => x / row[i]));
}

/** Eigenvalues of a symmetric matrix by Jacobi's rotations, ascending. */
function eigenvalues(symmetric) {
  const a = symmetric.map((row) => [...row]);
  const n = a.length;
  for (let sweep = 0; sweep < 60; sweep += 1) {
    let off = 0;
    for (let p = 0; p < n; p += 1) for (let q = p + 1; q < n; q += 1) off += a[p][q] ** 2;
    if (off < 1e-30 * sum(a.map((row, i) => row[i] ** 2))) break;
    for (let p = 0; p < n; p += 1) for (let q = p + 1; q < n; q += 1) {
      if (a[p][q] === 0) continue;
      const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
      const c = 1 / Math.hypot(t, 1), s = t * c;
      for (let k = 0; k < n; k += 1) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
      for (let k = 0; k < n; k += 1) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
    }
  }
  return a.map((row, i) => row[i]).sort((x, y) => x - y);
}
