"""N-way K-shot tasks, easy and hard, drawn many at a time on the device of the images.

A task is N classes, in random order, with K support and Q query examples of each. The label of
an example is the place of its class in that order, so a label means nothing outside its task.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from mamlbook.errors import InputError, check_count


@dataclass(frozen=True)
class Shape:
    """Number of classes N, of support examples per class K, and of queries per class Q."""

    ways: int
    shots: int
    queries: int

    def __post_init__(self) -> None:
        for name in ("ways", "shots", "queries"):
            check_count(name, getattr(self, name))


@dataclass(frozen=True)
class Episodes:
    """Tasks of one shape as flat indices into images.flatten(0, 1).

    support: int64 (tasks, N * K); query: int64 (tasks, N * Q); class by class, so the labels
    are 0 (K times), 1 (K times), ... for every task.
    """

    shape: Shape
    support: torch.Tensor
    query: torch.Tensor

    def __getitem__(self, which: torch.Tensor | slice) -> "Episodes":
        return Episodes(self.shape, self.support[which], self.query[which])


@dataclass(frozen=True)
class Family:
    """A distribution of tasks of one shape.

    groups: class indices, group by group (alphabets; for CIFAR-100 one group of all classes).
    distinct: True draws N distinct groups uniformly and one class of each (Omniglot's easy
    tasks, C.4); False draws one group uniformly and N of its classes (its hard tasks).
    examples: int64 (classes, E), the examples of each class that may be used. turned: True draws
    for each class of a task one of four turns by 90 degrees; the image tensor then has all images
    four times, once for each turn (`images.turns`).
    """

    shape: Shape
    groups: tuple[tuple[int, ...], ...]
    distinct: bool
    examples: torch.Tensor
    turned: bool = False

    def __post_init__(self) -> None:
        ways, needed = self.shape.ways, self.shape.shots + self.shape.queries
        if self.distinct and len(self.groups) < ways:
            raise InputError(
                f"{ways} ways need as many groups, but there are {len(self.groups)}; "
                "ask for fewer ways."
            )
        smallest = min((len(group) for group in self.groups), default=0)
        if smallest < (1 if self.distinct else ways):
            raise InputError(
                f"{ways} ways need as many classes, but a group has {smallest}; ask for fewer ways."
            )
        if self.examples.shape[1] < needed:
            raise InputError(
                f"{self.shape.shots} shots and {self.shape.queries} query examples need {needed} "
                f"examples of a class, but there are {self.examples.shape[1]}; ask for fewer."
            )

    def draw(self, count: int, generator: torch.Generator, total: int) -> Episodes:
        """`count` independent tasks; `total`: examples of a class in the image tensor."""
        device, shape = generator.device, self.shape
        table, examples = self._on(device)

        def rand(*size: int) -> torch.Tensor:
            return torch.rand(size, generator=generator, device=device)

        if self.distinct:
            chosen = rand(count, len(self.groups)).topk(shape.ways).indices
            sizes = (table >= 0).sum(1)[chosen]
            # float32 rounding can lift u * size to size itself
            member = (rand(count, shape.ways) * sizes).long().minimum(sizes - 1)
            classes = table[chosen, member]
        else:
            group = (rand(count) * len(self.groups)).long().clamp(max=len(self.groups) - 1)
            rows = table[group]
            scores = rand(*rows.shape).masked_fill(rows < 0, -1.0)
            classes = rows.gather(1, scores.topk(shape.ways).indices)
        allowed = examples[classes]
        picked = rand(*allowed.shape).topk(shape.shots + shape.queries).indices
        flat = classes[:, :, None] * total + allowed.gather(2, picked)
        if self.turned:
            images = len(self.examples) * total
            flat = flat + images * (4 * rand(count, shape.ways, 1)).long().clamp(max=3)
        support, query = flat.split((shape.shots, shape.queries), 2)
        return Episodes(shape, support.flatten(1), query.flatten(1))

    @cached_property
    def _tables(self) -> dict[torch.device, tuple[torch.Tensor, torch.Tensor]]:
        return {}

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """The groups (groups, most classes of a group), with -1 for none, and `examples`: copied
        to a device once, since a copy keeps the device waiting."""
        if device not in self._tables:
            rows = [torch.tensor(group) for group in self.groups]
            table = pad_sequence(rows, batch_first=True, padding_value=-1)
            self._tables[device] = table.to(device), self.examples.to(device)
        return self._tables[device]


@dataclass(frozen=True)
class Mixture:
    """Each task is hard with probability `hard_probability`, else easy.

    total: examples of a class in the image tensor that the indices point into.
    """

    easy: Family
    hard: Family
    hard_probability: float
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hard_probability <= 1:
            raise InputError(
                f"The probability of a hard task is {self.hard_probability}; "
                "it must lie between 0 and 1."
            )

    def draw(
        self, count: int, seed: tuple[int, ...], device: str | torch.device
    ) -> tuple[np.ndarray, Episodes, Episodes]:
        """`count` tasks: flags (count,), True for hard, and as many easy and as many hard tasks.

        Task t is the t-th hard one where flags[t], else the t-th easy one. The flags are drawn
        on the host, which so knows every shape without waiting for the device.
        """
        sequences = np.random.SeedSequence(seed).spawn(3)
        flags = np.random.default_rng(sequences[0]).random(count) < self.hard_probability
        drawn = []
        for family, sequence in zip((self.easy, self.hard), sequences[1:], strict=True):
            generator = torch.Generator(device)
            generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
            drawn.append(family.draw(count, generator, self.total))
        return flags, drawn[0], drawn[1]


def merge(flags: torch.Tensor, easy: Episodes, hard: Episodes) -> Episodes:
    """The hard task where flags[t], else the easy one; both must have one shape."""
    which = flags[:, None]
    return Episodes(
        easy.shape,
        torch.where(which, hard.support, easy.support),
        torch.where(which, hard.query, easy.query),
    )


def labels(ways: int, per_class: int, device: str | torch.device = "cpu") -> torch.Tensor:
    """int64 (ways * per_class,): the labels of `per_class` examples of each class in turn."""
    return torch.arange(ways, device=device).repeat_interleave(per_class)
