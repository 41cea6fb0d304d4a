"""The measured work: one exact outer step of MAML, by us and by others, on the same tasks.

Every contender is a function of nothing that returns the gradient summed over the tasks, as one
vector in the order of our parameters.
"""

import importlib
import subprocess
import sys
import tarfile
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pooch
import torch
import torch.nn.functional as F
from torch import nn

from mamlbook.fewshot.data import tasks
from mamlbook.fewshot.data.tasks import Episodes, Family, Shape
from mamlbook.fewshot.engine import learners, recorded
from mamlbook.fewshot.engine.network import Network

Step = Callable[[], torch.Tensor]
RATE = 0.1


@dataclass(frozen=True)
class Work:
    """A network and tasks of one shape, on random images."""

    name: str
    network: Network
    shape: Shape
    tasks: int

    def data(self) -> tuple[torch.Tensor, torch.Tensor, Episodes]:
        """theta (1, size), uint8 images (all, side, side, channels), and the tasks."""
        generator = torch.Generator().manual_seed(0)
        examples, side = self.shape.shots + self.shape.queries, self.network.side
        size = (50 * examples, side, side, self.network.channels)
        images = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
        allowed = torch.arange(examples).expand(50, -1)
        family = Family(self.shape, (tuple(range(50)),), False, allowed)
        return self.network.initial(0), images, family.draw(self.tasks, generator, examples)


def _omniglot(downsampling: str) -> Network:
    return Network(28, 1, 5, downsampling=downsampling)


def _cifar(downsampling: str) -> Network:
    return Network(32, 3, 20, downsampling=downsampling)


WORKS = [
    Work("Omniglot 5-way 1-shot, strided", _omniglot("strided"), Shape(5, 1, 10), 8),
    Work("Omniglot 5-way 1-shot, pooled", _omniglot("pooled"), Shape(5, 1, 10), 8),
    Work("CIFAR hard 20-way 5-shot, strided", _cifar("strided"), Shape(20, 5, 10), 2),
    Work("CIFAR hard 20-way 5-shot, pooled", _cifar("pooled"), Shape(20, 5, 10), 2),
    Work("CIFAR easy 2-way 50-shot, pooled", _cifar("pooled"), Shape(2, 50, 10), 2),
]


def ours(work: Work, threads: int, algorithm: str = "maml", *, patience: int = 0) -> Step:
    """The package's own step, task by task on `threads` threads, as trainings run it from the
    first call after `patience` for each shape of tasks."""
    recorded.PATIENCE = patience
    theta, images, episodes = work.data()
    gradient = recorded.Gradients(learners.Learner(algorithm, RATE), work.network, images)
    torch.set_num_threads(1)
    team = ThreadPoolExecutor(threads)

    def step() -> torch.Tensor:
        outcomes = learners.parallel_gradients(gradient, theta, [episodes], team)
        return sum(outcome.gradient[0] for outcome in outcomes)

    return step


def unrecorded(work: Work, threads: int) -> Step:
    """The package's own step, each operation called where it is written."""
    return ours(work, threads, patience=sys.maxsize)


def true_gradient(work: Work) -> torch.Tensor:
    """The exact gradient in float64; the tests compare this path with double backward."""
    theta, images, episodes = work.data()
    learner, total = learners.Learner("maml", RATE), 0
    for task in range(work.tasks):
        one = episodes[task : task + 1]
        outcome = learners.outer_gradient(learner, work.network, theta.double(), images, one)
        total = total + outcome.gradient[0]
    return total


def plain(work: Work, threads: int) -> Step:
    """A loop over the tasks with autograd's double backward, as most would write it."""
    return _looped(work, threads, _PlainLearner)


def learn2learn(work: Work, threads: int) -> Step:
    """The same loop with the MAML class of learn2learn 0.2.0 (Arnold et al., 2020)."""
    return _looped(work, threads, _learn2learn().MAML)


def _looped(work: Work, threads: int, wrap: Callable[..., nn.Module]) -> Step:
    theta, images, episodes = work.data()
    torch.set_num_threads(threads)
    module = _Module(work.network, theta)
    maml = wrap(module, lr=RATE)
    ways = work.shape.ways
    y_s, y_t = tasks.labels(ways, work.shape.shots), tasks.labels(ways, work.shape.queries)

    def step() -> torch.Tensor:
        module.zero_grad(set_to_none=True)
        for support, query in zip(episodes.support, episodes.query, strict=True):
            x_s, x_t = (
                learners.inputs(images, each[None], theta.dtype)[0].permute(0, 3, 1, 2).contiguous()
                for each in (support, query)
            )
            clone = maml.clone()
            clone.adapt(F.cross_entropy(clone(x_s)[:, :ways], y_s))
            F.cross_entropy(clone(x_t)[:, :ways], y_t).backward()
        return module.gradient()

    return step


class _Module(nn.Module):
    """The network as a plain module, channels first, starting from theta."""

    def __init__(self, network: Network, theta: torch.Tensor) -> None:
        super().__init__()
        self.network, inputs, layers = network, network.channels, []
        for _ in range(4):
            layers += [
                nn.Conv2d(inputs, network.filters, 3, network.stride, 1, bias=False),
                nn.BatchNorm2d(network.filters, track_running_stats=False),
                nn.ReLU(),
            ]
            if network.downsampling == "pooled":
                layers.append(nn.MaxPool2d(2))
            inputs = network.filters
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(network.features, network.outputs)
        with torch.no_grad():
            for parameter, part in zip(self.parameters(), network.parts(theta), strict=True):
                parameter.copy_(self._there(part[0], parameter.shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(x)
        strided = self.network.downsampling == "strided"
        return self.head(x.mean((2, 3)) if strided else x.flatten(1))

    def gradient(self) -> torch.Tensor:
        """The parameters' gradients as one vector in our order."""
        return torch.cat([self._back(parameter.grad) for parameter in self.parameters()])

    def _there(self, part: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        if len(shape) == 4:
            return part.unflatten(1, (3, 3, -1)).permute(0, 3, 1, 2)
        if len(shape) == 2 and shape[1] != self.network.filters:  # the features' order
            area = shape[1] // self.network.filters
            return part.unflatten(1, (area, -1)).mT.flatten(1)
        return part

    def _back(self, gradient: torch.Tensor) -> torch.Tensor:
        if gradient.ndim == 4:
            gradient = gradient.permute(0, 2, 3, 1)
        elif gradient.ndim == 2 and gradient.shape[1] != self.network.filters:
            gradient = gradient.unflatten(1, (self.network.filters, -1)).mT
        return gradient.flatten()


class _PlainLearner(nn.Module):
    """What the loop needs of a MAML class, with torch.func's functional_call."""

    def __init__(self, module: nn.Module, lr: float) -> None:
        super().__init__()
        self.module, self.lr = module, lr

    def clone(self) -> "_PlainLearner":
        clone = _PlainLearner(self.module, self.lr)
        clone.weights = dict(self.module.named_parameters())
        return clone

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(self.module, self.weights, x)

    def adapt(self, loss: torch.Tensor) -> None:
        slopes = torch.autograd.grad(loss, list(self.weights.values()), create_graph=True)
        pairs = zip(self.weights.items(), slopes, strict=True)
        self.weights = {name: weight - self.lr * slope for (name, weight), slope in pairs}


def _learn2learn() -> types.ModuleType:
    """The module learn2learn.algorithms.maml of the unaltered source distribution.

    It is loaded without the package's own __init__, which wants gym, torchvision and a
    compiled extension that the MAML class does not use.
    """
    folder = Path(pooch.os_cache("mamlbook")) / "peers"
    source = folder / "learn2learn-0.2.0"
    if not source.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        words = "download --quiet --no-deps --no-build-isolation --no-binary :all: --dest"
        subprocess.run(
            [sys.executable, "-m", "pip", *words.split(), folder, "learn2learn==0.2.0"], check=True
        )
        with tarfile.open(folder / "learn2learn-0.2.0.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    for name in ("learn2learn", "learn2learn.algorithms"):
        bare = types.ModuleType(name)
        bare.__path__ = [str(source.joinpath(*name.split(".")))]
        sys.modules[name] = bare
    return importlib.import_module("learn2learn.algorithms.maml")
