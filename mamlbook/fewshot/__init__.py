"""Few-shot classification: trained networks to take away, and what trained them.

In rooms: `data`, `engine`, `training`, `models`; `settings` says what is trained. Modules of the
rooms can also be imported from here, as `mamlbook.fewshot.images`.
"""

import sys

from mamlbook.fewshot import settings, training
from mamlbook.fewshot.data import images, pictures, sinusoids, tasks
from mamlbook.fewshot.engine import algorithms, grouped, learners, network
from mamlbook.fewshot.engine.closed import convolution
from mamlbook.fewshot.models import Model, adapt, predict, pretrained
from mamlbook.fewshot.training import cells, checkpoints, classifier, evaluation, geometry

SHORT = (
    images, pictures, sinusoids, tasks, algorithms, grouped, learners, network, convolution,
    cells, checkpoints, classifier, evaluation, geometry,
)  # fmt: skip
sys.modules.update({f"{__name__}.{each.__name__.rpartition('.')[2]}": each for each in SHORT})

__all__ = [
    "Model",
    "adapt",
    "algorithms",
    "classifier",
    "evaluation",
    "images",
    "learners",
    "network",
    "pictures",
    "predict",
    "pretrained",
    "settings",
    "sinusoids",
    "tasks",
    "training",
]  # fmt: skip
