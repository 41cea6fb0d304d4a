"""The live network: the trained networks of Table 1 adapt to the reader's drawings, in the page."""

import base64
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.models import Model
from mamlbook.fewshot.settings import Omniglot, Seeds
from mamlbook.widgets import HERE, STYLE, _script
from mamlbook.widgets.weights import packed


class LiveNetwork(anywidget.AnyWidget):
    """Five characters, drawn or dealt, then a sixth: networks adapt to the five in the page.

    models: name -> shipped network of the configuration "lineage", all of one seed; the untrained
    network of that seed joins them. tasks: from `dealt`. Traits that move: inner `steps` and the
    inner learning rate `rate`. The weights are no trait, lest every page carry them: a built page
    fetches them from a file beside it, a notebook asks its kernel for them.
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
            name: {"weights": model.card["name"], "seed": initial, **card_accuracies(model)}
            for name, model in models.items()
        }
        super().__init__(
            networks=networks | {"untrained": {"seed": initial}}, tasks=tasks, **traits
        )
        self.on_msg(self._hand_over)

    def _hand_over(self, _: "LiveNetwork", content: dict[str, Any], buffers: list) -> None:
        for network in self.networks.values():
            if "weights" in network and network["weights"] == content.get("weights"):
                self.send(content, [packed(network["weights"], network["seed"])])


def card_accuracies(model: Model) -> dict[str, list[float]]:
    """Percent on easy and on hard tasks of test alphabets after one step, and the half-widths of
    their 95% intervals, from the model's card."""
    rows = model.evaluation()
    own = rows[rows["split"] == "test"].set_index("hardness")[["accuracy", "accuracy_ci95"]]
    return {kind: own.loc[kind].round(1).tolist() for kind in ("easy", "hard")}


def dealt(model: Model, images: ImageSet, count: int, seed: int) -> dict[str, list]:
    """`count` easy and as many hard tasks of alphabets that the model has not seen.

    Each is {"support": 5 drawings, "query": 5 drawings, one of each class}; a drawing of 28 x 28
    is the base64 of its 784 bits, 1 where there is ink.
    """
    settings = Omniglot(**model.card["settings"])
    mixture = settings.problem(images, Seeds.of(model.card["seed"]).split).evaluation["test"]
    _, easy, hard = mixture.draw(count, (seed,), "cpu")
    flat = images.images.flatten(0, 1)
    tasks: dict[str, list] = {}
    for kind, episodes in (("easy", easy), ("hard", hard)):
        first = episodes.query[:, :: easy.shape.queries]
        tasks[kind] = [
            {"support": bits(flat[support]), "query": bits(flat[query])}
            for support, query in zip(episodes.support, first, strict=True)
        ]
    return tasks


def bits(drawings: torch.Tensor) -> list[str]:
    """One-bit drawings uint8 (n, side, side, 1), ink 0, as base64."""
    return [
        base64.b64encode(np.packbits(drawing.numpy() == 0).tobytes()).decode()
        for drawing in drawings
    ]
