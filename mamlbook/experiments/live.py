"""Training in front of a reader: what a notebook's kernel can do while one waits."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch

from mamlbook.errors import InputError
from mamlbook.fewshot import training
from mamlbook.fewshot.data import images
from mamlbook.fewshot.settings import Cell, Settings
from mamlbook.fewshot.training import evaluation


@dataclass(frozen=True)
class Preset:
    """The trainings that a live cell shows, and how often it tells of them.

    On a CPU they run in double precision: in single precision the rounding of another kind of CPU
    grows into other accuracies within a hundred iterations, and a page's numbers would be those
    of one machine.
    """

    trainings: tuple[Settings, ...]
    every: int = training.BLOCK
    """Outer steps from one report to the next; a multiple of 25."""
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.every < 1 or self.every % training.BLOCK:
            raise InputError(
                f"A report every {self.every} steps; it must be a multiple of {training.BLOCK}."
            )


def live(preset: Preset) -> Iterator[pd.DataFrame]:
    """Train, and yield the rows that are new.

    Rows: algorithm, split ("course" for the training tasks since the last report, then "train"
    and "test"), hardness, iteration, accuracy in percent, tasks.
    Raises InputError if the preset's device is not here.
    """
    if preset.device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(
            f"This preset trains on {preset.device!r}, but torch sees no GPU here; "
            "choose the preset 'preview'."
        )
    load = cache(images.load)  # once for all trainings
    for settings in preset.trainings:
        dataset = load(settings.data, preset.device)
        cell = Cell(settings, preset.seed)
        with TemporaryDirectory() as folder:
            for start in range(0, settings.iterations, preset.every):
                stop = min(start + preset.every, settings.iterations)
                trained = training.train(
                    [cell],
                    dataset,
                    folder=Path(folder),
                    until=stop,
                    progress=False,
                    dtype=torch.float64 if preset.device == "cpu" else torch.float32,
                )
                since = trained.history[0, start // training.BLOCK :].sum(0).tolist()
                yield pd.DataFrame(
                    [
                        _row(settings, "course", hardness, stop, 100 * right / count, int(count))
                        for hardness, (count, _, right) in zip(("easy", "hard"), since, strict=True)
                        if count
                    ]
                )
        rows = evaluation.evaluate(cell, trained.theta.to(preset.device), dataset)
        yield pd.DataFrame(
            [
                _row(settings, one.split, one.hardness, stop, one.accuracy, one.tasks)
                for one in rows.itertuples()
            ]
        )


def watch(preset: Preset) -> pd.DataFrame:
    """`live`'s rows, each report printed as it comes, a line to a split."""
    reports = []
    for report in live(preset):
        for (algorithm, step, split), own in report.groupby(
            ["algorithm", "iteration", "split"], sort=False
        ):
            words = (f"{row.hardness} {row.accuracy:.1f}%" for row in own.itertuples())
            print(f"{algorithm:6}step {step:4}  {split:7}{', '.join(words)}", flush=True)
        reports.append(report)
    return pd.concat(reports, ignore_index=True)


def _row(settings: Settings, split: str, hardness: str, iteration: int, accuracy, tasks) -> dict:
    return {
        "algorithm": settings.algorithm,
        "split": split,
        "hardness": hardness,
        "iteration": iteration,
        "accuracy": accuracy,
        "tasks": tasks,
    }
