"""A table of tasks: read, checked in one sentence each, and standardized."""

import csv
import difflib
import re
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from mamlbook.errors import InputError

LEAST_TASKS = 10
SPARE = 3  # rows that a task must have beyond its support
MOST = 1 << 30  # bytes of quadratics
CLASSES = 20
NO_FEATURE = "There is no feature beside task and target; give at least one column."
EMPTY = ("", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "null", "NULL", "None")  # cells without value


class TableError(InputError):
    """A table that cannot be diagnosed: one sentence with the remedy."""


@dataclass(frozen=True)
class Tasks:
    """Regression tasks with p features, as the table has them.

    `names` of the N tasks, their `inputs` (n, p) and `targets` (n,), the `features`' names.
    """

    names: list[str]
    inputs: list[np.ndarray]
    targets: list[np.ndarray]
    features: list[str]


def read(path: Path, task: str | None = None) -> pd.DataFrame:
    """The table in a .csv, .npz or .parquet file; TableError if there is none.

    A CSV file may separate cells by commas, semicolons or tabs; columns without a name, such as
    row numbers, are left out. The column `task` stays as it is written: 007 is not 7, and NA is a
    name.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"There is no file {path}; give the path of a table.")
    try:
        if path.suffix == ".npz":
            stored = np.load(path, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise TableError(
                    f"{path.name} is one array, not an archive of columns; save it with np.savez, "
                    "a name for each column."
                )
            with stored:
                return pd.DataFrame({name: stored[name] for name in stored.files})
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return _read_csv(path, task)
    except ImportError:
        raise TableError(
            f"{path.name} needs pyarrow to be read; install it, or save the table as CSV."
        ) from None
    except TableError:
        raise
    except (ValueError, OSError, csv.Error, zipfile.BadZipFile, EOFError, KeyError) as error:
        said = re.sub(r"\s+", " ", str(error)).rstrip(".")
        raise TableError(
            f"{path.name} is not a table that can be read ({said}); save it as CSV in UTF-8 with "
            "one header line."
        ) from None


def _read_csv(path: Path, task: str | None) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        comma = max(",;\t", key=first.count)
        names = [name.strip() for name in next(csv.reader(file, delimiter=comma), [])]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise TableError(f"The column name {twice[0]!r} stands twice; rename one.")
    numbers = [i for i, name in enumerate(names) if name != task]
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        try:
            frame = pd.read_csv(
                path,
                sep=comma,
                index_col=False,
                encoding="utf-8-sig",
                low_memory=False,
                dtype={i: str for i in range(len(names)) if i not in numbers},
                keep_default_na=False,
                na_values={i: EMPTY for i in numbers},
                header=0 if names else "infer",
                names=range(len(names)) if names else None,
                skipinitialspace=True,
            )
        except (pd.errors.ParserWarning, pd.errors.ParserError):
            if (found := _long_row(path, comma, len(names))) is None:
                raise
            raise TableError(
                f"Row {found[0]} has {found[1]} cells and the first line {len(names)}; begin with "
                "one line that names every column, or correct the row."
            ) from None
    frame.columns = names
    return frame.loc[:, [name != "" for name in names]]


def _long_row(path: Path, comma: str, names: int) -> tuple[int, int] | None:
    """The number of the first row with more cells than names, and of its cells; None if none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = enumerate(filter(None, csv.reader(file, delimiter=comma)), 1)
        return next(((i, len(row)) for i, row in rows if any(row[names:])), None)


def from_frame(frame: pd.DataFrame, task: str, target: str, features: Sequence[str] = ()) -> Tasks:
    """The tasks in a table with one row for each observation.

    Without `features` every other column is one. Raises TableError, in one sentence.
    """
    if twice := frame.columns[frame.columns.duplicated()].tolist():
        raise TableError(f"The column name {twice[0]!r} stands twice; rename one.")
    for name in (task, target, *features):
        if name not in frame.columns:
            raise TableError(_missing(str(name), [str(c) for c in frame.columns]))
    if len(frame) == 0:
        raise TableError("The table has no rows; give one row for each observation.")
    features = list(features) or [c for c in frame.columns if c not in (task, target)]
    if not features:
        raise TableError(NO_FEATURE)
    if len({task, target, *features}) < 2 + len(features):
        raise TableError("Task, target and features must be different columns; name each once.")
    columns = [_numbers(name, frame[name], name == target) for name in (*features, target)]
    if blank := int((frame[task].isna() | (frame[task].astype(str).str.strip() == "")).sum()):
        rows = "1 row has" if blank == 1 else f"{blank} rows have"
        raise TableError(f"{rows} no task in column {task!r}; name the task or drop them.")
    codes, names = pd.factorize(frame[task])
    if len(names) == len(frame):
        raise TableError(
            f"Column {task!r} is different in every row, so every task has one row; name the "
            "column that rows of one task share."
        )
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))[:-1]
    inputs, targets = np.column_stack(columns[:-1])[order], columns[-1][order]
    return Tasks(
        list(map(str, names)),
        np.split(inputs, ends),
        np.split(targets, ends),
        list(map(str, features)),
    )


def from_arrays(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Tasks:
    """Tasks from pairs of inputs (n, p) and targets (n,). Raises TableError."""
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    for x, y in pairs:
        try:
            x, y = np.asarray(x, float), np.asarray(y, float)
        except (TypeError, ValueError):
            raise TableError("A task is a pair of arrays of numbers: inputs, targets.") from None
        if x.ndim != 2 or y.shape != x.shape[:1] or (inputs and x.shape[1] != inputs[0].shape[1]):
            raise TableError(
                "A task needs inputs (rows, features) and targets (rows,), with the same features "
                f"in every task; got shapes {x.shape} and {y.shape}."
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise TableError("A task has a value that is not finite; drop its row or fill it.")
        inputs.append(x)
        targets.append(y)
    if not inputs:
        raise TableError("There are no tasks; give pairs of inputs and targets.")
    names = [str(i + 1) for i in range(len(inputs))]
    features = [f"x{j + 1}" for j in range(inputs[0].shape[1])]
    return Tasks(names, inputs, targets, features)


def standardized(
    tasks: Tasks, support: int, candidates: int = 1
) -> tuple[list[str], list[np.ndarray], int]:
    """Names and rows z = (1, x, y) of the tasks large enough, and how many were dropped.

    Over all rows kept, features and target have mean 0 and variance 1. Raises TableError.
    """
    if support != int(support) or support < 1:
        raise TableError(f"The support must be a whole number, at least 1, not {support}.")
    kept = [i for i, y in enumerate(tasks.targets) if len(y) >= support + SPARE]
    dropped = len(tasks.targets) - len(kept)
    p = len(tasks.features)
    if p < 1:
        raise TableError(NO_FEATURE)
    if len(kept) < LEAST_TASKS:
        sizes = sorted((len(y) for y in tasks.targets), reverse=True)
        smaller = sizes[min(LEAST_TASKS, len(sizes)) - 1] - SPARE
        remedy = (
            f"with a support of {smaller} there are enough"
            if len(sizes) >= LEAST_TASKS and smaller >= 1
            else "collect more tasks, or more rows for each"
        )
        raise TableError(
            f"{len(kept)} task{' has' if len(kept) == 1 else 's have'} at least "
            f"{support + SPARE} rows ({support} to adapt on and {SPARE} more) and {LEAST_TASKS} "
            f"are needed; {remedy}."
        )
    if len(kept) < p + 2:
        raise TableError(
            f"{len(kept)} tasks are too few for {p + 1} parameters; choose at most "
            f"{len(kept) - 2} features."
        )
    size = len(kept) * (p + 2) ** 2 * 8 * (candidates + 8)
    if size > MOST:
        raise TableError(
            f"{len(kept):,} tasks with {p} features need {size / 2**30:.1f} GiB; draw about "
            f"{int(len(kept) * MOST / size):,} of the tasks at random, which is plenty."
        )
    sizes = [len(tasks.targets[i]) for i in kept]
    z = np.column_stack(
        [
            np.vstack([tasks.inputs[i] for i in kept]),
            np.concatenate([tasks.targets[i] for i in kept]),
        ]
    )
    names = [*tasks.features, "the target"]
    with np.errstate(all="ignore"):
        scale = np.abs(z).max(0)
        centered = z / np.where(scale > 0, scale, 1)
        centered = centered - centered.mean(0)
        spread = np.sqrt((centered**2).mean(0))
    for name, sd in zip(names, spread, strict=True):
        if not sd > 1e-9:
            what, remedy = f"Feature {name!r}", "leave it out"
            if name == "the target":
                what, remedy = "The target", "choose another"
            raise TableError(
                f"{what} is constant, or varies by less than a billionth of its size; {remedy}, or "
                "subtract its mean first."
            )
    z = centered / spread
    _check_collinear(z[:, :-1], tasks.features)
    parts = np.split(z, np.cumsum(sizes)[:-1])
    _check_classes([tasks.targets[i] for i in kept])
    rows = [np.column_stack([np.ones(len(part)), part]) for part in parts]
    return [tasks.names[i] for i in kept], rows, dropped


def _numbers(name: str, column: pd.Series, target: bool) -> np.ndarray:
    """The column as numbers, (rows,); TableError at its first cell that is none."""
    if pd.api.types.is_complex_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        words = column.map(str, na_action="ignore")
        found = pd.to_numeric(words, errors="coerce").astype(float)
        if (bad := (found.isna() & words.notna()).to_numpy()).any():
            row = int(np.argmax(bad))
            _refuse_text(name, words.iloc[row], row + 1, target)
        column = found
    values = column.to_numpy(float, na_value=np.nan)
    for what, where in (("empty", np.isnan(values)), ("infinite", np.isinf(values))):
        if count := int(where.sum()):
            cells = f"{count} {what} cell{'s' * (count > 1)}"
            remedy = "drop those rows or fill them" if what == "empty" else "drop or correct them"
            raise TableError(f"Column {name!r} has {cells}; {remedy}.")
    return values


def _refuse_text(name: str, cell: str, row: int, target: bool) -> NoReturn:
    if re.fullmatch(r"[-+]?[\d.,'\s]*\d\s?%?", cell.strip()):
        remedy = "write it like 1234.5, with a decimal point and nothing else between the digits"
    elif target:
        remedy = (
            "class labels have no order, and with shuffled labels MAML gains nothing; choose a "
            "column of numbers"
        )
    else:
        remedy = "leave it out of the features, or code it in numbers"
    kind = "the target" if target else "feature"
    raise TableError(f"In {kind} {name!r}, row {row} is {cell[:40]!r}, no number; {remedy}.")


def _missing(name: str, columns: list[str]) -> str:
    """The sentence that a column is missing, with the nearest name or all of them."""
    if (parts := [part.strip() for part in name.split(",")])[1:] and set(parts) <= set(columns):
        remedy = f"separate names by spaces, --features {' '.join(parts)}"
    elif near := difflib.get_close_matches(name.lower(), [c.lower() for c in columns], n=1):
        meant = next(c for c in columns if c.lower() == near[0])
        remedy = f"did you mean {meant!r}?"
    else:
        more = ", ..." * (len(columns) > 12)
        remedy = "the table has " + ", ".join(c[:30] for c in columns[:12]) + more
    return f"There is no column {name!r}; {remedy}" + "." * (remedy[-1] != "?")


def _check_collinear(x: np.ndarray, features: list[str]) -> None:
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    if values[0] < 1e-8 * values[-1]:
        involved = [f for f, v in zip(features, vectors[:, 0], strict=True) if abs(v) > 0.05]
        raise TableError(
            f"The features {', '.join(involved[:5])} are collinear, one follows from the others; "
            "leave one of them out."
        )


def _check_classes(targets: list[np.ndarray]) -> None:
    """Refuse class labels: two values in all, or each class as often as any other in every task."""
    values = np.unique(np.concatenate(targets))
    few = len(values) <= 2
    if not few and len(values) <= CLASSES and np.all(values == values.round()):
        counts = [np.unique(y, return_counts=True)[1] for y in targets]
        few = all(len(c) > 1 and c[0] > 1 and np.all(c == c[0]) for c in counts)
    if few:
        raise TableError(
            "The target looks like class labels: a linear regression says nothing about a "
            "classifier's MAML, and with shuffled labels the gain is 1 by symmetry; choose a "
            "column of measured numbers."
        )
