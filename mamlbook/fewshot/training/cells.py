"""Cells trained, each in a folder of its own: together on a GPU, else one by one or by many
processes or machines, and always resumably."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from mamlbook.errors import InputError
from mamlbook.fewshot import training
from mamlbook.fewshot.settings import Cell
from mamlbook.fewshot.training import Trained, checkpoints
from mamlbook.jobs import check_workers, executor, run_cells, site
from mamlbook.records import check_folder


def train_group(
    cells: list[Cell],
    out: Path,
    *,
    device: str = "cpu",
    until: int | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> list[Trained]:
    """Train cells that are alike, together, or continue them, until the outer step `until`;
    `out/LABEL/` keeps each."""
    dataset = cells[0].settings.load(device)
    folders = [out / label(cell, device) for cell in cells]
    found = [
        training.finished(cell, dataset, folder, until)
        for cell, folder in zip(cells, folders, strict=True)
    ]
    # All of them, also those found: a group that is named by what is left would change its name
    # with each cell that is kept, and one that was cut between two would begin again.
    if found.count(False) > 1:
        folder = Path(f"{folders[0]}-and-{len(cells) - 1}")
        whole = training.train(cells, dataset, folder=folder, until=until, progress=progress)
        together = whole.unbatch()
        for one, folder, before in zip(together, folders, found, strict=True):
            if not before:
                training.keep(one, dataset, folder)
    progress = progress and found.count(False) == 1
    return [
        training.train(
            [cell], dataset, folder=folder, until=until, threads=threads, progress=progress
        )
        for cell, folder in zip(cells, folders, strict=True)
    ]


def train_cells(
    cells: list[Cell],
    out: Path,
    *,
    device: str = "cpu",
    until: int | None = None,
    workers: int = 1,
) -> list[Trained]:
    """Train cells: those that are alike together on a GPU, else one by one, in this process, by
    `workers` processes, or on the cluster of `jobs.site`."""
    check_device(device)
    check_workers(workers)
    if device != "cpu" and site().cluster:
        raise InputError(f"A cluster trains on CPUs; leave out --cluster or --device {device}.")
    check_cells(cells, out, device, until)
    if device != "cpu":
        groups = training.alike(cells)
        done = [
            one for group in groups for one in train_group(group, out, device=device, until=until)
        ]
        return sorted(done, key=lambda one: cells.index(one.cells[0]))
    out = out.absolute()  # for a worker that was started in another folder
    with executor(min(workers, len(cells))) as many:
        # A training alone uses all cores, and shows its own progress.
        how: dict[str, Any] = {"threads": None, "progress": True} if many is None else {}
        one = partial(_train_cell, out=out, device=device, until=until, **how)
        return run_cells(one, cells, many, partial(_reached, out=out, until=until))


def check_device(device: str) -> None:
    """InputError, in one sentence, unless it is "cpu", or "cuda" or "cuda:N" and torch sees it."""
    kind, colon, index = device.partition(":")
    if device != "cpu" and (kind != "cuda" or (colon and not index.isdecimal())):
        raise InputError(
            f"The device is {device!r}; it must be 'cpu', 'cuda', or one GPU of several, "
            "as 'cuda:1'."
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"The device is {device!r}, but torch sees no GPU here; use 'cpu'.")
    if index and int(index) >= (seen := torch.cuda.device_count()):
        raise InputError(
            f"The device is {device!r}, but the last GPU that torch sees is 'cuda:{seen - 1}'."
        )


def check_cells(cells: list[Cell], out: Path, device: str, until: int | None) -> None:
    """InputError, before any cell is trained, if one of them cannot be trained to its end: the
    folder is a file or cannot be written, or a checkpoint is past the length or another run's."""
    check_folder(out)
    load = cache(lambda settings: settings.load(device))
    for cell in cells:
        training.finished(cell, load(cell.settings), out / label(cell, device), until)


def label(cell: Cell, device: str) -> str:
    """The name of a cell's folder: its label, and the device's kind if it is not a CPU. From one
    seed another kind of device draws other tasks, so neither goes on where the other stopped."""
    kind = device.partition(":")[0]
    return cell.label if kind == "cpu" else f"{cell.label}-{kind}"


def _train_cell(
    cell: Cell,
    out: Path,
    device: str,
    until: int | None,
    threads: int | None = 1,
    progress: bool = False,
) -> Trained:
    return train_group([cell], out, device=device, until=until, threads=threads, progress=progress)[
        0
    ]


def _reached(cell: Cell, out: Path, until: int | None) -> float:
    """The part of a training that its last checkpoint holds."""
    return checkpoints.reached(out / cell.label) / (until or cell.settings.iterations)
