"""NAL and MAML on the sinusoids of Finn et al. (2017), with the same care for both."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mamlbook.fewshot.data import sinusoids as problem
from mamlbook.fewshot.engine import algorithms
from mamlbook.fewshot.engine.algorithms import Algorithm, Descent, Examples, Weights, side_by_side
from mamlbook.fewshot.training import single_threaded
from mamlbook.records import Record

ALGORITHMS = {"nal": algorithms.nal, "maml": algorithms.maml}
QUERIES = 100  # of a task of validation or test
FIRST, LAST = 1, 10  # gradient steps after which validation tasks are looked at
TRAINING, VALIDATION, TEST, SHOWN = 1000, 2000, 3000, 4004  # first seeds of their tasks
SHOWN_TASKS = ((4.0, 0.7), (1.5, 2.6))  # amplitude and phase
SHOWN_STEPS = (0, 1, 10)
CANARY = (100, 3e-3)  # iterations and outer rate


@dataclass(frozen=True)
class Study:
    """The budget of one network, and what is tried for each method on validation tasks."""

    iterations: int = 10_000
    seeds: int = 5
    tasks: int = 25
    """Tasks of one outer step."""
    shots: int = 10
    """Support examples of a task, in training as in the test."""
    queries: int = 10
    """Query examples of a task in training."""
    inner_rate: float = 0.01
    outer_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    """Rates of Adam, tried for both methods."""
    inner_rates: tuple[float, ...] = (0.003, 0.005, 0.01, 0.02, 0.03, 0.05)
    """Rates of fine-tuning, tried for the networks of both methods."""
    test_tasks: int = 500
    """Test tasks, and as many for validation."""


def sinusoids(settings: Study) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of every seed, and in arrays two tasks with the curves fitted to them.

    Columns: algorithm (none: the network as it was initialized), outer_rate, inner_rate, split,
    step (gradient steps on the support set), seed, error (mean squared, on new inputs; infinite
    where a computation diverged). On validation tasks every outer rate is tried with the inner
    rate of training, and the best of them with every inner rate; best: the lowest mean error after
    LAST steps. On test tasks the best outer rate has the inner rate of training and the best one.

    Arrays: x (points,) and truth (tasks, points); support_x and support_y (tasks, shots); curves
    (methods, tasks, steps, points) of seed 0 after SHOWN_STEPS with the inner rate of training;
    distance (methods, seeds), the root mean square distance of a network's function before any
    step from the mean of all tasks; canary (methods, steps), see `short_runs`.
    """
    with single_threaded(), torch.no_grad():
        seeds = range(settings.seeds)
        validation, test = (
            _tasks(first, settings.test_tasks, settings.shots) for first in (VALIDATION, TEST)
        )
        untrained = problem.initial(seeds)
        table, curves, distance = [], [], []
        for name in ALGORITHMS:
            networks = {
                rate: train(name, rate, settings, seeds)
                for rate in tqdm(settings.outer_rates, desc=name, disable=None, leave=False)
            }
            tried = [
                row
                for rate, weights in networks.items()
                for row in _rows(name, rate, settings.inner_rate, "validation", weights, validation)
            ]
            outer = best(tried, "outer_rate")
            tried += [
                row
                for rate in settings.inner_rates
                if rate != settings.inner_rate
                for row in _rows(name, outer, rate, "validation", networks[outer], validation)
            ]
            table += [row for row in tried if row["step"] in (FIRST, LAST)]
            tuned = best([row for row in tried if row["outer_rate"] == outer], "inner_rate")
            for rate in dict.fromkeys((settings.inner_rate, tuned)):
                table += _rows(name, outer, rate, "test", networks[outer], test)
            curves.append(fits(networks[outer], settings))
            distance.append(distance_from_mean(networks[outer]))
        table += _rows("none", 0.0, settings.inner_rate, "test", untrained, test)
        x, waves, support = shown(settings)
        arrays = {
            "x": x[:, 0, 0].numpy(),
            "truth": waves(x)[..., 0].T.numpy(),
            "support_x": support[0][..., 0].T.numpy(),
            "support_y": support[1][..., 0].T.numpy(),
            "curves": np.stack(curves),
            "distance": np.stack(distance),
            "canary": short_runs(),
        }
    return pd.DataFrame(table), arrays


def best(rows: list[dict], key: str) -> float:
    """The value of `key` with the lowest mean error after LAST steps, over seeds."""
    last = pd.DataFrame([row for row in rows if row["step"] == LAST])
    return float(last.groupby(key)["error"].mean().idxmin())


def train(name: str, rate: float, settings: Study, seeds: range) -> Weights:
    """One network for each seed, trained at an outer rate: weights (seeds, ...)."""
    return _last(_course(name, rate, settings, seeds, torch.float32))


def _course(
    name: str, rate: float, settings: Study, seeds: range, dtype: torch.dtype
) -> Iterator[Weights]:
    algorithm: Algorithm = side_by_side(ALGORITHMS[name](problem.loss, settings.inner_rate))
    own = [TRAINING + seed for seed in seeds]
    drawn = problem.batches(own, settings.tasks, settings.shots, settings.queries, dtype)
    adam = partial(torch.optim.Adam, lr=rate)
    with torch.enable_grad():
        yield from algorithms.history(
            algorithm, problem.initial(seeds, dtype), islice(drawn, settings.iterations), adam
        )


def _last(history: Iterator[Weights]) -> Weights:
    return deque(history, maxlen=1)[0]


def course_of_errors(
    weights: Weights, support: Examples, query: Examples, rate: float, steps: int
) -> np.ndarray:
    """The mean error over tasks after 0, 1, ..., `steps` gradient steps, (steps + 1, networks).

    Each network meets every task: support and query are (n, tasks, 1). Infinite where it diverges.
    """
    networks, tasks = len(weights["layer1.bias"]), support[0].shape[1]
    own = {name: w.repeat_interleave(tasks, 0) for name, w in weights.items()}
    support, query = (problem.together([each] * networks) for each in (support, query))
    found = []
    for step in range(steps + 1):
        if step:
            own = adapted(own, support, rate)
        errors = problem.errors(own, query).view(networks, tasks).mean(1)
        found.append(errors.nan_to_num(nan=torch.inf, posinf=torch.inf))
    return torch.stack(found).numpy()


def adapted(weights: Weights, support: Examples, rate: float, steps: int = 1) -> Weights:
    """The networks after gradient steps, each on its own task: support (n, networks, 1)."""
    with torch.enable_grad():
        return Algorithm(problem.loss, Descent(rate, steps), None).adapt(weights, support)


def _tasks(
    seed: int, tasks: int, shots: int, dtype: torch.dtype = torch.float32
) -> tuple[Examples, Examples]:
    generator = torch.Generator().manual_seed(seed)
    waves = problem.draw(tasks, generator, dtype)
    return waves.examples(shots, generator), waves.examples(QUERIES, generator)


def _rows(
    name: str,
    outer: float,
    inner: float,
    split: str,
    weights: Weights,
    tasks: tuple[Examples, Examples],
) -> list[dict]:
    errors = course_of_errors(weights, *tasks, inner, LAST)
    return [
        {
            "algorithm": name,
            "outer_rate": outer,
            "inner_rate": inner,
            "split": split,
            "step": step,
            "seed": seed,
            "error": float(f"{error:.6g}"),
        }
        for step, line in enumerate(errors)
        for seed, error in enumerate(line)
    ]


def shown(settings: Study) -> tuple[torch.Tensor, problem.Waves, Examples]:
    """Inputs (points, 1, 1) for curves, the two tasks of the figure, and their support sets."""
    waves = problem.Waves(*torch.tensor(SHOWN_TASKS).T)
    support = waves.examples(settings.shots, torch.Generator().manual_seed(SHOWN))
    return torch.linspace(*problem.INPUTS, 101)[:, None, None], waves, support


def fits(weights: Weights, settings: Study) -> np.ndarray:
    """The curves of seed 0's network on the two tasks, (tasks, steps, points)."""
    x, waves, support = shown(settings)
    tasks = len(waves.phases)
    own = {name: w[:1].repeat_interleave(tasks, 0) for name, w in weights.items()}
    curves = [
        problem.output(adapted(own, support, settings.inner_rate, steps), x.repeat(1, tasks, 1))
        for steps in SHOWN_STEPS
    ]
    return torch.stack(curves)[..., 0].permute(2, 0, 1).numpy()


def distance_from_mean(weights: Weights) -> np.ndarray:
    """The root mean square over inputs of f(x) - E[y | x], (networks,)."""
    x = torch.linspace(*problem.INPUTS, 1001)[:, None, None]
    f = problem.output(weights, x.repeat(1, len(weights["layer1.bias"]), 1))
    return (f - problem.mean(x)).square().mean((0, 2)).sqrt().numpy()


def error_of_mean(settings: Study) -> float:
    """The error of E[y | x] on the test tasks: without adaptation, the least but for chance."""
    _, (x, y) = _tasks(TEST, settings.test_tasks, settings.shots)
    return float((problem.mean(x) - y).square().mean())


def short_runs() -> np.ndarray:
    """Errors of one network of each method after CANARY's iterations, in double precision, after 0
    to LAST steps on twenty tasks: (methods, steps)."""
    iterations, rate = CANARY
    settings, dtype = Study(iterations=iterations), torch.float64
    tasks = _tasks(VALIDATION, 20, settings.shots, dtype)
    found = []
    with single_threaded(), torch.no_grad():
        for name in ALGORITHMS:
            weights = _last(_course(name, rate, settings, range(1), dtype))
            found.append(course_of_errors(weights, *tasks, settings.inner_rate, LAST)[:, 0])
    return np.stack(found)


def canary(record: Record) -> str | None:
    """Train the short runs of the record again; where one differs, in words."""
    for name, then, now in zip(ALGORITHMS, record.arrays["canary"], short_runs(), strict=True):
        for step, (before, after) in enumerate(zip(then, now, strict=True)):
            # In double precision another order of summation leaves far less after so few steps.
            if not abs(after / before - 1) <= 1e-6:
                return (
                    f"the error of {name} after {CANARY[0]} iterations and {step} steps is "
                    f"{before:.8g}, now {after:.8g}"
                )
    return None


def watch(iterations: int = 1500, every: int = 500) -> pd.DataFrame:
    """Train one network of each method, printing its validation errors `every` so many iterations.

    Columns: algorithm, iteration, step, error. In double precision, so that every processor gives
    the same digits.
    """
    settings, dtype = Study(iterations=iterations), torch.float64
    tasks = _tasks(VALIDATION, 100, settings.shots, dtype)
    table = []
    with single_threaded(), torch.no_grad():
        for name in ALGORITHMS:
            # Of so short a run the best rate is higher than that of the long ones.
            for done, weights in enumerate(_course(name, 1e-2, settings, range(1), dtype)):
                if done % every:
                    continue
                errors = course_of_errors(weights, *tasks, settings.inner_rate, LAST)[:, 0]
                table += [
                    {"algorithm": name, "iteration": done, "step": step, "error": error}
                    for step, error in enumerate(errors)
                ]
                said = ", ".join(f"{step}: {errors[step]:.2f}" for step in SHOWN_STEPS)
                print(f"{name:5}iteration {done:5}  error after steps {said}", flush=True)
    return pd.DataFrame(table)
