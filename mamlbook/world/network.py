"""The networks of this world, as functions of stacked weights.

Weights are a list of tensors whose first axis runs over networks: G at once, each a seed of its
own, or one for each task. Images are (G, n, pixels), outputs (G, n).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, softplus

from mamlbook.errors import InputError

Weights = list[Tensor]
HIDDEN = 64
CHANNELS = (8, 16)


@dataclass(frozen=True)
class Network:
    """ReLU layers to a linear code of the latent's size, and a linear readout.

    "dense": pixels-64-64-code-1; "convolutional": 5x5 and 3x3 filters, stride 2, 8 and 16
    channels, then code and readout. Without `biases` the output is homogeneous of degree one in
    the image: twice the ink, twice the output, so contrast cannot steer it.
    """

    kind: str = "dense"
    biases: bool = False
    code: int = 6
    side: int = 16

    def __post_init__(self) -> None:
        if self.kind not in ("dense", "convolutional"):
            raise InputError(f"The network is {self.kind!r}; it must be dense or convolutional.")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its weights, the readout last; each layer's bias follows its matrix."""
        if self.kind == "dense":
            layers: list[tuple[int, ...]] = [(self.side**2, HIDDEN), (HIDDEN, HIDDEN)]
        else:
            layers = [(CHANNELS[0], 1, 5, 5), (CHANNELS[1], CHANNELS[0], 3, 3)]
        flat = HIDDEN if self.kind == "dense" else CHANNELS[1] * (self.side // 4) ** 2
        layers += [(flat, self.code), (self.code, 1)]
        if not self.biases:
            return layers
        return [
            s for shape in layers for s in (shape, (shape[0] if len(shape) == 4 else shape[1],))
        ]

    @property
    def readout(self) -> int:
        """How many of the last weights belong to the readout."""
        return 2 if self.biases else 1

    def initial(self, generator: torch.Generator) -> Weights:
        """Normal weights of variance 2/fan-in (1/fan-in at the code), biases 0, for one network.

        The readout starts small, at a tenth of a unit vector's size.
        """
        weights = []
        matrices = [shape for shape in self.shapes if len(shape) > 1]
        for place, shape in enumerate(self.shapes):
            if len(shape) == 1:
                weights.append(torch.zeros(1, *shape))
                continue
            fan = shape[1] * shape[2] * shape[3] if len(shape) == 4 else shape[0]
            last = matrices.index(shape) >= len(matrices) - 2
            size = (1 if last else 2) / fan
            if place == len(self.shapes) - self.readout:
                size *= 0.01
            weights.append(size**0.5 * torch.randn(1, *shape, generator=generator))
        return weights

    def codes(self, weights: Weights, images: Tensor) -> Tensor:
        """The code before the readout, (G, n, pixels) -> (G, n, code)."""
        step = 2 if self.biases else 1
        layers = [weights[i : i + step] for i in range(0, len(weights), step)]
        x = images
        for layer in layers[:2]:
            x = (_linear(x, *layer) if self.kind == "dense" else self._filtered(x, *layer)).relu()
        return _linear(x, *layers[2])

    def __call__(self, weights: Weights, images: Tensor) -> Tensor:
        """The output, (G, n, pixels) -> (G, n)."""
        return _linear(self.codes(weights, images), *weights[-self.readout :])[..., 0]

    def _filtered(self, x: Tensor, filters: Tensor, bias: Tensor | None = None) -> Tensor:
        """A strided convolution of (G, n, pixels of all channels), G filters at once."""
        groups, n = x.shape[:2]
        out, channels, size = filters.shape[1:4]
        side = round((x.shape[2] // channels) ** 0.5)
        x = x.reshape(groups, n, channels, side, side).transpose(0, 1)
        x = x.reshape(n, groups * channels, side, side)
        bias = None if bias is None else bias.reshape(-1)
        flat = filters.reshape(groups * out, channels, size, size)
        x = conv2d(x, flat, bias, stride=2, padding=size // 2, groups=groups)
        return x.reshape(n, groups, -1).transpose(0, 1)


def _linear(x: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    out = x @ matrix
    return out if bias is None else out + bias[:, None]


def repeated(weights: Weights, times: int) -> Weights:
    """Every network `times` times in a row: a copy for each of its tasks."""
    return [w.repeat_interleave(times, 0) for w in weights]


def losses(outputs: Tensor, labels: Tensor, logistic: bool = False) -> Tensor:
    """Of every image, 1/2 (h - y)^2, or with `logistic` KL(y || sigmoid(h)) of a probability y.

    Both are zero where the output is right, and nowhere below.
    """
    if not logistic:
        return 0.5 * (outputs - labels) ** 2
    entropy = torch.special.entr(labels) + torch.special.entr(1 - labels)
    return softplus(outputs) - labels * outputs - entropy


def adapted(
    network: Callable[[Weights, Tensor], Tensor],
    weights: Weights,
    images: Tensor,
    labels: Tensor,
    rates: Tensor,
    *,
    readout: int = 0,
    offset: Tensor | None = None,
    create_graph: bool = False,
    logistic: bool = False,
) -> Weights:
    """One inner step, w - alpha grad 1/m sum loss(h(x) + offset, y), for G networks at once.

    images (G, m, pixels), labels (G, m), rates (G,). With `readout` = k only the last k weights
    adapt. `offset` (G, m) is added to the outputs; with `create_graph` the step can be
    differentiated again, which makes MAML's gradient exact.
    """
    moving = weights[-readout:] if readout else weights
    fixed = weights[:-readout] if readout else []
    out = network(weights, images)
    out = out if offset is None else out + offset
    loss = losses(out, labels, logistic).mean(1).sum()
    gradients = torch.autograd.grad(loss, moving, create_graph=create_graph)
    stepped = [
        w - rates.reshape(-1, *[1] * (w.ndim - 1)) * g
        for w, g in zip(moving, gradients, strict=True)
    ]
    return [*fixed, *stepped]
