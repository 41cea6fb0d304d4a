"""The first block's batch norm, folded into its weights.

A convolution is linear in its input's patches. With the patches of a group centred, the columns
of c, and their covariance C, the normalized output is h = s W c, s = (diag(W C W') + eps)^-1/2,
so that y = scale h + shift needs one matrix product with the weights scale s W and no pass over
the output to normalize it. The gradient and its tangent need the output only through A = d_y c',
which has the shape of W. Sizes: G groups, m patches, C filters, k = 9 * channels.
"""

from dataclasses import dataclass

import torch

from mamlbook.fewshot.engine.network import EPSILON


@dataclass
class Fold:
    """What the folded block keeps: weights (G, C, k), scale and s (G, C, 1), w_c = W C (G, C, k);
    after its backward pass also a = A (G, C, k) and d_scale (G, C, 1)."""

    weights: torch.Tensor
    scale: torch.Tensor
    s: torch.Tensor
    covariance: torch.Tensor
    w_c: torch.Tensor
    gain: torch.Tensor
    a: torch.Tensor | None = None
    d_scale: torch.Tensor | None = None

    @classmethod
    def of(
        cls, centred: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor, images: int
    ) -> "Fold":
        """From centred patches (G, k, m) of `images` images, weights (G, C, k), scale (G, C)."""
        # Summed over images in double precision: a gradient through batch norm is a small
        # difference of large terms, and rounding here would cost it two digits. On a CPU single
        # precision will do within an image, at a third of the time; a GPU's may be TF32.
        patches = centred.unflatten(2, (images, -1)).transpose(1, 2)
        patches = patches if patches.device.type == "cpu" else patches.double()
        total = torch.matmul(patches, patches.mT).double().sum(1)
        covariance = (total / centred.shape[2]).to(centred.dtype)
        w_c = torch.bmm(weights, covariance)
        variance = (weights * w_c).sum(2, keepdim=True)
        scale, s = scale[:, :, None], (variance + EPSILON).rsqrt()
        return cls(weights, scale, s, covariance, w_c, scale * s)

    @property
    def folded(self) -> torch.Tensor:
        """scale s W."""
        return self.gain * self.weights

    def backward(self, a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """d_weights = s scale (A - d_scale s W C) and d_scale = s diag(W A')."""
        self.a = a
        self.d_scale = self.s * (self.weights * a).sum(2, keepdim=True)
        return self.gain * (a - self.d_scale * self.s * self.w_c), self.d_scale

    def tangent(self, weights: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, "Dots"]:
        """The derivative of `folded` along (weights, scale), and what it was made of."""
        w_c = torch.bmm(weights, self.covariance)
        s = -(self.s**3) * (weights * self.w_c).sum(2, keepdim=True)
        dots = Dots(weights, scale[:, :, None], s, w_c)
        gain = s * self.scale + self.s * dots.scale
        return torch.addcmul(gain * self.weights, self.gain, weights), dots

    def backward_tangent(self, dots: "Dots", a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The derivative of `backward`'s results, where A changes by `a`."""
        s, scale, w_c, d_scale = self.s, self.scale, self.w_c, self.d_scale
        inner = (self.weights * self.a).sum(2, keepdim=True)
        inner_dot = (dots.weights * self.a + self.weights * a).sum(2, keepdim=True)
        d_scale_dot = dots.s * inner + s * inner_dot
        gain = dots.s * scale + s * dots.scale
        rest = a - d_scale_dot * s * w_c - d_scale * (dots.s * w_c + s * dots.w_c)
        return gain * (self.a - d_scale * s * w_c) + self.gain * rest, d_scale_dot


@dataclass
class Dots:
    """Tangents of weights (G, C, k), scale and s (G, C, 1), and W C (G, C, k)."""

    weights: torch.Tensor
    scale: torch.Tensor
    s: torch.Tensor
    w_c: torch.Tensor
