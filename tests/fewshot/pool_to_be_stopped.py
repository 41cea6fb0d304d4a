"""Trains four long cells in FOLDER, two at a time: the command that a test stops."""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from mamlbook import jobs
from mamlbook.errors import Stopped
from mamlbook.fewshot import training
from mamlbook.fewshot.settings import Cell, Omniglot
from tests.fewshot import synthetic


def train(seed: int, folder: Path) -> None:
    """Train a cell with a checkpoint at every step; it would take hours."""
    settings = Omniglot(setting="all", tasks=2, targets=2, filters=4, iterations=1_000_000)
    training.train(
        [Cell(settings, seed)], synthetic.characters(), folder=folder / str(seed), save_every=0,
        threads=1, progress=False,
    )  # fmt: skip


if __name__ == "__main__":
    try:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            jobs.run_cells(partial(train, folder=Path(sys.argv[1])), range(4), pool)
    except Stopped as stop:
        print(stop, file=sys.stderr)
        sys.exit(128 + stop.signum)
