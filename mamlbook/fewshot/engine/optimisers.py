"""The outer loop's optimisers, for many runs at once, in place and without a host's look."""

import math
from typing import Literal

import torch

BETAS, EPSILON = (0.9, 0.999), 1e-8
FINAL_RATE = 1e-6  # of a cosine decay


class Optimiser:
    """SGD or Adam (Kingma and Ba, 2015) on theta (R, size) with a rate for each run (R, 1).

    With `decay`, a number of steps T, the rate of step t = 0, 1, ... is
        r_T + (r_0 - r_T) (1 + cos(pi t / T)) / 2,    r_T = 1e-6,
    the cosine decay of Loshchilov and Hutter (2017) without restarts.
    """

    def __init__(
        self,
        kind: Literal["sgd", "adam"],
        theta: torch.Tensor,
        rates: torch.Tensor,
        decay: int | None = None,
    ) -> None:
        self.theta, self.rates, self.decay = theta, rates, decay
        self.moments = []
        if kind == "adam":
            self.moments = [torch.zeros_like(theta), torch.zeros_like(theta)]
        # In double precision: 1 - 0.999^count has lost four digits in single after the first step.
        self.count = torch.zeros((), dtype=torch.float64, device=theta.device)

    def update(self, gradient: torch.Tensor) -> None:
        """One step along the gradient (R, size)."""
        rates = self.rates
        if self.decay is not None:
            turned = 1 + torch.cos(math.pi * self.count / self.decay)
            rates = FINAL_RATE + (rates - FINAL_RATE) * turned / 2
        self.count += 1
        if not self.moments:
            self.theta.sub_(rates * gradient)
            return
        for moment, beta, power in zip(self.moments, BETAS, (1, 2), strict=True):
            moment.mul_(beta).add_(gradient**power, alpha=1 - beta)
        first, second = (
            moment / (1 - beta**self.count)
            for moment, beta in zip(self.moments, BETAS, strict=True)
        )
        self.theta.sub_(rates * first / (second.sqrt_() + EPSILON))

    def state(self) -> dict[str, torch.Tensor]:
        """All that an update depends on."""
        moments = {f"moment{index}": moment for index, moment in enumerate(self.moments, 1)}
        return {"theta": self.theta, "count": self.count, **moments}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over a state, in place."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
