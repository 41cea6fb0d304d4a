"""What each method loses on tasks it has not seen, every choice made without them."""

from dataclasses import dataclass

import numpy as np

from mamlbook.diagnose import mixed, quadratics
from mamlbook.diagnose.solutions import (
    FOLDS,
    by_fold,
    choose,
    definite,
    fold_sums,
    folds,
    inner_losses,
    leave_one_out,
    solve,
)

PENALTIES = (1e-6, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
GRID = 12  # inner learning rates
SHARES = tuple(0.7**k for k in range(GRID))  # of a task's mean residual
LEAST = 1e-6  # of the target's variance: a smaller loss is rounding, or as good as none
STILL = 1e-8  # added to variances within tasks: far above rounding, far below what matters
NAMES = {
    "none": "no adaptation",
    "alone": "each task alone (ridge)",
    "nal": "NAL",
    "maml": "MAML",
    "fixed": "fixed effects, shrunken intercept",
    "mixed": "Gaussian mixed model",
    "floor": "noise floor",
}


@dataclass(frozen=True)
class Candidates:
    """Inner loops to choose from: `steps` and `rates` (G,), their `quadratics` (G, N, q, q)."""

    steps: list[int]
    rates: list[float]
    quadratics: np.ndarray


@dataclass(frozen=True)
class Chosen:
    """A method's `losses` (N,) on tasks left out, the `candidate` for all of them, and its
    `initialization`."""

    losses: np.ndarray
    candidate: int
    initialization: np.ndarray


def mask(parameters: int, adapt: str) -> np.ndarray:
    """The diagonal of D: all parameters, or the intercept alone; the target is none. (q,)"""
    adapted = np.ones(parameters + 1) if adapt == "all" else np.zeros(parameters + 1)
    adapted[0], adapted[-1] = 1, 0
    return adapted


def rates(moments: quadratics.Moments, adapted: np.ndarray) -> np.ndarray:
    """Inner learning rates to try, largest first: (GRID,).

    From just below 2/lambda, beyond which a step is unstable on the steepest task, to a fiftieth.
    """
    steepest = quadratics.largest_eigenvalues(moments.one, adapted).max()
    return 1.9 / steepest * 50.0 ** (-np.arange(GRID) / (GRID - 1))


def candidates(
    moments: quadratics.Moments,
    support: np.ndarray,
    query: np.ndarray,
    adapted: np.ndarray,
    m: int,
    steps: tuple[int, ...],
) -> Candidates:
    """Every inner loop that is stable and leaves a positive definite mean Hessian.

    One step is averaged over all splits exactly; K steps over `SPLITS` of them. A step diverges
    where alpha times the largest eigenvalue reaches 2, and K of them amplify that, so K steps are
    tried only where it stays below 1 on every support: the support of a new task may be twice as
    steep as any of these.
    """
    found: list[tuple[int, float, np.ndarray]] = []
    most = quadratics.largest_eigenvalues(support, adapted).max()
    for count in steps:
        for alpha in rates(moments, adapted):
            if count == 1:
                made = moments.quadratic(alpha, m)
            elif alpha * most < 1:
                made = quadratics.steps_quadratic(support, query, adapted, alpha, count)
            else:
                continue
            if definite(made):
                found.append((count, float(alpha), made))
    if not found:
        raise np.linalg.LinAlgError
    counts, alphas, each = zip(*found, strict=True)
    return Candidates(list(counts), list(alphas), np.stack(each))


def tuned(train: np.ndarray, tests: np.ndarray) -> Chosen:
    """Losses when initializations minimize `train`, and the inner loop is one of `tests`.

    tests (G, N, q, q); train the same, or (N, q, q) where it is one for all inner loops. A task's
    initialization leaves out the task, its inner loop is chosen on the other folds.
    """
    single = train.ndim == 3
    each = [train] * len(tests) if single else train
    inner = np.stack([inner_losses(a, b) for a, b in zip(each, tests, strict=True)])
    chosen = choose(inner)
    whole = [_folded(a, b) for a, b in zip(each, tests, strict=True)]
    best = int(np.argmin(whole))
    if single:
        initialization = leave_one_out(train)
    else:
        initialization = np.zeros((train.shape[1], train.shape[2] - 1))
        for candidate in np.unique(chosen):
            where = chosen[folds(len(initialization))] == candidate
            initialization[where] = leave_one_out(train[candidate])[where]
    losses = quadratics.loss(by_fold(tests, chosen), initialization)
    return Chosen(losses, best, solve(each[best].sum(0)))


def _folded(train: np.ndarray, test: np.ndarray) -> float:
    part = fold_sums(train)
    return float(quadratics.loss(fold_sums(test), solve(part.sum(0) - part)).sum())


def fixed_effects(rows: list[np.ndarray], moments: quadratics.Moments, m: int) -> Chosen:
    """Within slopes, tasks weighted equally; the intercept moves by a share of the mean residual.

    A feature that does not vary within tasks has no within slope, and gets 0.
    Its quadratics are those of one step on the intercept, the share in the learning rate's place.
    """
    within = moments.one.copy()
    for i, z in enumerate(rows):
        within[i, 1:, 1:] = np.cov(z[:, 1:].T).reshape(within[i, 1:, 1:].shape)
    within[:, 1:, 0] = 0
    p = within.shape[-1] - 2
    within[:, 1:-1, 1:-1] += STILL * np.eye(p)
    adapted = mask(within.shape[-1] - 1, "intercept")
    only = quadratics.moments(rows, adapted)
    return tuned(within, np.stack([only.quadratic(share, m) for share in SHARES]))


def ridge(support: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Each task alone: ridge regression on its support, the penalty chosen on other folds: (N,)."""
    mean = support[..., :1, 1:]
    centered = support[..., 1:, 1:] - mean.swapaxes(-1, -2) * mean
    losses = []
    for penalty in PENALTIES:
        p = centered.shape[-1] - 1
        left = centered[..., :p, :p] + penalty * np.eye(p)
        slopes = np.linalg.solve(left, centered[..., :p, p:])[..., 0]
        level = mean[..., 0, p] - (mean[..., 0, :p] * slopes).sum(-1)
        w = np.concatenate([level[..., None], slopes], axis=-1)
        losses.append(quadratics.loss(query, w).mean(1))
    losses = np.stack(losses)
    part = np.stack([fold_sums(each) for each in losses])
    return by_fold(losses, choose(part.sum(1, keepdims=True) - part))


def mixed_model(
    second: np.ndarray, counts: np.ndarray, support: np.ndarray, query: np.ndarray, m: int
) -> np.ndarray:
    """The mixed model fitted without a task's fold, its posterior mean from the support: (N,)."""
    losses, fold = np.zeros(len(second)), folds(len(second))
    for f in range(FOLDS):
        out = fold == f
        model = mixed.fit(second[~out], counts[~out])
        w, _ = model.posterior(support[out], np.full(support[out].shape[:2], m))
        losses[out] = quadratics.loss(query[out], w).mean(1)
    return losses


def noise_floor(second: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Each task's expected squared noise under the mixed model of all tasks: (N,)."""
    model = mixed.fit(second, counts)
    return mixed.residuals(second, *model.posterior(second, counts))
