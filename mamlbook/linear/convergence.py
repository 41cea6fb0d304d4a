"""How far a trained solution lies from its population value: the exact law and proved bounds.

The chapter on convergence derives every formula here; its equations are named in brackets.
"""

import math
from dataclasses import dataclass

import numpy as np

from mamlbook.errors import InputError
from mamlbook.linear.environment import Environment
from mamlbook.linear.moments import P, mean_product
from mamlbook.linear.population import (
    check_counts,
    check_step,
    maml_solution,
    nal_solution,
    q_matrix,
)


@dataclass(frozen=True)
class TrainingLaw:
    """First and second moments of the training problem H w = h at its population solution w*.

    H and h are means over T tasks and tau episodes of each; w - w* = H^-1 g with g = h - H w*.
    `curvature` = E[H] is E[Sigma] for NAL, E[Q^(n2)] for MAML, and the distances below are
    ||v|| = sqrt(v' E[H] v): half its square is the population risk lost by finite training.
    `between` and `within` are the parts of E||E[H]^-1 g||^2 for one task that repeat with the task
    and that are new in each episode; `task` and `episode` the same parts of E[Y^2] for the
    whitened Y = E[H]^-1/2 H E[H]^-1/2.
    """

    solution: np.ndarray
    curvature: np.ndarray
    between: float
    within: float
    task: np.ndarray
    episode: np.ndarray

    def rms(self, T: int, tau: int = 1, given: bool = False) -> float:
        """sqrt((between + within/tau) / T), the root mean square distance as T grows.

        `given`: the environment's families are the T tasks themselves, each taken once, and the
        distance is to their own population solution; then `between` adds up to nothing.
        Raises InputError unless T and tau are whole numbers of at least 1.
        """
        check_counts(T=T, tau=tau)
        return math.sqrt(((0.0 if given else self.between) + self.within / tau) / T)

    def bound(self, T: int, tau: int = 1, delta: float = 0.04, given: bool = False) -> float:
        """A distance that a trained solution exceeds with probability at most delta: Theorem 3.

        rms / sqrt(delta_1) / (1 - eta), eta = sqrt(2 r log(d/delta_2) / T), with r the largest
        eigenvalue of E[Y^2] for the mean of a task's tau episodes; a tenth of delta is delta_2.
        inf where eta >= 1: there are too few tasks for the theorem to speak.
        Raises InputError unless 0 < delta < 1.
        """
        _check_probability(delta)
        check_counts(T=T, tau=tau)
        second = self.episode / tau + self.task * (1 - 1 / tau)
        d = self.solution.size
        eta = math.sqrt(2 * np.linalg.eigvalsh(second)[-1] * math.log(10 * d / delta) / T)
        if eta >= 1:
            return math.inf
        return self.rms(T, tau, given) / math.sqrt(0.9 * delta) / (1 - eta)

    @property
    def stretch(self) -> float:
        """The largest ||v||_2 of a v with distance ||v|| = 1: lambda_min(E[H])^-1/2."""
        return float(np.linalg.eigvalsh(self.curvature)[0] ** -0.5)


def training_law(
    env: Environment, *, alpha: float | None, n1: int, n2: int | None = None
) -> TrainingLaw:
    """The law of NAL (alpha = None, n1 samples a task) or MAML (n1 outer, n2 inner samples).

    Exact for Gaussian data, any covariances and any task solutions with two moments. With
    M = E[H]^-1, v = w_i* - w* and E[H_ij M H_ij] from `_second`, a task of family k has
        within  = tr(E[H M H] E[v v']) - tr(M Q E[v v'] Q) + tr(M N),    between = tr(M Q E[vv'] Q),
    N the covariance that label noise gives to g. Raises InputError as `q_matrix` does.
    """
    check_step(1.0 if alpha is None else alpha, n1)
    if alpha is None:
        solution, means = nal_solution(env), env.covariances
    else:
        solution, means = maml_solution(env, alpha, n2), q_matrix(env.covariances, alpha, n2)
    curvature = np.tensordot(env.weights, means, 1)
    metric = np.linalg.inv(curvature)
    # Families often share a covariance, and these means are all that costs time.
    distinct, which = np.unique(env.covariances, axis=0, return_inverse=True)
    second = _second(distinct, metric, alpha, n1, n2)[which]
    noise = env.noise * _noise(distinct, alpha, n1, n2)[which]
    away = env.centres - solution
    spread = env.spreads + away[:, :, None] * away[:, None, :]
    once = means @ metric @ means
    between = env.weights @ np.einsum("kij,kji->k", once, spread)
    total = env.weights @ np.einsum("kij,kji->k", second, spread)
    pushed = env.weights @ np.einsum("ij,kji->k", metric, noise)
    values, vectors = np.linalg.eigh(metric)
    whiten = vectors * np.sqrt(values) @ vectors.T
    return TrainingLaw(
        solution,
        curvature,
        between=float(between),
        within=float(total - between + pushed),
        task=whiten @ np.tensordot(env.weights, once, 1) @ whiten,
        episode=whiten @ np.tensordot(env.weights, second, 1) @ whiten,
    )


def theorem2_bound(env: Environment, *, n: int, T: int, delta: float = 0.04) -> dict[str, float]:
    """Theorem 2, repaired: ||w_NAL - w*_NAL||_2 exceeds the sum with probability at most delta.

    Returns its three terms: "data" eps(2 + eps)/(1 - eps)^2 LB/beta, "noise"
    nu (sqrt(d) + sqrt(2 log(3/delta))) / ((1 - eps) sqrt(beta n T)), and "tasks"
    (sqrt(2 V s/T) + 2 S s/(3T)) / beta, where eps = (sqrt(d) + sqrt(2 log(6T/delta))) / sqrt(n),
    s = log(3(d + 1)/delta), V and S^2 the mean and the largest ||Sigma_i(w_i* - w*)||^2.
    Data and noise are inf where eps >= 1: there are too few samples for the theorem to speak.
    Raises InputError unless Assumptions 1 and 2 hold: a finite set of solutions w*, and
    covariances that are all positive definite; and unless 0 < delta < 1.
    """
    _check_probability(delta)
    check_counts(n=n, T=T)
    if np.any(env.spreads):
        raise InputError(
            "Theorem 2 assumes bounded task solutions, and these are Gaussian; "
            "give every family spread 0, or use Theorem 3."
        )
    eigenvalues = np.linalg.eigvalsh(env.covariances)
    beta, largest = eigenvalues.min(), eigenvalues.max()
    if not beta > 0:
        raise InputError(f"Theorem 2 needs positive definite covariances, got eigenvalue {beta:g}.")
    d, part = env.dimension, delta / 3
    radius = np.linalg.norm(env.centres, axis=1).max()
    pull = np.einsum("kij,kj->ki", env.covariances, env.centres - nal_solution(env))
    variance, reach = env.weights @ (pull**2).sum(axis=1), np.linalg.norm(pull, axis=1).max()
    s = math.log((d + 1) / part)
    tasks = (math.sqrt(2 * variance * s / T) + 2 * reach * s / (3 * T)) / beta
    eps = (math.sqrt(d) + math.sqrt(2 * math.log(2 * T / part))) / math.sqrt(n)
    if eps >= 1:
        return {"data": math.inf, "noise": math.inf, "tasks": tasks}
    chi = math.sqrt(d) + math.sqrt(2 * math.log(1 / part))
    return {
        "data": eps * (2 + eps) / (1 - eps) ** 2 * largest * radius / beta,
        "noise": math.sqrt(env.noise) * chi / ((1 - eps) * math.sqrt(beta * n * T)),
        "tasks": tasks,
    }


def gram_square(covariance: np.ndarray, a: np.ndarray, samples: int) -> np.ndarray:
    """E[S A S] = (1 + 1/s) Sigma A Sigma + tr(A Sigma)/s Sigma, for S = X'X/s and symmetric A."""
    trace = np.einsum("...ij,...ji->...", a, covariance)[..., None, None]
    return (1 + 1 / samples) * covariance @ a @ covariance + trace / samples * covariance


def _second(
    covariance: np.ndarray, a: np.ndarray, alpha: float | None, n1: int, n2: int | None
) -> np.ndarray:
    """E[H A H] of an episode: `gram_square` over the outer samples, then the mean over P."""
    if alpha is None:
        return gram_square(covariance, a, n1)
    product = mean_product(covariance, alpha, n2, [P, covariance, P, a, P, covariance, P])
    traced = mean_product(covariance, alpha, n2, [P, covariance, P], trace=[P, a, P, covariance])
    return (1 + 1 / n1) * product + traced / n1


def _noise(covariance: np.ndarray, alpha: float | None, n1: int, n2: int | None) -> np.ndarray:
    """Covariance of g from label noise of variance 1, as `_second` from both noises of (P43).

    X_out'z_out/n1 gives E[H]/n1; X_in'z_in/n2 gives alpha^2/n2 E[P S_out S_in S_out P], in which
    alpha S_in = I - P.
    """
    if alpha is None:
        return covariance / n1
    sigma, q = covariance, q_matrix(covariance, alpha, n2)
    trace = np.trace(sigma, axis1=-2, axis2=-1)[..., None, None]
    product = mean_product(sigma, alpha, n2, [P, sigma, sigma, P]) - mean_product(
        sigma, alpha, n2, [P, sigma, P, sigma, P]
    )
    traced = trace * q - mean_product(sigma, alpha, n2, [P, sigma, P], trace=[P, sigma])
    return q / n1 + alpha / n2 * ((1 + 1 / n1) * product + traced / n1)


def _check_probability(delta: float) -> None:
    if not 0 < delta < 1:
        raise InputError(f"delta is a probability between 0 and 1, got {delta:g}.")
