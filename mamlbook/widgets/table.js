// The reader's table as text: read, checked in one sentence each, and standardized, with the words
// of `mamlbook.diagnose.table`.

const MOST_ROWS = 20000, MOST_TASKS = 1000, MOST_FEATURES = 8, CLASSES = 20;
const EMPTY = ["", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "null", "NULL", "None"];
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i, INFINITE = /^[-+]?inf(inity)?$/i;
const TRUTH = { True: 1, TRUE: 1, true: 1, False: 0, FALSE: 0, false: 0 };

const refuse = (sentence) => { throw new Error(sentence); };
const quoted = (name) => (name.includes("'") && !name.includes('"') ? `"${name}"` : `'${name.replaceAll("'", "\\'")}'`);

/** The cells of a CSV text, quotes and all; a semicolon or a tab serves as well as a comma. */
function cells(text) {
  const head = text.split(/\r?\n/, 1)[0];
  const comma = [",", ";", "\t"].sort((a, b) => head.split(b).length - head.split(a).length)[0];
  const table = [[""]];
  let inside = false;
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length; i += 1) {
    const c = text[i], row = table.at(-1);
    if (c === '"') {
      if (inside && text[i + 1] === '"') { row[row.length - 1] += c; i += 1; } else inside = !inside;
    } else if (!inside && c === comma) row.push("");
    else if (!inside && (c === "\n" || c === "\r")) {
      if (c === "\r" && text[i + 1] === "\n") i += 1;
      table.push([""]);
    } else if (inside || c !== " " || row.at(-1) !== "") row[row.length - 1] += c; // as pandas, no spaces before a cell
  }
  return table.filter((row) => row.length > 1 || row[0].trim());
}

/** Names and rows of a table; an Error, in one sentence, if the text is none. */
function parsed(text) {
  const [head, ...rows] = cells(text);
  if (!head) refuse("This is no table: give a header line and one row for each observation.");
  const names = head.map((name) => name.trim());
  const twice = names.filter((name, i) => name && names.indexOf(name) !== i).sort()[0];
  if (twice !== undefined) refuse(`The column name ${quoted(twice)} stands twice; rename one.`);
  const long = rows.findIndex((row) => row.length > names.length && row.slice(names.length).some((cell) => cell !== ""));
  if (long >= 0) refuse(`Row ${long + 2} has ${rows[long].length} cells and the first line ${names.length}; begin with one line that names every column, or correct the row.`);
  if (!rows.length) refuse("The table has no rows; give one row for each observation.");
  if (names.filter(Boolean).length < 3) refuse("There is no feature beside task and target; give at least one column.");
  if (rows.length > MOST_ROWS) refuse(`The page takes up to ${MOST_ROWS} rows; for more use the command line below.`);
  return { names, rows };
}

const cellsOf = ({ names, rows }, name) => rows.map((row) => row[names.indexOf(name)] ?? "");
const truths = (column) => column.every((cell) => cell.trim() in TRUTH);
const isNumber = (cell) => NUMBER.test(cell.trim()) || INFINITE.test(cell.trim());
/** Whether a column's first value lets it be a feature. */
const looksNumeric = (table, name) => {
  const column = cellsOf(table, name);
  return truths(column) || isNumber(column.find((cell) => !EMPTY.includes(cell.trim())) ?? "");
};

/** A column as numbers. */
function numbersOf(table, name, isTarget) {
  const column = cellsOf(table, name);
  if (truths(column)) return column.map((cell) => TRUTH[cell.trim()]);
  const bad = column.findIndex((cell) => !EMPTY.includes(cell.trim()) && !isNumber(cell));
  if (bad >= 0) {
    const cell = column[bad];
    const remedy = /^[-+]?[\d.,'\s]*\d\s?%?$/.test(cell.trim())
      ? "write it like 1234.5, with a decimal point and nothing else between the digits"
      : isTarget
        ? "class labels have no order, and with shuffled labels MAML gains nothing; choose a column of numbers"
        : "leave it out of the features, or code it in numbers";
    refuse(`In ${isTarget ? "the target" : "feature"} ${quoted(name)}, row ${bad + 1} is ${quoted(cell.slice(0, 40))}, no number; ${remedy}.`);
  }
  const values = column.map((cell) => (EMPTY.includes(cell.trim()) ? NaN : INFINITE.test(cell.trim()) ? Infinity : Number(cell)));
  const counts = [["empty", values.filter(Number.isNaN).length, "drop those rows or fill them"],
    ["infinite", values.filter((x) => x === Infinity || x === -Infinity).length, "drop or correct them"]];
  for (const [what, count, remedy] of counts)
    if (count) refuse(`Column ${quoted(name)} has ${count} ${what} cell${count > 1 ? "s" : ""}; ${remedy}.`);
  return values;
}

/** Standardized rows (1, x, y) by task; an Error, in one sentence, if they cannot be diagnosed. */
function prepared(table, { task, target, features, support }) {
  if (new Set([task, target, ...features]).size < 2 + features.length) refuse("Task, target and features must be different columns; name each once.");
  const columns = [...features, target].map((name) => numbersOf(table, name, name === target));
  const groups = new Map();
  const labels = cellsOf(table, task);
  const blank = labels.filter((name) => !name.trim()).length;
  if (blank) refuse(`${blank === 1 ? "1 row has" : `${blank} rows have`} no task in column ${quoted(task)}; name the task or drop them.`);
  labels.forEach((name, i) => {
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(i);
  });
  if (groups.size === labels.length) refuse(`Column ${quoted(task)} is different in every row, so every task has one row; name the column that rows of one task share.`);
  if (!Number.isInteger(support) || support < 1) refuse(`The support must be a whole number, at least 1, not ${support}.`);
  const p = features.length;
  if (p < 1) refuse("There is no feature beside task and target; give at least one column.");
  if (p > MOST_FEATURES) refuse(`The page takes up to ${MOST_FEATURES} features; for more use the command line below.`);
  const kept = [...groups].filter(([, members]) => members.length >= support + SPARE);
  if (kept.length < LEAST) {
    const sizes = [...groups.values()].map((members) => members.length).sort((a, b) => b - a);
    const smaller = sizes[Math.min(LEAST, sizes.length) - 1] - SPARE;
    const remedy = sizes.length >= LEAST && smaller >= 1
      ? `with a support of ${smaller} there are enough` : "collect more tasks, or more rows for each";
    refuse(`${kept.length} ${kept.length === 1 ? "task has" : "tasks have"} at least ${support + SPARE} rows (${support} to adapt on and ${SPARE} more) and ${LEAST} are needed; ${remedy}.`);
  }
  if (kept.length < p + 2) refuse(`${kept.length} tasks are too few for ${p + 1} parameters; choose at most ${kept.length - 2} features.`);
  if (kept.length > MOST_TASKS) refuse(`The page takes up to ${MOST_TASKS} tasks; for more use the command line below.`);
  const used = kept.flatMap(([, members]) => members);
  const standard = columns.map((column, j) => {
    const scale = used.reduce((most, i) => Math.max(most, Math.abs(column[i])), 0) || 1;
    const values = used.map((i) => column[i] / scale), centre = mean(values);
    const sd = Math.sqrt(mean(values.map((x) => (x - centre) ** 2)));
    const [what, remedy] = j < p ? [`Feature ${quoted(features[j])}`, "leave it out"] : ["The target", "choose another"];
    if (!(sd > 1e-9)) refuse(`${what} is constant, or varies by less than a billionth of its size; ${remedy}, or subtract its mean first.`);
    return (i) => (column[i] / scale - centre) / sd;
  });
  const across = scaled(scatter(used.map((i) => standard.slice(0, -1).map((f) => f(i)))), 1 / used.length);
  const values = eigenvalues(across);
  if (values[0] < 1e-8 * values.at(-1)) {
    const involved = features.filter((_, j) => Math.abs(lowest(across)[j]) > 0.05).slice(0, 5);
    refuse(`The features ${involved.join(", ")} are collinear, one follows from the others; leave one of them out.`);
  }
  const targets = kept.map(([, members]) => members.map((i) => columns.at(-1)[i]));
  if (labelled(targets)) refuse("The target looks like class labels: a linear regression says nothing about a classifier's MAML, and with shuffled labels the gain is 1 by symmetry; choose a column of measured numbers.");
  return {
    tasks: kept.map(([name]) => name),
    dropped: groups.size - kept.length,
    rows: kept.map(([, members]) => members.map((i) => [1, ...standard.map((f) => f(i))])),
  };
}

/** The unit eigenvector of the smallest eigenvalue, by inverse iteration. */
function lowest(symmetric) {
  const n = symmetric.length;
  const shifted = symmetric.map((row, i) => row.map((x, j) => x + (i === j ? 1e-12 : 0)));
  let v = range(n).map((i) => 1 / (i + 1));
  for (let k = 0; k < 20; k += 1) {
    v = solved(shifted, v.map((x) => [x])).map((x) => x[0]);
    const size = Math.hypot(...v);
    v = v.map((x) => x / size);
  }
  return v;
}

/** Whether targets are class labels: two values in all, or each as often as any other in a task. */
function labelled(targets) {
  const different = new Set(targets.flat());
  if (different.size <= 2) return true;
  if (different.size > CLASSES || ![...different].every(Number.isInteger)) return false;
  return targets.every((task) => {
    const counts = [...new Set(task)].map((value) => task.filter((x) => x === value).length);
    return counts.length > 1 && counts[0] > 1 && counts.every((count) => count === counts[0]);
  });
}
