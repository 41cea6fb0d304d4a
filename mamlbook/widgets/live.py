"""The live network: the trained networks of Table 1, small enough to adapt in the page."""

import base64
from collections.abc import Sequence

import anywidget
import numpy as np
import torch
import traitlets

from mamlbook.fewshot.images import ImageSet
from mamlbook.fewshot.models import Model
from mamlbook.fewshot.settings import Omniglot, Seeds
from mamlbook.widgets import HERE, STYLE, _script

STEPS = 127  # quantization steps on each side of zero: 8 bits


class LiveNetwork(anywidget.AnyWidget):
    """Five characters, drawn or dealt, then a sixth: networks adapt to the five in the page.

    models: name -> network of the configuration "lineage", all of one seed; the untrained network
    of that seed joins them. tasks: from `dealt`. Traits that move: inner `steps` and the inner
    learning rate `rate`.
    """

    _esm = _script("network", "live")
    _css = STYLE + (HERE / "live.css").read_text(encoding="utf-8")
    steps = traitlets.Int(1).tag(sync=True)
    rate = traitlets.Float(0.1).tag(sync=True)
    networks = traitlets.Dict().tag(sync=True)
    tasks = traitlets.Dict().tag(sync=True)

    def __init__(self, models: dict[str, Model], tasks: dict[str, list], **traits) -> None:
        (seed,) = {model.card["seed"] for model in models.values()}
        initial = Seeds.of(seed).initialisation
        networks = {
            name: {"data": compact(model, initial), "seed": initial, **card_accuracies(model)}
            for name, model in models.items()
        }
        networks["untrained"] = {"seed": initial}
        super().__init__(networks=networks, tasks=tasks, **traits)


def card_accuracies(model: Model) -> dict[str, float]:
    """Percent on easy and on hard tasks of test alphabets after one step, from the model's card."""
    rows = model.evaluation()
    own = rows[rows["split"] == "test"].set_index("hardness")["accuracy"]
    return {kind: round(float(own[kind]), 1) for kind in ("easy", "hard")}


def compact(model: Model, seed: int) -> str:
    """A network of 112,000 parameters in 113 kB, as base64.

    Of theta's difference from the initialization of `seed`, each row of a matrix is rounded to
    whole numbers of 8 bits times its own scale; vectors and scales are float32. All float32
    numbers come first, then all whole ones.
    """
    difference = model.theta - model.network.initial(seed)
    scales, whole = [], []
    for part in model.network.parts(difference):
        if part.dim() == 2:  # a vector: scale, shift or bias
            scales.append(part[0])
            continue
        scale = part[0].abs().amax(1) / STEPS
        scales.append(scale)
        whole.append((part[0] / scale.clamp(min=1e-30)[:, None]).round().to(torch.int8).flatten())
    # `decoded` adds the initialization to vectors too: their difference is exact
    sent = torch.cat(scales).numpy().astype("<f4").tobytes() + torch.cat(whole).numpy().tobytes()
    return base64.b64encode(sent).decode()


def expanded(text: str, model: Model, seed: int) -> torch.Tensor:
    """theta (1, size) as the page has it: the inverse of `compact` up to its rounding."""
    sent, theta = base64.b64decode(text), model.network.initial(seed)
    count = sum(shape[0] for shape in model.network.shapes)
    exact = torch.from_numpy(np.frombuffer(sent, "<f4", count).copy())
    whole = torch.from_numpy(np.frombuffer(sent, np.int8, offset=4 * count).copy()).float()
    row = at = 0
    for part in model.network.parts(theta):
        rows = part.shape[1]
        if part.dim() == 2:
            part += exact[row : row + rows]
        else:
            own = whole[at : at + part.numel()].view(part.shape)
            part += own * exact[row : row + rows, None]
            at += part.numel()
        row += rows
    return theta


def dealt(model: Model, images: ImageSet, count: int, seed: int) -> dict[str, list]:
    """`count` easy and as many hard tasks of alphabets that the model has not seen.

    Each is {"support": 5 drawings, "query": 5 drawings, one of each class}; a drawing of 28 x 28
    is the base64 of its 784 bits, 1 where there is ink.
    """
    settings = Omniglot(**model.card["settings"])
    mixture = settings.problem(images, Seeds.of(model.card["seed"]).split).evaluation["test"]
    _, easy, hard = mixture.draw(count, (seed,), "cpu")
    flat = images.images.flatten(0, 1)
    shape = easy.shape
    told: dict[str, list] = {}
    for kind, episodes in (("easy", easy), ("hard", hard)):
        first = episodes.target[:, :: shape.targets]
        told[kind] = [
            {"support": bits(flat[support]), "query": bits(flat[query])}
            for support, query in zip(episodes.support, first, strict=True)
        ]
    return told


def bits(drawings: torch.Tensor) -> Sequence[str]:
    """One-bit drawings uint8 (n, side, side, 1), ink 0, as base64."""
    return [
        base64.b64encode(np.packbits(drawing.numpy() == 0).tobytes()).decode()
        for drawing in drawings
    ]
