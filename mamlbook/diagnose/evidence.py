"""Intervals over tasks, and what they allow to be said."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from mamlbook import records

THRESHOLD = 1.05  # a gain below this is not worth a pipeline
POWER = 0.8416  # the normal quantile of four cases in five


@dataclass(frozen=True)
class Ratio:
    """A ratio of two mean losses, its interval, and the standard error of its logarithm."""

    value: float
    low: float
    high: float
    error: float


def quantile(tasks: int) -> float:
    """Student's 97.5% quantile with N - 1 degrees of freedom, by Hill's expansion.

    Written out so that the page computes the same: its error is below 1e-4 from 9 degrees on.
    """
    z, n = 1.959963984540054, tasks - 1
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / n**k for k, term in enumerate(terms))


def ratio(above: np.ndarray, below: np.ndarray) -> Ratio:
    """Mean loss `above` over mean loss `below`, both (N,), paired by task.

    The logarithm's standard error is that of the mean of above_i/mean - below_i/mean, and the
    interval Student's.
    """
    value = above.mean() / below.mean()
    error = (above / above.mean() - below / below.mean()).std(ddof=1) / np.sqrt(len(above))
    width = quantile(len(above)) * error
    return Ratio(*(float(x) for x in (value, value * np.exp(-width), value * np.exp(width), error)))


def mean_interval(losses: np.ndarray) -> tuple[float, float, float]:
    """The mean over tasks and its interval, Student's; no mean of squares is below 0."""
    width = quantile(len(losses)) * losses.std(ddof=1) / np.sqrt(len(losses))
    mean = float(losses.mean())
    return mean, max(0.0, float(mean - width)), float(mean + width)


@cache
def coverages() -> list[dict[str, float]]:
    """How often intervals hold the truth in worlds where it is known, from the record `coverage`.

    For each number of `tasks` measured, the lowest and the highest percentage over the kinds of
    world and noise: `gain_low`, `gain_high` for a ratio, `loss_low`, `loss_high` for a mean loss.
    """
    rows = records.load("coverage").rows
    sums = rows.groupby(["tasks", "world", "noise"]).sum(numeric_only=True)
    covered = 100 * sums[["covered", "covered_nal", "covered_maml"]].div(sums["worlds"], axis=0)
    table = []
    for tasks, part in covered.groupby("tasks"):
        losses = part[["covered_nal", "covered_maml"]].to_numpy()
        ends = part["covered"].min(), part["covered"].max(), losses.min(), losses.max()
        names = "gain_low", "gain_high", "loss_low", "loss_high"
        table.append({"tasks": int(tasks), **dict(zip(names, map(float, ends), strict=True))})
    return table


def coverage(tasks: int) -> dict[str, float]:
    """The entry of `coverages` for the most tasks that are no more than these."""
    known = coverages()
    return next((each for each in reversed(known) if each["tasks"] <= tasks), known[0])


def least_gain(gain: Ratio, tasks: int) -> float:
    """The true gain whose interval would lie above the threshold in four cases of five."""
    return float(THRESHOLD * np.exp((quantile(tasks) + POWER) * gain.error))


def tasks_for(gain: Ratio, tasks: int, wanted: float = 1.1) -> int:
    """About how many tasks find the gain `wanted` in four cases of five."""
    needed = np.log(wanted / THRESHOLD) / (1.959964 + POWER)
    return int(max(10, np.ceil(tasks * (gain.error / needed) ** 2)))


def better(losses: dict[str, np.ndarray]) -> tuple[str, Ratio] | None:
    """The best alternative, if the better of NAL and MAML loses clearly more than it."""
    base = min(("nal", "maml"), key=lambda name: losses[name].mean())
    others = [name for name in ("none", "alone", "fixed", "mixed") if name in losses]
    best = min(others, key=lambda name: losses[name].mean())
    found = ratio(losses[base], losses[best])
    return (best, found) if found.low > THRESHOLD else None


def kind(gain: Ratio, alternative: tuple[str, Ratio] | None) -> str:
    """The class of the verdict: pays, pays-but, does-not, cannot-tell."""
    if gain.low > THRESHOLD:
        return "pays-but" if alternative else "pays"
    return "does-not" if gain.high < THRESHOLD else "cannot-tell"
