"""The experiment of Appendix C.1: SGD on the NAL and MAML objectives, and the risk it reaches."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from mamlbook.errors import InputError
from mamlbook.linear.environment import Environment
from mamlbook.linear.population import (
    check_counts,
    check_step,
    maml_solution,
    nal_solution,
    q_matrix,
)
from mamlbook.linear.stream import TaskStream

BLOCK = 25  # iterations whose random numbers are drawn together


@np.errstate(over="ignore", invalid="ignore")  # a divergence shows in the result
def sgd(
    environments: Sequence[Environment],
    *,
    alpha: float | None,
    n1: int,
    n2: int,
    rate: float,
    iterations: int,
    repeats: int,
    rng: np.random.Generator,
    batch: int = 1,
    emphasis: Sequence[float] | None = None,
) -> np.ndarray:
    """Final iterates of SGD from w = 0, shape (environments, repeats, d).

    Every iteration draws `batch` tasks, each with n2 inner and n1 outer samples, and moves along
    the mean of the exact stochastic gradients of the MAML objective (P4),
        (I - alpha H_in) grad f_out(w - alpha grad f_in(w)),  H_in = X_in' X_in / n2;
    alpha = None is NAL: no inner step, and all n1 + n2 samples in its gradient. `emphasis` (k,)
    weighs the families in that mean, the weights of a batch normalized to sum to 1 (C.1's
    up-weighting has (zeta, 1)). All environments (of one dimension) and repeats run side by side.
    `rate` is the outer learning rate.
    Raises InputError for a step size or rate that is not positive, for what is no count (data are
    drawn, so n2 is finite), and for an emphasis that does not weigh the families.
    """
    if alpha is not None:
        check_step(alpha, n2)
    check_counts(n1=n1, n2=n2, iterations=iterations, repeats=repeats, batch=batch)
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError(f"rate must be positive and finite, got {rate}.")
    families = environments[0].weights.size
    if emphasis is not None:
        _check_emphasis(emphasis, families)
    draw = TaskStream(environments, rng)
    w = np.zeros((len(environments), repeats, environments[0].dimension))
    weighs = np.ones(families) if emphasis is None else np.array(emphasis, float)
    for start in range(0, iterations, BLOCK):
        tasks = draw.tasks((min(BLOCK, iterations - start), len(environments), repeats * batch))
        inner = None if alpha is None else draw.data(tasks, n2)
        shares = weighs[tasks.family].reshape(-1, *w.shape[:2], batch)
        shares /= shares.sum(axis=-1, keepdims=True)
        for t in range(len(shares)):
            away = np.repeat(w, batch, axis=1) - tasks.w_star[t]
            if inner is None:
                slope = draw.gradient(tasks, away, n1 + n2, t)
            else:
                slope = draw.gradient(tasks, away - alpha * inner.gradient(away, t), n1, t)
                slope = slope - alpha * inner.curve(slope, t)
            slope = slope.reshape(*w.shape[:2], batch, -1)
            w = w - rate * (shares[t][..., None, :] @ slope)[..., 0, :]
    return w


def expected_shares(env: Environment, emphasis: Sequence[float], batch: int) -> np.ndarray:
    """What families weigh, on average, in a batch whose weights are normalized to sum to 1: (k,).

    E[ c_k e_k / sum_j c_j e_j ] over the multinomial counts c of the batch. Up-weighted SGD has
    the mean, hence the limit, of an environment with these weights.
    """
    check_counts(batch=batch)
    _check_emphasis(emphasis, env.weights.size)
    emphasis = np.asarray(emphasis, float)
    shares = np.zeros(env.weights.size)
    for counts in itertools.product(range(batch + 1), repeat=env.weights.size):
        if sum(counts) == batch:
            ways = math.factorial(batch) / math.prod(map(math.factorial, counts))
            weight = np.array(counts) * emphasis
            shares += ways * np.prod(env.weights**counts) * weight / weight.sum()
    return shares


def sampled_risk(
    environments: Sequence[Environment],
    w: np.ndarray,
    *,
    alpha: float,
    m: int,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Excess risk (P2) of each w (environments, repeats, d), over `draws` new tasks.

    The estimate of C.1: a task, one step on its m samples, the population loss there less nu^2/2.
    Shape (environments, repeats).
    """
    check_step(alpha, m)
    check_counts(m=m, draws=draws)
    settings, repeats, _ = w.shape
    stream = TaskStream(environments, rng)
    total = np.zeros((settings, repeats))
    for start in range(0, draws, BLOCK):
        tasks = stream.tasks((min(BLOCK, draws - start), settings, repeats))
        away = w - tasks.w_star
        away = away - alpha * stream.gradient(tasks, away, m)
        total += 0.5 * ((tasks.root.swapaxes(-1, -2) @ away[..., None]) ** 2).sum(axis=(0, -2, -1))
    return total / draws


def sgd_mean(
    env: Environment, *, alpha: float | None, n2: int, rate: float, iterations: int
) -> np.ndarray:
    """The mean of `sgd` after so many iterations, shape (d,).

    The gradient is linear in w and its data are new in every step, so with M = E[Sigma] (NAL) or
    E[Q^(n2)] (MAML)    E[w_T] = w* + (I - rate M)^T (0 - w*):
    The only bias of SGD is the remaining influence of its initialization.
    """
    if alpha is None:
        goal, matrices = nal_solution(env), env.covariances
    else:
        goal, matrices = maml_solution(env, alpha, n2), q_matrix(env.covariances, alpha, n2)
    contraction = np.eye(env.dimension) - rate * np.tensordot(env.weights, matrices, 1)
    return goal - np.linalg.matrix_power(contraction, iterations) @ goal


def _check_emphasis(emphasis: Sequence[float], families: int) -> None:
    given = np.asarray(emphasis)
    if given.shape != (families,) or not np.all(given > 0) or not np.all(np.isfinite(given)):
        raise InputError(
            f"emphasis must be {families} positive numbers, one for each family, got {emphasis}."
        )
