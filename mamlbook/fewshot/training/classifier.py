"""No adaptive learning as it is done in practice: one classifier of all training classes at once.

It is trained by Adam on random batches, without tasks. To serve a task its head is replaced by a
new one of zeros, and the whole network is adapted: the first inner step then sets each row of the
head to the mean feature of its class, less that of all.
"""

import time
from dataclasses import dataclass, replace

import torch
from tqdm import trange

from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.engine.closed import passes
from mamlbook.fewshot.engine.learners import inputs
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.engine.optimisers import Optimiser
from mamlbook.fewshot.settings import Cell, Seeds
from mamlbook.fewshot.training import Trained, single_threaded


@dataclass(frozen=True)
class Classifier:
    """Batches, and images of each; the rate of Adam."""

    batches: int = 2000
    images: int = 128
    rate: float = 1e-3


def fit(settings: Classifier, cell: Cell, images: ImageSet) -> Trained:
    """A network for the cell's tasks, trained to tell all the classes of its training tasks."""
    seeds, few = Seeds.of(cell.seed), cell.settings.network
    training = cell.settings.problem(images, seeds.split).training
    families = (training.easy, training.hard)
    classes = sorted({index for family in families for group in family.groups for index in group})
    network = replace(few, outputs=len(classes))
    device = images.images.device
    theta = network.initial(seeds.initialisation).to(device)
    optimiser = Optimiser("adam", theta, torch.full((1, 1), settings.rate, device=device))
    generator = torch.Generator().manual_seed(seeds.tasks)
    flat, pool = images.images.flatten(0, 1), training.easy.examples[classes]
    began = time.monotonic()
    with single_threaded():
        for _ in trange(settings.batches, desc="classifier", mininterval=1.0):
            label = torch.randint(len(pool), (settings.images,), generator=generator)
            place = torch.randint(pool.shape[1], (settings.images,), generator=generator)
            chosen = torch.tensor(classes)[label] * training.total + pool[label, place]
            x = inputs(flat, chosen[None].to(device), theta.dtype)
            logits, tape = passes.forward(network, theta, x, network.outputs)
            passes.cross_entropy(tape, logits, label.to(device))
            optimiser.update(passes.backward(network, theta, tape, 1))
    state = {"theta": new_head(network, theta, few)}
    return Trained((cell,), state, time.monotonic() - began, settings.batches)


def new_head(network: Network, theta: torch.Tensor, few: Network) -> torch.Tensor:
    """theta (1, size) of `network` with its head replaced by `few`'s, all zeros."""
    fresh = torch.zeros(1, few.size, device=theta.device)
    for part, old in zip(few.parts(fresh)[:-2], network.parts(theta)[:-2], strict=True):
        part.copy_(old)
    return fresh
