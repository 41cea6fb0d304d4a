"""Trained networks to take away: weights, the card that says what they are, and their use.

    from mamlbook import fewshot

    network = fewshot.pretrained("omniglot", "large", "maml")
    adapted = fewshot.adapt(network, support_images, labels)
    fewshot.predict(adapted, query_images)

A model is NAME.safetensors, a tensor for each part of the network (`Network.names`, float32), and
its card NAME.json, which has the digest of the former. Both are made by `export`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mamlbook import records
from mamlbook.errors import InputError
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.data.pictures import Preparation
from mamlbook.fewshot.data.tasks import Family, Mixture
from mamlbook.fewshot.engine.closed import passes
from mamlbook.fewshot.engine.learners import Learner
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.training import Trained
from mamlbook.fewshot.training.classifier import Classifier

SHIPPED = Path(__file__).parent
LICENCES = {
    "omniglot": "weights: MIT; trained on Omniglot (MIT, (c) 2015 Brenden Lake)",
    "cifar100": "weights: MIT; trained on CIFAR-100 (Krizhevsky, 2009), which states no licence",
}


class ModelError(InputError):
    """There is no such model, or its files do not agree."""


@dataclass(frozen=True)
class Model:
    """A network with its parameters theta (1, size), how it adapts, and its card.

    labels: of the classes that it was adapted to, in the order of the head's outputs; none
    before `adapt`.
    """

    network: Network
    learner: Learner
    theta: torch.Tensor
    card: dict[str, Any]
    labels: tuple = ()

    @property
    def preparation(self) -> Preparation:
        """How `pictures.prepared` must make this network's images."""
        return self.card["preparation"]

    def evaluation(self) -> pd.DataFrame:
        """The card's rows: split, hardness, accuracy in percent, its ci95, tasks, steps."""
        return pd.DataFrame(self.card["evaluation"])


def names() -> list[str]:
    """The models that the package has."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def pretrained(
    data: str, setting: str, algorithm: str, *, configuration: str = "lineage", seed: int = 0
) -> Model:
    """The network behind a cell of a table, by the words of the table.

    data: "omniglot" or "cifar100"; setting: "large", "small", or "p=0.5" and so on; algorithm:
    "maml", "nal-1", "classifier", ... Raises ModelError, naming those that there are, if it is
    not one of them.
    """
    return load(name_of(data, setting, algorithm, configuration, seed))


def name_of(data: str, setting: str, algorithm: str, configuration: str, seed: int) -> str:
    """A model's name."""
    return f"{data}-{setting}-{algorithm}-{configuration}-{seed}"


def load(model: str | Path) -> Model:
    """The model of this name, or of this path of a .safetensors file with its card beside it.

    Raises ModelError, in one sentence, if a file is missing, damaged or another one.
    """
    path = Path(model)
    if path.suffix != ".safetensors":
        path = SHIPPED / f"{model}.safetensors"
    if not path.with_suffix(".json").is_file() or not path.is_file():
        raise ModelError(
            f"There is no model {str(model)!r}; give the path of a .safetensors file with its "
            f"card beside it, or one of {', '.join(names())}."
        )
    try:
        card, data = json.loads(path.with_suffix(".json").read_bytes()), path.read_bytes()
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise ValueError("the weights are not those that the card describes")
        tensors = load_tensors(data)
        network = Network(**{key: _hashable(value) for key, value in card["network"].items()})
        theta = network.vector({name: tensors[name].float() for name in network.names})
        learner = Learner(**card["learner"])
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"The model {path} cannot be read ({error}).") from None
    return Model(network, learner, theta, card)


def adapt(model: Model, support_images: np.ndarray, labels: Sequence, steps: int = 1) -> Model:
    """The model after `steps` inner steps, w <- w - alpha M grad L(w), on a support set.

    support_images: uint8 (n, side, side, channels) of N classes; labels: n of anything that can
    be compared, such as names. The model remains as it is.
    """
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1.")
    x, known = _inputs(model, support_images), tuple(dict.fromkeys(labels))
    if len(labels) != x.shape[1]:
        raise InputError(f"{x.shape[1]} images have {len(labels)} labels; each needs one.")
    y, theta = torch.tensor([known.index(label) for label in labels]), model.theta
    with torch.inference_mode():
        for _ in range(steps):
            logits, tape = passes.forward(model.network, theta, x, len(known))
            passes.cross_entropy(tape, logits, y)
            gradient = passes.backward(model.network, theta, tape, 1)
            step = model.learner.step(model.network, gradient)
            theta = theta - model.learner.inner_rate * step
    return replace(model, theta=theta, labels=known)


def probabilities(model: Model, images: np.ndarray) -> np.ndarray:
    """(n, N) of images uint8 (n, side, side, channels), after `adapt`.

    Batch norm takes its statistics of these images together, as in the paper's experiments and
    their likely code: give a task's queries in one call, not one by one.
    """
    if not model.labels:
        raise InputError("This network knows no classes yet; call `adapt` on a support set first.")
    with torch.inference_mode():
        logits, _ = passes.forward(
            model.network, model.theta, _inputs(model, images), len(model.labels)
        )
        return logits[0].softmax(1).numpy()


def predict(model: Model, images: np.ndarray) -> list:
    """The most probable label of each image; see `probabilities`."""
    return [model.labels[place] for place in probabilities(model, images).argmax(1)]


def export(
    trained: Trained,
    images: ImageSet,
    folder: Path = SHIPPED,
    *,
    commit: str | None = None,
    classifier: Classifier | None = None,
    rows: pd.DataFrame | None = None,
) -> Path:
    """Write a trained cell (`training.at`, `training.train`) as a model, evaluated; its path.

    commit: of the code that trained it; by default that of the present code. classifier: if the
    network was trained by `classifier.fit` for the cell's tasks, how; the model is then named so.
    rows: those of `evaluation.evaluate`, if they are there already.
    """
    from mamlbook.fewshot.settings import Seeds
    from mamlbook.fewshot.training import evaluation

    (cell,) = trained.cells
    settings, theta = cell.settings, trained.theta.cpu().float()
    if rows is None:
        rows = evaluation.evaluate(
            cell, theta.to(images.images.device), images, iterations=trained.iterations
        )
    kept = ["split", "hardness", "accuracy", "accuracy_ci95", "tasks", "steps", "statistics"]
    data = settings.data.removesuffix("-binary")
    problem = settings.problem(images, Seeds.of(cell.seed).split)
    network, tensors = settings.network, settings.network.named(theta)
    blob = save_tensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    algorithm = "classifier" if classifier else settings.algorithm
    name = name_of(data, settings.name, algorithm, settings.configuration, cell.seed)
    card = {
        "name": name,
        "data": {"name": settings.data, "sha256": images.digest},
        "preparation": settings.preparation,
        "split": {split: _classes(one, images) for split, one in problem.evaluation.items()},
        "algorithm": algorithm,
        "configuration": settings.configuration,
        "settings": asdict(settings),
        **({"classifier": asdict(classifier)} if classifier else {}),
        "seed": cell.seed,
        "budget": {
            "iterations": trained.iterations,
            "planned": classifier.batches if classifier else settings.iterations,
            "seconds": round(trained.seconds, 1),
        },
        "evaluation": rows[kept].to_dict("records"),
        "network": asdict(network),
        "learner": asdict(settings.learner),
        "commit": commit or records.commit(),
        "licence": LICENCES.get(data, "weights: MIT; of images of one's own"),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": hashlib.sha256(blob).hexdigest(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    records.write_atomic(folder / f"{name}.safetensors", blob)
    text = json.dumps(card, indent=1, ensure_ascii=False, default=str) + "\n"
    records.write_atomic(folder / f"{name}.json", text.encode())
    return folder / f"{name}.safetensors"


def _classes(mixture: Mixture, images: ImageSet) -> dict[str, list[str]]:
    """The groups of easy and of hard tasks; without hard ones, the classes of all."""
    if not mixture.hard_probability:
        return {"classes": sorted(images.classes[index] for index in mixture.easy.groups[0])}
    return {"easy": _groups(mixture.easy, images), "hard": _groups(mixture.hard, images)}


def _groups(family: Family, images: ImageSet) -> list[str]:
    """The names of a family's groups of classes."""
    return sorted({images.groups[index] for group in family.groups for index in group})


def _inputs(model: Model, images: np.ndarray) -> torch.Tensor:
    network, x = model.network, torch.as_tensor(images)
    wanted = (network.side, network.side, network.channels)
    if x.dtype != torch.uint8 or x.ndim != 4 or tuple(x.shape[1:]) != wanted or not len(x):
        raise InputError(
            f"The images are {x.dtype} {tuple(x.shape)}; this network takes uint8 "
            f"(n, {', '.join(map(str, wanted))})."
        )
    return x[None].float() / 255


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value
