"""A diagnosis: does MAML's initialization beat NAL's on these tasks, by how much, and why."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mamlbook import records
from mamlbook.diagnose import evidence, methods, quadratics
from mamlbook.diagnose.solutions import fold_sums, solve
from mamlbook.diagnose.table import TableError, Tasks, from_arrays, standardized

REACH = 7  # times the median rows: how far a support is extrapolated


@dataclass(frozen=True)
class Settings:
    """What was asked: rows to adapt on, which parameters adapt, which numbers of steps compete."""

    support: int = 5
    adapt: str = "all"
    steps: tuple[int, ...] = (1, 5)


@dataclass(frozen=True)
class Diagnosis:
    """Everything that the report says, the losses in units of the target's variance.

    `rows`: one a task, hardest first; `methods`: one a method; `gains`: the map over m and alpha;
    `plane`: both initializations in the first two principal axes of the mean curvature.
    """

    kind: str
    gain: evidence.Ratio
    alternative: tuple[str, evidence.Ratio] | None
    alpha: dict[str, float]
    steps: dict[str, int]
    rows: pd.DataFrame
    methods: pd.DataFrame
    gains: pd.DataFrame
    plane: pd.DataFrame
    least_gain: float
    tasks_for: int
    cost: float
    explained: float
    dropped: int
    features: list[str]
    settings: Settings
    seconds: float = 0.0
    losses: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> str:
        """One sentence."""
        from mamlbook.diagnose.report import verdict

        return verdict(self)

    def record(self, command: str = "mamlbook.diagnose.diagnose(...)") -> records.Record:
        """The rows with their provenance, as for every record."""
        made = records.provenance(
            self.settings, command=command, wall_seconds=self.seconds, commit=records.commit()
        )
        other = self.alternative and {"method": self.alternative[0], **vars(self.alternative[1])}
        made |= {
            "verdict": self.verdict,
            "kind": self.kind,
            "gain": self.gain.value,
            "interval": [self.gain.low, self.gain.high],
            "alternative": other,
            "alpha": self.alpha,
            "steps": self.steps,
            "methods": self.methods.to_dict("records"),
            "features": self.features,
            "dropped": self.dropped,
        }
        return records.Record("diagnose", self.rows, made)


def diagnose(
    tasks: Tasks | Iterable[tuple[np.ndarray, np.ndarray]],
    support: int = 5,
    adapt: str = "all",
    steps: tuple[int, ...] = (1, 5),
) -> Diagnosis:
    """Diagnose regression tasks: a `Tasks` or pairs of inputs (n, p) and targets (n,).

    `support` is m, the rows that a new task will have to adapt on; `adapt` is "all" or
    "intercept"; `steps` are the numbers of inner steps to choose from. Raises TableError, in one
    sentence with the remedy, for tasks that cannot be diagnosed.
    """
    begin = time.perf_counter()
    if adapt not in ("all", "intercept"):
        raise TableError(f"What adapts is 'all' or 'intercept', not {adapt!r}.")
    if not steps or any(k != int(k) or not 1 <= k <= 100 for k in steps):
        raise TableError("The steps are whole numbers from 1 to 100, such as --steps 1 5.")
    settings = Settings(support, adapt, tuple(sorted(set(steps))))
    tasks = tasks if isinstance(tasks, Tasks) else from_arrays(tasks)
    names, rows, dropped = standardized(tasks, support, methods.GRID * len(settings.steps))
    try:
        return _diagnosed(names, rows, dropped, tasks.features, settings, begin)
    except np.linalg.LinAlgError:
        raise TableError(
            "The tasks' mean curvature is singular without some of them, so no initialization is "
            "determined; leave out features that vary in few tasks."
        ) from None


def _diagnosed(
    names: list[str],
    rows: list[np.ndarray],
    dropped: int,
    features: list[str],
    settings: Settings,
    begin: float,
) -> Diagnosis:
    m, counts = settings.support, np.array([len(z) for z in rows])
    adapted = methods.mask(len(features) + 1, settings.adapt)
    moments = quadratics.moments(rows, adapted)
    support, query = quadratics.split_moments(rows, m)
    loops = methods.candidates(moments, support, query, adapted, m, settings.steps)
    nal = methods.tuned(moments.one, loops.quadratics)
    maml = methods.tuned(loops.quadratics, loops.quadratics)
    losses = {
        "none": methods.tuned(moments.one, moments.one[None]).losses,
        "alone": methods.ridge(support, query),
        "nal": nal.losses,
        "maml": maml.losses,
        "fixed": methods.fixed_effects(rows, moments, m).losses,
        "mixed": methods.mixed_model(moments.one, counts, support, query, m),
        "floor": methods.noise_floor(moments.one, counts),
    }
    losses = {name: np.maximum(each, methods.LEAST) for name, each in losses.items()}
    gain = evidence.ratio(losses["nal"], losses["maml"])
    alternative = evidence.better(losses)
    before = losses["none"]
    table = pd.DataFrame(
        {
            "task": names,
            "rows": counts,
            "share_left": losses["nal"] / before,
            "distance": before,
            "loss_nal": losses["nal"],
            "loss_maml": losses["maml"],
            "helped": losses["maml"] < losses["nal"],
        }
    )
    difference = table["loss_nal"] - table["loss_maml"]
    table["share_of_change"] = difference / max(difference.abs().sum(), 1e-300)
    away = nal.initialization - maml.initialization
    curvature = loops.quadratics[maml.candidate].mean(0)[:-1, :-1]
    steps = loops.steps[maml.candidate]
    return Diagnosis(
        kind=evidence.kind(gain, alternative),
        gain=gain,
        alternative=alternative,
        alpha={"nal": loops.rates[nal.candidate], "maml": loops.rates[maml.candidate]},
        steps={"nal": loops.steps[nal.candidate], "maml": steps},
        rows=table.sort_values("share_left", ascending=False, kind="stable", ignore_index=True),
        methods=_methods(losses),
        gains=gain_map(moments, adapted, counts),
        plane=plane(moments.one, curvature, nal.initialization, maml.initialization),
        least_gain=evidence.least_gain(gain, len(names)),
        tasks_for=evidence.tasks_for(gain, len(names)),
        cost=float((counts.mean() - m + 2 * steps * m) / counts.mean()),
        explained=float(away @ curvature @ away),
        dropped=dropped,
        features=features,
        settings=settings,
        seconds=time.perf_counter() - begin,
        losses=losses,
    )


def _methods(losses: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = []
    for name, values in losses.items():
        mean, low, high = evidence.mean_interval(values)
        against = evidence.ratio(values, losses["maml"])
        rows.append((name, mean, low, high, against.value, against.low, against.high))
    columns = ["method", "loss", "low", "high", "over_maml", "over_maml_low", "over_maml_high"]
    return pd.DataFrame(rows, columns=columns)


def gain_map(moments: quadratics.Moments, adapted: np.ndarray, counts: np.ndarray) -> pd.DataFrame:
    """The gain of one step over m and alpha, both methods at the same alpha, by folds left out.

    Columns: m, alpha, gain, extrapolated (m beyond most tasks' rows), unstable (alpha times some
    task's largest eigenvalue reaches 2). The gain is NaN where the mean Hessian is not positive
    definite.
    """
    middle = float(np.median(counts))
    most = quadratics.largest_eigenvalues(moments.one, adapted).max()
    sizes = np.unique(np.geomspace(1, REACH * middle, 12).round().astype(int))
    one = fold_sums(moments.one)
    nal = solve(one.sum(0) - one)
    rows = []
    for alpha in 3 * methods.rates(moments, adapted):
        for m in sizes:
            part = fold_sums(moments.quadratic(alpha, m))
            rest = part.sum(0) - part
            values = np.linalg.eigvalsh(rest[:, :-1, :-1])
            value = np.nan
            if np.all(values[:, 0] > 1e-9 * values[:, -1]):
                above, below = (
                    quadratics.loss(part, nal).sum(),
                    quadratics.loss(part, solve(rest)).sum(),
                )
                value = above / below if min(above, below) > 0 else np.nan
            rows.append((int(m), float(alpha), float(value), m > middle - 1, alpha * most >= 2))
    return pd.DataFrame(rows, columns=["m", "alpha", "gain", "extrapolated", "unstable"])


def plane(
    second: np.ndarray, curvature: np.ndarray, nal: np.ndarray, maml: np.ndarray
) -> pd.DataFrame:
    """Tasks and initializations along the first two principal axes of the mean curvature.

    Coordinates are in loss units: a square of side one is a loss of one. A task stands where its
    own least squares, shrunk a little towards NAL, has it. Columns: name, kind, x, y.
    """
    values, vectors = np.linalg.eigh(curvature)
    axes = vectors[:, ::-1][:, :2] * np.sqrt(values[::-1][:2])
    h, b = second[:, :-1, :-1], second[:, :-1, -1]
    small = 0.1 * np.eye(len(nal))
    own = np.linalg.solve(h + small, (b + nal @ small)[..., None])[..., 0]
    points = np.vstack([own, nal, maml]) - nal
    kinds = ["task"] * len(own) + ["nal", "maml"]
    return pd.DataFrame({"kind": kinds, "x": points @ axes[:, 0], "y": points @ axes[:, 1]})
