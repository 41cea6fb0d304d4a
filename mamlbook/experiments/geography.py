"""Section 3.2 and C.1: Figures 1 and 3 and Table 3, mixtures of easy and hard linear tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mamlbook.errors import InputError
from mamlbook.intervals import mean_ci95
from mamlbook.linear import (
    Environment,
    draw_tasks,
    easy_and_hard,
    excess_risk,
    expected_shares,
    maml_solution,
    nal_solution,
    noise_risk,
    sampled_risk,
    sgd,
    trained,
)


@dataclass(frozen=True)
class Fig1:
    """Settings of Figure 1. Stated: d, rho_easy, m, rho_hard in (b) to (d), 100 tasks a kind.

    R, r_hard (one value a panel) and r_easy are not; these give (d) the paper's ratio of about 3.
    """

    d: int = 10
    rho_easy: float = 0.9
    r_easy: float = 0.3
    m: int = 500
    rho_hard: tuple[float, ...] = (0.9, 0.1, 0.1, 0.1)
    R: tuple[float, ...] = (2.0, 0.3, 2.0, 2.0)
    r_hard: tuple[float, ...] = (0.3, 0.3, 3.0, 0.3)
    tasks: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Fig3:
    """Settings of Figure 3: R^2/r_hard and R^2/r_easy are stated, hardness, m and n are not.

    Hardness and m are those of Figure 1. The empirical solutions are the minimizers (P41), (P43)
    over as many tasks as C.1's SGD sees, with C.1's n1.
    """

    d: int = 10
    rho_hard: float = 0.1
    rho_easy: float = 0.9
    m: int = 500
    noise: float = 0.01
    R: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    over_r_hard: tuple[float, ...] = (0.5, 10.0)
    over_r_easy: tuple[float, ...] = (10.0, 0.5)
    n1: int = 25
    tasks: int = 5000
    repeats: int = 10
    test_tasks: int = 3000
    seed: int = 0


@dataclass(frozen=True)
class Table3:
    """Settings of Table 3, as C.1 states them but for n1 and n2, which it has exchanged.

    The outer learning rates are those C.1 gives for its other experiments.
    """

    d: int = 10
    rho_hard: float = 0.1
    rho_easy: float = 1.0
    R: float = 2.0
    r_hard: float = 1.0
    r_easy: float = 1.0
    noise: float = 0.01
    n1: int = 25
    n2: int = 500
    zeta: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    batch: int = 10
    iterations: int = 4000
    rate_nal: float = 0.025
    rate_maml: float = 0.05
    repeats: int = 5
    test_tasks: int = 3000
    seed: int = 0


def fig1(settings: Fig1) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Figure 1: solutions, risks and a sample of tasks in four environments.

    Columns: panel, rho_hard, rho_easy, R, r_hard, r_easy, m, algorithm, coordinate, excess_risk;
    arrays: <panel>_hard and <panel>_easy, the tasks' w* (tasks, d).
    """
    _check_panels(settings, 4, "rho_hard", "R", "r_hard")
    if settings.d < 2:
        raise InputError("d is 1; Figure 1 draws two coordinates of each task, so give at least 2.")
    rows, arrays = [], {}
    environments = list(zip(settings.rho_hard, settings.R, settings.r_hard, strict=True))
    streams = np.random.SeedSequence(settings.seed).spawn(len(environments))
    for panel, (rho_hard, R, r_hard), stream in zip(
        "abcdefgh", environments, streams, strict=False
    ):
        place = (rho_hard, settings.rho_easy, R, r_hard, settings.r_easy)
        env = easy_and_hard(*place, settings.d)
        for algorithm, (w, risk) in both(env, 1 / settings.rho_easy, settings.m).items():
            rows.append((panel, *place, settings.m, algorithm, w[0], risk))
        families, w_star = draw_tasks(env, 4 * settings.tasks, np.random.default_rng(stream))
        for family, kind in enumerate(("hard", "easy")):
            arrays[f"{panel}_{kind}"] = w_star[families == family][: settings.tasks]
    columns = ["panel", "rho_hard", "rho_easy", "R", "r_hard", "r_easy", "m", "algorithm"]
    return pd.DataFrame(rows, columns=[*columns, "coordinate", "excess_risk"]), arrays


def _check_panels(settings: Fig1 | Fig3, panels: int, *names: str) -> None:
    for name in names:
        if (found := len(getattr(settings, name))) != panels:
            raise InputError(
                f"{name} has {found} values; each of the figure's {panels} panels needs one."
            )


def fig3(settings: Fig3) -> pd.DataFrame:
    """Figure 3: risks of population and empirical solutions as R grows, r in proportion to R^2.

    Columns: panel, R, r_hard, r_easy, algorithm, source, excess_risk, excess_risk_ci95. Risks are
    those of definition (P2), label noise included; a theory row has no interval (0).
    """
    _check_panels(settings, 2, "over_r_hard", "over_r_easy")
    if not min(settings.R) >= 1e-4:
        raise InputError(
            f"R is {min(settings.R)}; every spread is in proportion to its square: "
            "give at least 0.0001."
        )
    alpha = 1 / settings.rho_easy
    rows = []
    streams = iter(np.random.SeedSequence(settings.seed).spawn(4))
    for panel, over_hard, over_easy in zip(
        ("a", "c"), settings.over_r_hard, settings.over_r_easy, strict=True
    ):
        places = [(panel, R, R**2 / over_hard, R**2 / over_easy) for R in settings.R]
        environments = [
            easy_and_hard(
                settings.rho_hard, settings.rho_easy, *place[1:], settings.d, settings.noise
            )
            for place in places
        ]
        for place, env in zip(places, environments, strict=True):
            floor = noise_risk(env, alpha, settings.m)
            for algorithm, (_, risk) in both(env, alpha, settings.m).items():
                rows.append((*place, algorithm, "theory", risk + floor, 0.0))
        for algorithm in ("nal", "maml"):
            training, testing = (np.random.default_rng(s) for s in next(streams).spawn(2))
            maml = algorithm == "maml"
            w = np.stack(
                [
                    trained(
                        env,
                        alpha=alpha if maml else None,
                        n1=settings.n1 if maml else settings.n1 + settings.m,
                        n2=settings.m,
                        tasks=settings.tasks,
                        repeats=settings.repeats,
                        rng=training,
                    )
                    for env in environments
                ]
            )
            risks = sampled_risk(
                environments, w, alpha=alpha, m=settings.m, draws=settings.test_tasks, rng=testing
            )
            rows += [
                (*place, algorithm, "empirical", *mean_ci95(risk))
                for place, risk in zip(places, risks, strict=True)
            ]
    columns = ["panel", "R", "r_hard", "r_easy", "algorithm", "source"]
    return pd.DataFrame(rows, columns=[*columns, "excess_risk", "excess_risk_ci95"])


def table3(settings: Table3) -> pd.DataFrame:
    """Table 3: SGD on NAL with hard tasks weighted by zeta, and on MAML.

    Columns: algorithm, zeta, coordinate, coordinate_sd, test_error, test_error_sd, repeats.
    """
    env = table3_environment(settings)
    alpha = 1 / settings.rho_easy
    runs = [("nal", zeta) for zeta in settings.zeta] + [("maml", 1.0)]
    rows = []
    for (algorithm, zeta), stream in zip(
        runs, np.random.SeedSequence(settings.seed).spawn(len(runs)), strict=True
    ):
        training, testing = (np.random.default_rng(s) for s in stream.spawn(2))
        maml = algorithm == "maml"
        w = sgd(
            [env],
            alpha=alpha if maml else None,
            n1=settings.n1,
            n2=settings.n2,
            rate=settings.rate_maml if maml else settings.rate_nal,
            iterations=settings.iterations,
            repeats=settings.repeats,
            rng=training,
            batch=settings.batch,
            emphasis=(zeta, 1.0),
        )
        errors = sampled_risk(
            [env], w, alpha=alpha, m=settings.n2, draws=settings.test_tasks, rng=testing
        )[0]
        coordinates = w[0].mean(axis=1)
        rows.append(
            (
                algorithm,
                zeta,
                coordinates.mean(),
                coordinates.std(ddof=1),
                errors.mean(),
                errors.std(ddof=1),
                settings.repeats,
            )
        )
    columns = ["algorithm", "zeta", "coordinate", "coordinate_sd", "test_error", "test_error_sd"]
    return pd.DataFrame(rows, columns=[*columns, "repeats"])


def table3_theory(settings: Table3, m: int | None = None) -> pd.DataFrame:
    """What Table 3's runs converge to, per-batch normalization included, and its risk.

    `m` is the test's sample size, n2 unless given. Columns: algorithm, zeta, coordinate,
    test_error.
    """
    env = table3_environment(settings)
    alpha = 1 / settings.rho_easy
    m = m or settings.n2
    rows = []
    for zeta in settings.zeta:
        shares = expected_shares(env, (zeta, 1.0), settings.batch)
        rows.append(("nal", zeta, nal_solution(replace(env, weights=shares))))
    rows.append(("maml", 1.0, maml_solution(env, alpha, settings.n2)))
    floor = noise_risk(env, alpha, m)
    return pd.DataFrame(
        [(name, z, w.mean(), excess_risk(env, w, alpha, m) + floor) for name, z, w in rows],
        columns=["algorithm", "zeta", "coordinate", "test_error"],
    )


def table3_environment(settings: Table3) -> Environment:
    """Table 3's mixture of easy and hard tasks."""
    return easy_and_hard(
        settings.rho_hard,
        settings.rho_easy,
        settings.R,
        settings.r_hard,
        settings.r_easy,
        settings.d,
        settings.noise,
    )


def both(
    env: Environment, alpha: float, m: float, n2: float | None = None, steps: int = 1
) -> dict[str, tuple[np.ndarray, float]]:
    """Each algorithm's population solution and its excess risk by Proposition 1; n2 = m if None."""
    solutions = {
        "nal": nal_solution(env),
        "maml": maml_solution(env, alpha, m if n2 is None else n2, steps),
    }
    return {name: (w, excess_risk(env, w, alpha, m, steps)) for name, w in solutions.items()}


def gain(
    env: Environment, alpha: float, m: float, n2: float | None = None, steps: int = 1
) -> float:
    """NAL's excess risk over MAML's."""
    risks = both(env, alpha, m, n2, steps)
    return risks["nal"][1] / risks["maml"][1]


def gain_map(
    ratios: Sequence[float], packings: Sequence[float], m: float, r_easy: float, d: int = 10
) -> pd.DataFrame:
    """Gain for hardness ratios x = rho_hard/rho_easy and packings R^2/r_hard, alpha = 1/rho_easy.

    R = 1 and rho_easy = 1: no ratio of risks depends on either scale. `r_easy` is r_easy/R^2.
    Columns: x, packing, gain.
    """
    rows = [
        (x, packing, gain(easy_and_hard(x, 1.0, 1.0, 1 / packing, r_easy, d), 1.0, m))
        for x in ratios
        for packing in packings
    ]
    return pd.DataFrame(rows, columns=["x", "packing", "gain"])


def beyond(d: int = 10, m: int = 500, packing: float = 10.0) -> pd.DataFrame:
    """The gain outside the paper's setting, with R = 1 and r_hard = r_easy = 1/packing.

    Four panels: more inner steps (each on m new samples), other step sizes, training with n2 other
    than the test's m, and hard tasks that are hard in some directions only.
    Columns: panel, label, at, gain; `at` is the x axis.
    """

    def env(x: float) -> Environment:
        return easy_and_hard(x, 1.0, 1.0, 1 / packing, 1 / packing, d)

    rows = []
    ratios = np.geomspace(0.001, 1, 60)
    for steps in (1, 2, 5, 10):
        rows += [("steps", f"K = {steps}", x, gain(env(x), 1.0, m, steps=steps)) for x in ratios]
    for x in (0.1, 0.3, 0.6):
        rows += [
            ("alpha", f"ρ_H/ρ_E = {x:g}", alpha, gain(env(x), alpha, m))
            for alpha in np.linspace(0.1, 1.9, 60)
        ]
    for tested in (50, 500, 5000):
        rows += [
            ("n2", f"m = {tested}", n2, gain(env(0.2), 1.0, tested, n2=n2))
            for n2 in np.geomspace(1, 10_000, 60).round()
        ]
    for x in (0.1, 0.3):
        for directions in range(d + 1):
            variances = np.where(np.arange(d) < directions, x, 1.0)
            part = Environment(
                np.array([0.5, 0.5]),
                np.stack([np.diag(variances), np.eye(d)]),
                np.stack([np.ones(d), np.zeros(d)]),
                np.stack([np.eye(d) / packing] * 2),
            )
            rows.append(("directions", f"ρ_H/ρ_E = {x:g}", directions, gain(part, 1.0, m)))
    return pd.DataFrame(rows, columns=["panel", "label", "at", "gain"])


def cost_ratio(n1: float, n2: float) -> float:
    """MAML's work per training step over NAL's, in passes over a sample: (n1 + 2 n2)/(n1 + n2).

    A gradient X'(Xw - y) and a Hessian-vector product X'(Xv) cost the same. NAL takes one gradient
    on n1 + n2 samples; MAML a gradient and a Hessian-vector product on the n2 inner samples, and a
    gradient on the n1 outer ones.
    """
    return (n1 + 2 * n2) / (n1 + n2)
