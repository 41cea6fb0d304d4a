"""Theorem 1 and Lemma 1 measured: gradient norms at stationary points of two-task MAML."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mamlbook.errors import InputError
from mamlbook.networks import (
    TaskLoss,
    gradient,
    maml_objective,
    nal_objective,
    network_loss,
    printed_bound,
    quadratic,
    region_constant,
    spectrum,
    square_bound,
    stationary_point,
    step_spectrum,
)

ROUNDING = 1e-7  # relative, of a ratio of gradients known to 1e-10


@dataclass(frozen=True)
class Theorem1:
    """Settings of Theorem 1's cases.

    Every case draws its own two tasks. Networks: W_1* has orthonormal columns, the best ground
    truth there is for the theorem (kappa = lambda = 1), W_2* is `spread` away from it in Frobenius
    norm, and the tasks' inputs have the variances of a pair, the hard task's first. The theorem
    itself has variances (1, 1). Quadratics have eigenvalues drawn from the ranges of
    `eigenvalues`, two numbers for the hard task and two for the easy, five times as often.
    alpha is `fractions` of 1/max(L_1, L_2) midway between the tasks.
    """

    networks: tuple[tuple[str, int], ...] = (
        ("softplus", 1),
        ("sigmoid", 1),
        ("tanh", 1),
        ("relu", 1),
        ("softplus", 2),
        ("tanh", 2),
        ("softplus", 3),
    )
    variances: tuple[tuple[float, float], ...] = ((1.0, 1.0), (0.5, 1.0), (0.1, 1.0))
    spreads: tuple[float, ...] = (0.2, 1.0)
    eigenvalues: tuple[tuple[float, float, float, float], ...] = (
        (0.1, 0.4, 0.5, 1.0),
        (0.1, 0.6, 0.4, 1.0),
    )
    dimension: int = 6
    fractions: tuple[float, ...] = (0.1, 0.5, 0.9)
    repeats: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Case:
    """Two task losses (hard, easy), what names them, an initial point, and networks' ground truths.

    `alike` says that nothing but the position tells the tasks apart.
    """

    name: dict[str, object]
    losses: tuple[TaskLoss, TaskLoss]
    initial: Tensor
    truths: tuple[Tensor, ...] = ()
    alike: bool = False


def theorem1(settings: Theorem1) -> pd.DataFrame:
    """One row for each case: gradient norms at a stationary point against three bounds.

    Task 1 is the hard one of the case; with equal variances, the one with the smaller beta at the
    point. Columns:
    - model, activation, M, d, variance_1, variance_2, spread, repeat, fraction: the case, and
      alpha, alpha_L = alpha max(L_1, L_2) at the point;
    - beta_1, L_1, beta_2, L_2: extreme eigenvalues of the Hessians at the point;
    - c1: the smallest constant for which the point lies in both regions S_i (NaN: quadratics);
    - measured: ||grad f_1||/||grad f_2||; nal_measured: the same at NAL's stationary point;
    - bound, holds: the printed (P13) with those beta_2, L_1, its O(alpha^2) left out;
    - square, square_holds: the form of the proof, with the same constants;
    - exact, exact_holds: the square form with constants that hold over the inner steps too, and
      exact_applies: its hypotheses hold, see mamlbook.networks.square_bound;
    - applies: Lemma 1's hypotheses hold (beta_1, beta_2 > 0, alpha_L < 1);
    - condition: beta_2 > L_1.

    Raises InputError if a fraction is not strictly between 0 and 1.
    """
    for fraction in settings.fractions:
        if not 0 < fraction < 1:
            raise InputError(f"fractions must lie strictly between 0 and 1, not {fraction}.")
    rows = []
    cases = [*_quadratics(settings), *_networks(settings)]
    for case in tqdm(cases, desc="stationary points", disable=None, leave=False):
        nal = stationary_point(nal_objective(*case.losses), case.initial)
        L = max(spectrum(f, case.initial)[1] for f in case.losses)
        for fraction in settings.fractions:
            rows.append(_row(case, nal, fraction, fraction / L))
    return pd.DataFrame(rows)


def _row(case: Case, nal: Tensor, fraction: float, alpha: float) -> dict[str, object]:
    w = stationary_point(maml_objective(*case.losses, alpha), nal)
    spectra = {f: spectrum(f, w) for f in case.losses}
    hard, easy = case.losses
    if case.alike:
        hard, easy = sorted(case.losses, key=lambda f: spectra[f][0])
    (beta_1, L_1), (beta_2, L_2) = spectra[hard], spectra[easy]
    _, step_L_1 = step_spectrum(hard, w, alpha)
    step_beta_2, step_L_2 = step_spectrum(easy, w, alpha)
    norms = [torch.linalg.norm(gradient(f, w)).item() for f in (hard, easy)]
    nal_norms = [torch.linalg.norm(gradient(f, nal)).item() for f in (hard, easy)]
    measured = norms[0] / norms[1]
    row = {
        **case.name,
        "fraction": fraction,
        "alpha": alpha,
        "alpha_L": alpha * max(L_1, L_2),
        "beta_1": beta_1,
        "L_1": L_1,
        "beta_2": beta_2,
        "L_2": L_2,
        "c1": max((region_constant(w, truth) for truth in case.truths), default=np.nan),
        "measured": measured,
        "nal_measured": nal_norms[0] / nal_norms[1],
    }
    bounds = {
        "bound": printed_bound(alpha, beta_2, L_1),
        "square": square_bound(alpha, beta_2, L_1),
        "exact": square_bound(alpha, step_beta_2, step_L_1),
    }
    for name, bound in bounds.items():
        row[name] = bound
        row["holds" if name == "bound" else f"{name}_holds"] = measured <= bound * (1 + ROUNDING)
    row["exact_applies"] = alpha * step_L_1 < 1 and alpha * (step_beta_2 + step_L_2) <= 2
    row["applies"] = min(beta_1, beta_2) > 0 and row["alpha_L"] < 1
    row["condition"] = beta_2 > L_1
    return row


def _quadratics(settings: Theorem1) -> Iterator[Case]:
    d = settings.dimension
    streams = np.random.SeedSequence(settings.seed, spawn_key=(0,)).spawn(len(settings.eigenvalues))
    for stream, ranges in zip(streams, settings.eigenvalues, strict=True):
        rng = np.random.default_rng(stream)
        for repeat in range(5 * settings.repeats):
            losses = []
            for low, high in (ranges[:2], ranges[2:]):
                turn = torch.linalg.qr(_normal(rng, d, d)).Q
                values = torch.from_numpy(rng.uniform(low, high, d))
                losses.append(quadratic(turn @ torch.diag(values) @ turn.T, _normal(rng, d)))
            name = _name("quadratic", "", d=d, repeat=repeat)
            yield Case(name, (losses[0], losses[1]), torch.zeros(d, dtype=torch.float64))


def _networks(settings: Theorem1) -> Iterator[Case]:
    kinds = list(product(settings.networks, settings.variances, settings.spreads))
    streams = np.random.SeedSequence(settings.seed, spawn_key=(1,)).spawn(len(kinds))
    for ((activation, M), variances, spread), stream in zip(kinds, streams, strict=True):
        rng = np.random.default_rng(stream)
        d = max(2, M)
        order = 32 if d == 2 else 12  # optima and points have |w| near 1: errors below 1e-7
        for repeat in range(settings.repeats):
            truth = torch.linalg.qr(_normal(rng, d, M)).Q
            step = _normal(rng, d, M)
            truths = (truth, truth + spread * step / torch.linalg.norm(step))
            first, second = (
                network_loss(each, activation, variance, order)
                for each, variance in zip(truths, variances, strict=True)
            )
            name = _name("network", activation, M, d, *variances, spread, repeat)
            middle = (0.5 * (truths[0] + truths[1])).flatten()
            yield Case(name, (first, second), middle, truths, alike=variances[0] == variances[1])


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape))


def _name(
    model: str,
    activation: str,
    M: int = 0,
    d: int = 0,
    variance_1: float = np.nan,
    variance_2: float = np.nan,
    spread: float = np.nan,
    repeat: int = 0,
) -> dict[str, object]:
    return {
        "model": model,
        "activation": activation,
        "M": M,
        "d": d,
        "variance_1": variance_1,
        "variance_2": variance_2,
        "spread": spread,
        "repeat": repeat,
    }
