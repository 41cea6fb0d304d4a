"""The geography of Section 3.2, measured in a network: how far adaptation goes, and how far apart.

The optimal solution of a task is stood in for by the parameters after many inner steps from a
trained network. The spread of the easy (hard) tasks' is r_E (r_H), the distance of their means R.
"""

from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from mamlbook.errors import InputError
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.engine.learners import adapt
from mamlbook.fewshot.settings import Seeds
from mamlbook.fewshot.training import Trained


def distances(easy: torch.Tensor, hard: torch.Tensor) -> dict[str, float]:
    """R, r_easy, r_hard from samples (T, size) of the solutions of easy and of hard tasks.

    r^2 is the unbiased variance, summed over coordinates; R^2 the squared distance of the sample
    means less what their scatter adds to it, r_E^2 / T_E + r_H^2 / T_H, and not below zero.
    """
    if min(len(easy), len(hard)) < 2:
        raise InputError(
            f"There are {len(easy)} easy and {len(hard)} hard solutions; "
            "a spread needs two of each."
        )
    spread = [each.double().var(0).sum().item() for each in (easy, hard)]
    apart = (easy.double().mean(0) - hard.double().mean(0)).square().sum().item()
    apart -= spread[0] / len(easy) + spread[1] / len(hard)
    return {"R": max(apart, 0.0) ** 0.5, "r_easy": spread[0] ** 0.5, "r_hard": spread[1] ** 0.5}


def dispersion(
    trained: Trained, setting: str, images: ImageSet, tasks: int, steps: int
) -> pd.DataFrame:
    """Rows (setting, seed, split, part, R, r_easy, r_hard): `tasks` easy and as many hard tasks of
    each split of `setting`, each adapted by `steps` inner steps from the network `trained`,
    whatever it was trained in; all parameters, and those before the head."""
    (cell,) = trained.cells
    changed: dict[str, Any] = {"setting": setting}  # only Omniglot's has one
    settings, seeds = replace(cell.settings, **changed), Seeds.of(cell.seed)
    problem, flat = settings.problem(images, seeds.split), images.images.flatten(0, 1)
    network, rows = settings.network, []
    before_head = network.size - sum(part[0].numel() for part in network.parts(trained.theta)[-2:])
    for place, (split, mixture) in enumerate(problem.evaluation.items()):
        _, *pair = mixture.draw(tasks, (seeds.evaluation, 10 + place), flat.device)
        ends = [
            torch.cat(
                [
                    adapt(settings.learner, network, trained.theta, flat, episodes[piece], steps)
                    for piece in torch.arange(tasks, device=flat.device).split(10)
                ]
            )
            for episodes in pair
        ]
        for part, size in (("all", network.size), ("features", before_head)):
            row = distances(*(each[:, :size].cpu() for each in ends))
            rows.append(
                {"setting": settings.name, "seed": cell.seed, "split": split, "part": part, **row}
            )
    return pd.DataFrame(rows)
