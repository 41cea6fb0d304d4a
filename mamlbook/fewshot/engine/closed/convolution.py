"""3 x 3 convolutions of many groups, each with its own weights, and their two adjoints.

Images are (images, channels, height, width), channels-last in memory, those of a group side by
side. Weights are (W, outputs, 9 * inputs): W divides the number of groups, and as many consecutive
groups share each set of weights. Padding is 1. `Direct` calls oneDNN's convolution once per set of
weights, which is fastest on a CPU but for the smallest images; `Gemm` is one batched matrix
product over all sets at once, which is what a GPU wants.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


def output_size(side: int, stride: int) -> int:
    """Side of the output for an input of side `side`."""
    return (side - 1) // stride + 1


def patches(x: torch.Tensor, stride: int) -> torch.Tensor:
    """The 3 x 3 neighbourhoods of x, (images, h', w', 3, 3, channels), a view."""
    padded = F.pad(x, (1, 1, 1, 1))
    windows = padded.unfold(2, 3, stride).unfold(3, 3, stride)  # images, c, h', w', 3, 3
    return windows.permute(0, 2, 3, 4, 5, 1)


def columns(x: torch.Tensor, stride: int) -> torch.Tensor:
    """`patches` of images (G, n, height, width, channels) of few channels, each a column that
    ends with a one: (G, 9 * channels + 1, n * h' * w').

    Laid out so, they take half the time, also as a factor.
    """
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    windows = padded.unfold(2, 3, stride).unfold(3, 3, stride).permute(0, 5, 6, 4, 1, 2, 3)
    laid = x.new_ones(x.shape[0], 9 * x.shape[-1] + 1, *windows.shape[4:])
    laid[:, :-1].unflatten(1, (3, 3, -1)).copy_(windows)
    return laid.flatten(2)


@dataclass(frozen=True)
class Patches:
    """The `patches` of images of this shape, laid out in memory."""

    rows: torch.Tensor
    shape: torch.Size


class Direct:
    """One call of the library's convolution for each set of weights, unless they are so small
    that its fixed costs exceed those of `Gemm`."""

    SMALL, SMALL_TO_WEIGHTS = 100, 400  # output pixels of a set

    @staticmethod
    def lay(x: torch.Tensor, stride: int) -> torch.Tensor:
        """What the other three take of images x: x."""
        return x

    @staticmethod
    def forward(x: torch.Tensor, weights: torch.Tensor, stride: int) -> torch.Tensor:
        """(images, outputs, h', w') of x (images, inputs, h, w) and weights (W, outputs, 9 in)."""
        pixels = len(x) * output_size(x.shape[2], stride) * output_size(x.shape[3], stride)
        if pixels <= Direct.SMALL * len(weights):
            return Gemm.forward(Gemm.lay(x, stride), weights, stride)
        pieces = zip(_chunks(x, len(weights)), _kernels(weights), strict=True)
        return _joined([F.conv2d(image, kernel, None, stride, 1) for image, kernel in pieces])

    @staticmethod
    def to_input(
        dy: torch.Tensor, weights: torch.Tensor, stride: int, x: torch.Tensor
    ) -> torch.Tensor:
        """Adjoint of `forward` in x; of x itself only the shape matters."""
        sets = len(weights)
        if dy[:, 0].numel() <= Direct.SMALL * sets:
            return Direct._scattered(dy, weights, stride, x)
        pieces = zip(_chunks(dy, sets), _chunks(x, sets), _kernels(weights), strict=True)
        return _joined([_to_input(*piece, stride) for piece in pieces])

    @staticmethod
    def to_weights(x: torch.Tensor, dy: torch.Tensor, stride: int, sets: int) -> torch.Tensor:
        """Adjoint of `forward` in the weights, summed over the images that share a set."""
        if dy[:, 0].numel() <= Direct.SMALL_TO_WEIGHTS * sets:
            return Gemm.to_weights(Gemm.lay(x, stride), dy, stride, sets)
        like = x.new_empty(dy.shape[1], 3, 3, x.shape[1]).permute(0, 3, 1, 2)
        pieces = zip(_chunks(dy, sets), _chunks(x, sets), strict=True)
        gradients = [_to_weights(*piece, like, stride) for piece in pieces]
        joined = gradients[0] if sets == 1 else torch.cat(gradients)
        return joined.permute(0, 2, 3, 1).reshape(sets, dy.shape[1], -1)

    @staticmethod
    def _scattered(
        dy: torch.Tensor, weights: torch.Tensor, stride: int, x: torch.Tensor
    ) -> torch.Tensor:
        """`to_input` with the fewest multiplications: a product, and nine additions in places."""
        images, channels, side = x.shape[:3]
        dy = dy.permute(0, 2, 3, 1)
        rows = torch.bmm(dy.reshape(len(weights), -1, dy.shape[3]), weights)
        dx = dy.new_zeros(images, side + 2, side + 2, channels)
        windows = dx.unfold(1, 3, stride).unfold(2, 3, stride)  # images, h', w', c, 3, 3
        places = [each for line in windows.unbind(4) for each in line.unbind(4)]
        rows = rows.view(*dy.shape[:3], 9, channels).unbind(3)
        for place, row in zip(places, rows, strict=True):
            place.add_(row)
        return dx[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)


class Gemm:
    """Neighborhoods laid out as a matrix, once for all that use them, then one batched product:
    few passes over memory, which are what takes a GPU's time."""

    @staticmethod
    def lay(x: torch.Tensor, stride: int) -> Patches:
        """What the other three take of images x (images, inputs, h, w)."""
        return Patches(patches(x, stride).contiguous(), x.shape)

    @staticmethod
    def forward(x: Patches, weights: torch.Tensor, stride: int) -> torch.Tensor:
        """(images, outputs, h', w') of x and weights (W, outputs, 9 inputs)."""
        y = torch.bmm(x.rows.view(len(weights), -1, weights.shape[2]), weights.mT)
        return y.view(*x.rows.shape[:3], -1).permute(0, 3, 1, 2)

    @staticmethod
    def to_input(dy: torch.Tensor, weights: torch.Tensor, stride: int, x: Patches) -> torch.Tensor:
        """Adjoint of `forward` in x; of x itself only the shape matters.

        One gather and one product. Pixel stride * a + p of a side meets the outputs a + d through
        tap p + 1 - stride * d: the neighbors of dy at a, d = -1, 0, 1 for stride 1 and d = 0, 1
        for 2, times the taps in reverse order, zero where there is none, are the pixels
        p = 0, ..., stride - 1 of a square.
        """
        images, channels, side = x.shape[:3]
        near, sets = 3 if stride == 1 else 2, len(weights)
        windows = F.pad(dy, (near - 2, 1, near - 2, 1)).unfold(2, near, 1).unfold(3, near, 1)
        windows = windows.permute(0, 2, 3, 4, 5, 1)  # images, a, a, d, d, outputs
        none = near * stride - 3
        taps = F.pad(weights.unflatten(2, (3, 3, -1)), (0, 0, none, 0, none, 0))
        taps = taps.view(sets, -1, near, stride, near, stride, channels).flip(2, 4)
        taps = taps.permute(0, 2, 4, 1, 3, 5, 6).reshape(sets, -1, stride**2 * channels)
        squares = torch.bmm(windows.reshape(sets, -1, taps.shape[1]), taps)
        squares = squares.view(*windows.shape[:3], stride, stride, channels).transpose(2, 3)
        dx = squares.reshape(images, stride * windows.shape[1], -1, channels)[:, :side, :side]
        return dx.contiguous().permute(0, 3, 1, 2)

    @staticmethod
    def to_weights(x: Patches, dy: torch.Tensor, stride: int, sets: int) -> torch.Tensor:
        """Adjoint of `forward` in the weights, summed over the images that share a set."""
        rows = x.rows.view(sets, -1, 9 * x.shape[1])
        return torch.bmm(dy.permute(0, 2, 3, 1).reshape(sets, -1, dy.shape[1]).mT, rows)


Convolution = type[Direct] | type[Gemm]


def suited(device: torch.device) -> Convolution:
    """The faster way on this device."""
    return Gemm if device.type == "cuda" else Direct


def _chunks(images: torch.Tensor, sets: int) -> tuple[torch.Tensor, ...]:
    return (images,) if sets == 1 else images.chunk(sets)


def _joined(outputs: list[torch.Tensor]) -> torch.Tensor:
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined.contiguous(memory_format=torch.channels_last)


def _kernels(weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """For each set (outputs, inputs, 3, 3), channels-last in memory, of (W, outputs, 9 inputs)."""
    if len(weights) == 1:
        return (weights.view(weights.shape[1], 3, 3, -1).permute(0, 3, 1, 2),)
    return weights.unflatten(2, (3, 3, -1)).permute(0, 1, 4, 2, 3).unbind()


def _to_input(dy: torch.Tensor, x: torch.Tensor, kernel: torch.Tensor, stride: int) -> torch.Tensor:
    return torch.ops.aten.convolution_backward(
        dy, x, kernel, None, [stride, stride], [1, 1], [1, 1],
        False, [0, 0], 1, [True, False, False],
    )[0]  # fmt: skip


def _to_weights(dy: torch.Tensor, x: torch.Tensor, like: torch.Tensor, stride: int) -> torch.Tensor:
    return torch.ops.aten.convolution_backward(
        dy, x, like, None, [stride, stride], [1, 1], [1, 1],
        False, [0, 0], 1, [False, True, False],
    )[1]  # fmt: skip
