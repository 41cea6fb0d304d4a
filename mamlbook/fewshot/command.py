"""The commands `train omniglot`, `cifar` and `folder`: networks trained and evaluated."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro

from mamlbook.errors import check_count
from mamlbook.fewshot import models
from mamlbook.fewshot.settings import Cell, Cifar, Folder, Omniglot, Settings
from mamlbook.fewshot.training import Trained, evaluation
from mamlbook.fewshot.training.cells import label, train_cells
from mamlbook.jobs import at
from mamlbook.records import write_atomic

OUT = Path("runs")


def omniglot(
    settings: Annotated[Omniglot, tyro.conf.OmitArgPrefixes],
    seeds: int = 5,
    first_seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    cluster: str | None = None,
    out: Path = OUT,
    until: int | None = None,
) -> None:
    """Train a cell of Table 1 for `seeds` seeds, or continue it, and print its accuracies."""
    _, rows = _trained(settings, seeds, first_seed, device, workers, cluster, out, until)
    _print(rows)


def cifar(
    settings: Annotated[Cifar, tyro.conf.OmitArgPrefixes],
    seeds: int = 5,
    first_seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    cluster: str | None = None,
    out: Path = OUT,
    until: int | None = None,
) -> None:
    """Train a cell of Table 2 for `seeds` seeds, or continue it, and print its accuracies."""
    _, rows = _trained(settings, seeds, first_seed, device, workers, cluster, out, until)
    _print(rows)


def folder(
    settings: Annotated[Folder, tyro.conf.OmitArgPrefixes],
    seeds: int = 1,
    first_seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    out: Path = OUT,
    until: int | None = None,
) -> None:
    """Train a network on a folder of class folders, or continue it; write it for `adapt`.

    The seed splits the classes into those of meta-training, validation and meta-test. Prints the
    accuracy on tasks of each with its 95% interval, over seeds if there are several, else over
    tasks. The network and its card, a model for `adapt`, are written beside the checkpoints.
    """
    check_count("seeds", seeds)
    dataset = settings.load()
    parts = settings.split(len(dataset.classes), 0)
    print(
        f"{settings.name}: {len(dataset.classes)} classes of {dataset.images.shape[1]} images, "
        f"{len(parts['train'])} for meta-training, {len(parts['validation'])} for validation, "
        f"{len(parts['test'])} for the meta-test.",
        flush=True,
    )
    trained, rows = _trained(settings, seeds, first_seed, device, workers, None, out, until)
    table = evaluation.summarise(pd.concat(rows, ignore_index=True))
    over, half = ("seeds", "accuracy_ci95") if seeds > 1 else ("tasks", "accuracy_ci95_tasks")
    said = {"train": "meta-training", "validation": "validation", "test": "meta-test"}
    task = f"{settings.ways}-way {settings.shots}-shot, steps {settings.adaptation_steps}"
    for row in table.to_dict("records"):
        interval = f"± {row[half]:.1f}% (95% interval over {over})"
        print(f"{said[row['split']]} classes, {task}: {row['accuracy']:.1f} {interval}")
    for one, own in zip(trained, rows, strict=True):
        place = out / label(one.cells[0], device)
        print(f"model: {models.export(one, dataset, place, rows=own)}")


def _print(rows: list[pd.DataFrame]) -> None:
    table = evaluation.summarise(pd.concat(rows, ignore_index=True))
    print(table.to_string(index=False, float_format="%.3g"))


def _trained(
    settings: Settings,
    seeds: int,
    first_seed: int,
    device: str,
    workers: int,
    cluster: str | None,
    out: Path,
    until: int | None,
) -> tuple[list[Trained], list[pd.DataFrame]]:
    """Every seed's network and its rows, which are written beside its checkpoints."""
    check_count("seeds", seeds)
    check_count("workers", workers)
    check_count("first_seed", first_seed, least=0)
    if until is not None:
        check_count("until", until)
    cells = [Cell(settings, seed) for seed in range(first_seed, first_seed + seeds)]
    with at(out, cluster):
        trained = train_cells(cells, out, device=device, until=until, workers=workers)
    rows = evaluation.evaluate_all(trained, settings.load(device))
    for (cell,), own in zip((one.cells for one in trained), rows, strict=True):
        write_atomic(out / f"{label(cell, device)}.csv", own.to_csv(index=False).encode())
    return trained, rows
