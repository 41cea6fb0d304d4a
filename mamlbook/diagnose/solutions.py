"""Initializations without a task, by subtraction, and the inner loop chosen by nested folds."""

import numpy as np

from mamlbook.diagnose.quadratics import loss

FOLDS = 10


def folds(tasks: int) -> np.ndarray:
    """The fold of each task, (N,): dealt in turn."""
    return np.arange(tasks) % FOLDS


def solve(total: np.ndarray) -> np.ndarray:
    """The minimizer of v' M v over w, v = (w, -1), for a sum of quadratics M (..., q, q)."""
    return np.linalg.solve(total[..., :-1, :-1], total[..., :-1, -1:])[..., 0]


def leave_one_out(quadratic: np.ndarray) -> np.ndarray:
    """The minimizer of the mean loss of all tasks but one, for each one: (N, q - 1).

    A sum less one of its terms: (sum H - H_i)^-1 (sum h - h_i).
    """
    return solve(quadratic.sum(0) - quadratic)


def definite(quadratic: np.ndarray) -> bool:
    """Whether the mean H stays clearly positive definite whichever fold is left out."""
    part = fold_sums(quadratic)
    averages = (part.sum(0) - part)[:, :-1, :-1]
    lowest = np.linalg.eigvalsh(averages)
    return bool(np.all(lowest[:, 0] > 1e-9 * lowest[:, -1]))


def fold_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the tasks of each fold: (N, ...) -> (FOLDS, ...)."""
    return np.stack([values[fold::FOLDS].sum(0) for fold in range(FOLDS)])


def inner_losses(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """For each fold left out, the loss of a candidate on the others, each by the rest: (FOLDS,).

    `train` and `test` (N, q, q): what the initialization minimizes, and what it is judged by. For
    the fold f the tasks of every other fold g are judged at the minimizer without f and g.
    """
    parts, judged = fold_sums(train), fold_sums(test)
    f, g = np.meshgrid(np.arange(FOLDS), np.arange(FOLDS), indexing="ij")
    apart = f != g
    w = solve(parts.sum(0) - parts[f[apart]] - parts[g[apart]])
    losses = np.zeros((FOLDS, FOLDS))
    losses[apart] = loss(judged[g[apart]], w)
    return losses.sum(1)


def choose(inner: np.ndarray) -> np.ndarray:
    """The candidate of each fold, (FOLDS,), from losses (candidates, FOLDS) on the other folds."""
    return inner.argmin(0)


def by_fold(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Each task's value at its fold's candidate: values (candidates, N, ...), chosen (FOLDS,)."""
    tasks = np.arange(values.shape[1])
    return values[chosen[folds(len(tasks))], tasks]
