"""Section 4 and C.3: Figures 4, 5 and 6, one neuron in the plane, and how their settings decide.

The paper gives neither the positions of the tasks nor alpha; the defaults are our choice. In the
rows, nal_loss is the mean of the task losses f_i(w) and maml_loss the mean of
f_i(w - alpha grad f_i(w)), both of the population.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mamlbook.errors import InputError
from mamlbook.landscape import Loss, NoMinimum, SmoothLoss, lowest, smoothness, square
from mamlbook.neuron import Adapted, Mean, Task, population, sample

COLUMNS = ["panel", "algorithm", "w1", "w2", "nal_loss", "maml_loss"]
EASY_VARIANCE = 1.0

# Four tasks that every quarter turn about the origin maps onto each other.
SYMMETRIC = ((-1.5, 1.5), (1.5, 1.5), (-1.5, -1.5), (1.5, -1.5))

Environments = dict[str, list[Task]]  # the two panels that an environment fills -> its tasks


@dataclass(frozen=True)
class Fig4:
    """Settings of Figure 4: four tasks, the last of them hard in panels c and d.

    Panels a, b give all tasks variance 1; panels c, d give the last one `hard_variance`. alpha is
    0.9/L with L the smoothness over the square. The tasks stand away from the origin and the hard
    one farthest out: there the paper's figures are reproduced with alpha < 1/L, and also with
    inner steps of m = 250 samples. On SYMMETRIC, about the origin, equal hardness makes the
    minimisers coincide exactly, but the hard task then needs alpha > 1/L.
    """

    positions: tuple[tuple[float, float], ...] = ((1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0))
    hard_variance: float = 0.5
    activation: str = "softplus"
    alpha: float = 1.8
    half_width: float = 4.0
    points: int = 200

    def environments(self) -> Environments:
        """Panels ab: every task easy; panels cd: the last task hard."""
        easy = [Task(position, EASY_VARIANCE) for position in self.positions]
        return {"ab": easy, "cd": [*easy[:-1], replace(easy[-1], variance=self.hard_variance)]}


@dataclass(frozen=True)
class Fig5(Fig4):
    """Settings of Figure 5: the task losses of Figure 4 (a-b), one panel each."""


@dataclass(frozen=True)
class Fig6:
    """Settings of Figure 6: three easy and three hard tasks, sigmoid, in two geographies.

    As in Section 3.2, R is the distance of the hard tasks' centre from the easy tasks' centre in
    each coordinate and r the variance of the optima about their centre: the hard centre stands at
    (R/2, R/2), the easy one at (-R/2, -R/2), the optima on circles of radius sqrt(2 r) about
    them. Panels a, b have R and r_hard first in their tuples, panels c, d second. alpha is 0.94/L
    in panels c, d.
    """

    R: tuple[float, float] = (0.2, 2.0)
    r_hard: tuple[float, float] = (0.5, 0.05)
    r_easy: float = 0.125
    hard_variance: float = 0.5
    activation: str = "sigmoid"
    alpha: float = 13.0
    half_width: float = 3.0
    points: int = 200

    def environments(self) -> Environments:
        """Panels ab: small R; panels cd: large R with small r_hard."""
        return {
            panels: two_groups(R, r_hard, self.r_easy, self.hard_variance)
            for panels, R, r_hard in zip(("ab", "cd"), self.R, self.r_hard, strict=True)
        }


def two_groups(R: float, r_hard: float, r_easy: float, hard_variance: float) -> list[Task]:
    """Three easy tasks about (-R/2, -R/2), three hard ones about (R/2, R/2): see Fig6."""
    third = 2 * np.pi / 3 * np.arange(3)
    tasks = []
    for centre, r, turn, variance in (
        (-R / 2, r_easy, 0.0, EASY_VARIANCE),
        (R / 2, r_hard, np.pi / 3, hard_variance),
    ):
        radius = np.sqrt(2 * r)
        for angle in third + turn:
            x, y = (float(centre + radius * turned(angle)) for turned in (np.cos, np.sin))
            tasks.append(Task((x, y), variance))
    return tasks


def fig4(settings: Fig4) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Figure 4: the global minimisers of NAL (panels a, c) and of MAML (panels b, d).

    Columns: panel, algorithm, w1, w2, nal_loss, maml_loss. Minimizers that tie have a row each.
    The arrays are those of `landscapes`.
    """
    return minimisers(settings), landscapes(settings)


def fig6(settings: Fig6) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Figure 6: as `fig4`, for sigmoid and two geographies."""
    return minimisers(settings), landscapes(settings)


def fig5(settings: Fig5) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Figure 5: the minimisers of Figure 4 (a-b) on each task's own loss, one panel a task.

    nal_loss is f_i(w), maml_loss is f_i(w - alpha grad f_i(w)). Columns as in `fig4`, arrays
    those of `landscapes`. Raises InputError unless there are four tasks.
    """
    return minimisers_on_tasks(settings), landscapes(settings)


def minimisers_on_tasks(settings: Fig5) -> pd.DataFrame:
    """The rows of `fig5` alone, without the landscapes."""
    if len(settings.positions) != 4:
        raise InputError(f"Figure 5 has four panels: it needs 4 tasks, not {settings.positions}.")
    losses = task_losses(settings.environments()["ab"], settings.activation)
    rows = []
    for algorithm, objective in objectives(losses, settings.alpha).items():
        for w in lowest(objective, settings.half_width):
            for panel, f in zip("abcd", losses, strict=True):
                adapted = Adapted(f, f, settings.alpha)
                rows.append((panel, algorithm, *w, float(f.loss(w)), float(adapted.loss(w))))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values("panel", kind="stable", ignore_index=True)


def minimisers(settings: Fig4 | Fig6) -> pd.DataFrame:
    """The rows of `fig4` and `fig6` alone, without the landscapes."""
    rows = []
    for panels, tasks in settings.environments().items():
        both = objectives(task_losses(tasks, settings.activation), settings.alpha)
        for panel, (algorithm, objective) in zip(panels, both.items(), strict=True):
            for w in lowest(objective, settings.half_width):
                values = (float(both["nal"].loss(w)), float(both["maml"].loss(w)))
                rows.append((panel, algorithm, *w, *values))
    return pd.DataFrame(rows, columns=COLUMNS)


def landscapes(settings: Fig4 | Fig6) -> dict[str, np.ndarray]:
    """The surfaces of a figure over the square |w_k| <= half_width.

    `axis` (points,) holds the coordinates; surfaces are (points, points), the first index being
    w1: nal_ab, maml_ab, nal_cd, maml_cd, or task_1, task_2, ... for Figure 5. With them the
    optima_ab (T, 2) and variances_ab (T,) of the tasks, and the same for cd. Raises InputError
    for fewer than 20 points an axis, too few for a picture.
    """
    if settings.points < 20:
        raise InputError(f"A landscape needs at least 20 points an axis, not {settings.points}.")
    grid = square(settings.half_width, settings.points)
    arrays = {"axis": grid[:, 0, 0]}
    for panels, tasks in settings.environments().items():
        losses = task_losses(tasks, settings.activation)
        arrays[f"optima_{panels}"] = np.array([task.optimum for task in tasks])
        arrays[f"variances_{panels}"] = np.array([task.variance for task in tasks])
        if isinstance(settings, Fig5):
            return arrays | {f"task_{i}": f.loss(grid) for i, f in enumerate(losses, 1)}
        for algorithm, objective in objectives(losses, settings.alpha).items():
            arrays[f"{algorithm}_{panels}"] = objective.loss(grid)
    return arrays


@dataclass(frozen=True)
class Sweep:
    """Figure 4 (c-d) with other rates alpha and other variances of the hard task."""

    base: Fig4 = Fig4()
    alpha: tuple[float, ...] = tuple(np.arange(0.2, 3.1, 0.2).round(1).tolist())
    hard_variance: tuple[float, ...] = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def sweep(settings: Sweep) -> pd.DataFrame:
    """How the minimisers and the gain move with alpha and with the hard task's variance.

    gain is the MAML loss of the NAL minimizer over that of the MAML minimizer, distance how far
    the minimizer is from the hard task's optimum, alpha_L is alpha times the smoothness L over
    the square. Where MAML has no minimum in the square its numbers are NaN. Columns: alpha,
    alpha_L, hard_variance, algorithm, w1, w2, nal_loss, maml_loss, distance, gain.
    """
    rows = []
    base = settings.base
    for variance in settings.hard_variance:
        tasks = replace(base, hard_variance=variance).environments()["cd"]
        losses = task_losses(tasks, base.activation)
        L = smoothness(losses, base.half_width)
        nal = lowest(Mean(losses), base.half_width, points=31)[0]
        for alpha in settings.alpha:
            both = objectives(losses, alpha)
            try:
                maml = lowest(both["maml"], base.half_width, points=31)[0]
            except NoMinimum:
                maml = np.full(2, np.nan)
            gain = float(both["maml"].loss(nal) / both["maml"].loss(maml))
            for algorithm, w in (("nal", nal), ("maml", maml)):
                distance = float(np.linalg.norm(w - tasks[-1].optimum))
                values = (float(both["nal"].loss(w)), float(both["maml"].loss(w)))
                rows.append((alpha, alpha * L, variance, algorithm, *w, *values, distance, gain))
    columns = ["alpha", "alpha_L", "hard_variance", *COLUMNS[1:], "distance", "gain"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Finite:
    """C.3's samples: NAL of n, MAML of tau episodes of n1 outer and n2 inner samples a task.

    n = n1 tau, so NAL is given the outer samples of MAML: both see the same labels in the outer
    loss. `draws` is the number of m-sample inner steps a task in the expectation, `test_draws` of
    other ones in the test.
    """

    figure: Fig4 | Fig6 = Fig4()
    n1: int = 20
    tau: int = 25
    n2: int = 250
    draws: int = 40
    test_draws: int = 200
    repeats: int = 5
    seed: int = 0


def finite(settings: Finite) -> pd.DataFrame:
    """The minimisers when the inner step, or everything, is made of samples.

    source is population (full inner steps), expectation (inner steps of m = n2 samples, the mean
    over seeded draws, the outer loss of the population; its NAL is the population's) or sample
    (C.3's empirical objectives (P3) and (P4)). Columns: source, repeat, then those of `fig4`; the
    panel is ab or cd, nal_loss and maml_loss are the population's; and test_loss, F_m of (P1) with
    m = n2 over `test_draws` steps a task, the same ones for every row of a panel.
    """
    figure = settings.figure
    rows = []
    for panels, tasks in figure.environments().items():
        losses = task_losses(tasks, figure.activation)
        exact = objectives(losses, figure.alpha)
        *streams, last = np.random.default_rng(settings.seed).spawn(settings.repeats + 1)
        stepped = (tasks, figure.activation, figure.alpha, settings.n2)
        test = expected_step(*stepped, settings.test_draws, last)
        sources = [("population", 0, exact)]
        for repeat, rng in enumerate(streams):
            inner, outer = rng.spawn(2)
            drawn = expected_step(*stepped, settings.draws, inner)
            sources.append(("expectation", repeat, {"maml": drawn}))
            sources.append(("sample", repeat, empirical(tasks, figure, settings, outer)))
        for source, repeat, both in sources:
            for algorithm, objective in both.items():
                for w in lowest(objective, figure.half_width, points=21):
                    values = [float(each.loss(w)) for each in (*exact.values(), test)]
                    rows.append((source, repeat, panels, algorithm, *w, *values))
    return pd.DataFrame(rows, columns=["source", "repeat", *COLUMNS, "test_loss"])


def task_losses(tasks: Sequence[Task], activation: str) -> list[SmoothLoss]:
    """The population loss f_i of each task."""
    return [population(task, activation) for task in tasks]


def objectives(losses: Sequence[SmoothLoss], alpha: float) -> dict[str, Mean]:
    """The population objectives of NAL and of MAML with a full inner step."""
    return {"nal": Mean(losses), "maml": Mean([Adapted(f, f, alpha) for f in losses])}


def expected_step(
    tasks: Sequence[Task],
    activation: str,
    alpha: float,
    m: int,
    draws: int,
    rng: np.random.Generator,
) -> Mean:
    """F_m of (P1): inner steps of m samples, the expectation a mean over `draws` seeded draws."""
    adapted: list[Loss] = []
    for task, stream in zip(tasks, rng.spawn(len(tasks)), strict=True):
        f = population(task, activation)
        adapted += [Adapted(sample(task, activation, m, stream), f, alpha) for _ in range(draws)]
    return Mean(adapted)


def empirical(
    tasks: Sequence[Task], figure: Fig4 | Fig6, settings: Finite, rng: np.random.Generator
) -> dict[str, Mean]:
    """The objectives (P3) and (P4) on samples, as C.3 draws them."""
    outer: list[Loss] = []
    adapted: list[Loss] = []
    for task, stream in zip(tasks, rng.spawn(len(tasks)), strict=True):
        for _ in range(settings.tau):
            outer.append(sample(task, figure.activation, settings.n1, stream))
            inner = sample(task, figure.activation, settings.n2, stream)
            adapted.append(Adapted(inner, outer[-1], figure.alpha))
    return {"nal": Mean(outer), "maml": Mean(adapted)}
