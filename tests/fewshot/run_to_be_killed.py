"""Trains a small cell in FOLDER, printing each checkpoint: the process that a test kills."""

import sys
from pathlib import Path

from mamlbook.fewshot import training
from mamlbook.fewshot.settings import Cell, Omniglot
from mamlbook.fewshot.training import checkpoints, evaluation
from tests.fewshot import synthetic

SETTINGS = Omniglot(
    setting="all", iterations=100, tasks=3, targets=2, filters=4, optimiser="adam",
    evaluation_tasks=20,
)  # fmt: skip


def run(folder: Path) -> None:
    cell = Cell(SETTINGS, 3)
    images = synthetic.characters()
    trained = training.train([cell], images, folder=folder, save_every=0, progress=False)
    rows = evaluation.evaluate(cell, trained.theta, images)
    rows.to_csv(folder / "rows.csv", index=False)


def main(folder: Path) -> None:
    save = checkpoints.save

    def loudly(folder, checkpoint, identity):
        save(folder, checkpoint, identity)
        print(checkpoint.iteration, flush=True)

    checkpoints.save = loudly
    run(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
