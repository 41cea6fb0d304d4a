"""Train and evaluate the cells of Section 5, resumably, one by one or on many machines."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import tyro

from mamlbook.fewshot import evaluation, images, training
from mamlbook.fewshot.settings import Cell, Cifar, Omniglot, Settings
from mamlbook.records import replace

OUT = Path("runs")


def train_group(
    cells: list[Cell],
    out: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train cells together, or continue them, and return their evaluation rows.

    Checkpoints are kept in `out/LABEL/`; each cell's rows are written to `out/CELL.csv`.
    """
    held = images.load(cells[0].settings.data, device)
    label = cells[0].label if len(cells) == 1 else f"{cells[0].label}-and-{len(cells) - 1}"
    trained = training.train(cells, held, folder=out / label, threads=threads, progress=progress)
    tables = []
    for cell, theta in zip(cells, trained.theta.split(1), strict=True):
        tables.append(evaluation.evaluate(cell, theta, held))
        replace(out / f"{cell.label}.csv", tables[-1].to_csv(index=False).encode())
    return pd.concat(tables, ignore_index=True)


def train_cells(
    cells: list[Cell],
    out: Path,
    *,
    device: str = "cpu",
    executor: Executor | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Train cells and return their rows: together on a GPU, else one by one through `executor`
    (by default a pool of `workers` processes, or this one if there is but one)."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"The device is {device!r}, but torch sees no GPU here; use 'cpu'.")
    if device.startswith("cuda"):
        return train_group(cells, out, device=device)
    if executor is None and workers == 1:
        tables = [train_group([cell], out, device=device) for cell in cells]
    elif executor is None:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            return train_cells(cells, out, device=device, executor=pool)
    else:
        one = partial(_train_cell, out=out, device=device)
        tables = run_cells(one, cells, executor)
    return pd.concat(tables, ignore_index=True)


def run_cells(
    function: Callable[[Any], Any], cells: Iterable[Any], executor: Executor
) -> list[Any]:
    """function(cell) of every cell, through any executor; the results in the cells' order.

    The cells are independent, so any worker may take any of them, again if another died at it.
    """
    futures = {executor.submit(function, cell): place for place, cell in enumerate(cells)}
    results = {futures[future]: future.result() for future in as_completed(futures)}
    return [results[place] for place in sorted(results)]


def omniglot(
    settings: Annotated[Omniglot, tyro.conf.OmitArgPrefixes],
    seeds: int = 5,
    first_seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    out: Path = OUT,
) -> None:
    """Train a cell of Table 1 for `seeds` seeds, or continue it, and print its accuracies."""
    _command(settings, seeds, first_seed, device, workers, out)


def cifar(
    settings: Annotated[Cifar, tyro.conf.OmitArgPrefixes],
    seeds: int = 5,
    first_seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    out: Path = OUT,
) -> None:
    """Train a cell of Table 2 for `seeds` seeds, or continue it, and print its accuracies."""
    _command(settings, seeds, first_seed, device, workers, out)


def alphabets(
    settings: Annotated[Omniglot, tyro.conf.OmitArgPrefixes] = Omniglot(setting="all"),  # noqa: B008
    seed: int = 0,
    out: Path = OUT,
) -> None:
    """Train on every alphabet and write out/alphabets.csv: accuracy by alphabet, lowest first."""
    cell = Cell(settings, seed)
    held = images.load("omniglot")
    trained = training.train([cell], held, folder=out / cell.label)
    rows = evaluation.by_group(cell, trained.theta, held, settings.evaluation_tasks)
    replace(out / "alphabets.csv", rows.to_csv(index=False).encode())
    print(rows.to_string(index=False, float_format="%.1f"))


def _command(
    settings: Settings, seeds: int, first_seed: int, device: str, workers: int, out: Path
) -> None:
    if seeds < 1 or workers < 1:
        raise ValueError(f"{seeds} seeds on {workers} workers: both must be at least 1.")
    cells = [Cell(settings, seed) for seed in range(first_seed, first_seed + seeds)]
    rows = train_cells(cells, out, device=device, workers=workers)
    print(evaluation.summarise(rows).to_string(index=False, float_format="%.1f"))


def _train_cell(cell: Cell, out: Path, device: str) -> pd.DataFrame:
    return train_group([cell], out, device=device, threads=1, progress=False)
