"""The commands `train omniglot` and `train cifar`: cells of Section 5 trained and evaluated."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro

from mamlbook.errors import check_count
from mamlbook.fewshot import evaluation, images
from mamlbook.fewshot.cells import label, train_cells
from mamlbook.fewshot.settings import Cell, Cifar, Omniglot, Settings
from mamlbook.jobs import at
from mamlbook.records import replace

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
    _command(settings, seeds, first_seed, device, workers, cluster, out, until)


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
    _command(settings, seeds, first_seed, device, workers, cluster, out, until)


def _command(
    settings: Settings,
    seeds: int,
    first_seed: int,
    device: str,
    workers: int,
    cluster: str | None,
    out: Path,
    until: int | None,
) -> None:
    check_count("seeds", seeds)
    check_count("workers", workers)
    check_count("first_seed", first_seed, least=0)
    if until is not None:
        check_count("until", until)
    cells = [Cell(settings, seed) for seed in range(first_seed, first_seed + seeds)]
    with at(out, cluster):
        trained = train_cells(cells, out, device=device, until=until, workers=workers)
    rows = evaluation.evaluate_all(trained, images.load(settings.data, device))
    for (cell,), own in zip((one.cells for one in trained), rows, strict=True):
        replace(out / f"{label(cell, device)}.csv", own.to_csv(index=False).encode())
    rows = pd.concat(rows, ignore_index=True)
    print(evaluation.summarise(rows).to_string(index=False, float_format="%.3g"))
