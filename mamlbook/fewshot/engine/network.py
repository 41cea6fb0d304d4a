"""The convolutional network of Finn et al. (2017) for few-shot classification.

Four blocks of a 3 x 3 convolution without bias (a bias before batch norm does nothing), batch
norm with the statistics of the batch, and ReLU; then a linear head. "strided" halves the side in
each convolution and takes the spatial mean before the head, which is Finn et al.'s network for
Omniglot; "pooled" halves it by 2 x 2 max-pooling and flattens. "leaky" is the ReLU with slope
0.01 of Antoniou et al. (2018). Convolutions are initialized from Xavier's uniform distribution, the
head from the same, zeros or N(0, 1), scales at 1, shifts and biases at 0.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F

from mamlbook.errors import InputError

BLOCKS = 4
EPSILON = 1e-5  # added to a batch variance


@dataclass(frozen=True)
class Network:
    """Sizes of the network; its parameters are one vector theta of length `size`.

    side, channels: of the input images; outputs: of the head (a task of N ways uses the first
    N); filters: of every convolution.
    """

    side: int
    channels: int
    outputs: int
    filters: int = 64
    downsampling: Literal["strided", "pooled"] = "strided"
    activation: Literal["relu", "leaky"] = "relu"
    head: Literal["xavier", "zeros", "normal"] = "xavier"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.downsampling not in ("strided", "pooled"):
            raise InputError(
                f"downsampling is {self.downsampling!r}; choose 'strided' or 'pooled'."
            )
        if self.activation not in ("relu", "leaky"):
            raise InputError(f"activation is {self.activation!r}; choose 'relu' or 'leaky'.")
        if self.head not in ("xavier", "zeros", "normal"):
            raise InputError(f"head is {self.head!r}; choose 'xavier', 'zeros' or 'normal'.")
        if self.side < 16 or self.filters < 1:
            raise InputError(
                f"The images have side {self.side} and the blocks {self.filters} filters; "
                "the side must be at least 16 and the filters at least 1."
            )

    @property
    def stride(self) -> int:
        """Stride of the convolutions, in pixels."""
        return 2 if self.downsampling == "strided" else 1

    @property
    def slope(self) -> float:
        """Slope of the activation left of zero."""
        return 0.01 if self.activation == "leaky" else 0.0

    @property
    def features(self) -> int:
        """Inputs of the head."""
        if self.downsampling == "strided":
            return self.filters
        return (self.side >> BLOCKS) ** 2 * self.filters

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of theta's parts: (weights, scale, shift) of each block, head, bias.

        Weights are (filters, 9 * inputs), a row ordered by kernel row, kernel column, input.
        """
        parts: list[tuple[int, ...]] = []
        for block in range(BLOCKS):
            inputs = self.filters if block else self.channels
            parts += [(self.filters, 9 * inputs), (self.filters,), (self.filters,)]
        return (*parts, (self.outputs, self.features), (self.outputs,))

    @cached_property
    def lengths(self) -> list[int]:
        """Of theta's parts."""
        return [prod(shape) for shape in self.shapes]

    @property
    def size(self) -> int:
        """Number of parameters: the length of theta."""
        return sum(self.lengths)

    def parts(self, theta: torch.Tensor) -> list[torch.Tensor]:
        """Views of theta (G, size), or as `aligned`, as its parts, with the group axis G first."""
        pieces = theta.split_with_sizes([*self.lengths, theta.shape[1] - self.size], 1)
        return [
            piece.view(-1, *shape) if len(shape) > 1 else piece
            for piece, shape in zip(pieces[:-1], self.shapes, strict=True)
        ]

    def joined(self, parts: list[torch.Tensor], width: int) -> torch.Tensor:
        """(G, width): parts (G, their length) as one vector, and zeros beyond `size`."""
        if width > self.size:
            parts = [*parts, parts[0].new_zeros(len(parts[0]), width - self.size)]
        return torch.cat(parts, 1)

    def aligned(self, theta: torch.Tensor) -> torch.Tensor:
        """theta (G, size) with zeros to a multiple of four numbers, so that the weights of every
        group begin at 16 bytes, as a GPU's products want them."""
        return F.pad(theta, (0, -self.size % 4))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of theta's parts in their order: block1.weights, block1.scale, ..., head.bias."""
        blocks = (
            f"block{block + 1}.{part}"
            for block in range(BLOCKS)
            for part in ("weights", "scale", "shift")
        )
        return (*blocks, "head.weights", "head.bias")

    def named(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views of theta (1, size) as its parts, by name, without the group axis."""
        return {name: part[0] for name, part in zip(self.names, self.parts(theta), strict=True)}

    def vector(self, named: dict[str, torch.Tensor]) -> torch.Tensor:
        """theta (1, size) of parts by name: the inverse of `named`."""
        for name, shape in zip(self.names, self.shapes, strict=True):
            if tuple(named[name].shape) != shape:
                raise InputError(f"{name} has shape {tuple(named[name].shape)}, not {shape}.")
        return torch.cat([named[name].flatten() for name in self.names])[None]

    def initial(self, seed: int) -> torch.Tensor:
        """theta (1, size), float32, drawn on the host so that every device starts alike."""
        generator = torch.Generator().manual_seed(seed)
        theta = torch.zeros(1, self.size)
        parts = self.parts(theta)
        for block in range(BLOCKS):
            weights, scale, _ = parts[3 * block : 3 * block + 3]
            fan = weights.shape[2] + 9 * self.filters
            weights.uniform_(-1, 1, generator=generator).mul_((6 / fan) ** 0.5)
            scale.fill_(1)
        if self.head == "xavier":
            fan = self.features + self.outputs
            parts[-2].uniform_(-1, 1, generator=generator).mul_((6 / fan) ** 0.5)
        elif self.head == "normal":
            parts[-2].normal_(generator=generator)
        return theta

    def standardized(self, images: torch.Tensor) -> torch.Tensor:
        """The network's input of images (..., channels) in [0, 1]."""
        if not self.mean:
            return images
        return (images - images.new_tensor(self.mean)) / images.new_tensor(self.std)
