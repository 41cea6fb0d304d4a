"""The grouped trainer on a GPU: seconds for a table, and FLOP/s against a matrix product's."""

import dataclasses
import time

import torch

from mamlbook.fewshot.grouped import GroupedStep
from mamlbook.fewshot.learners import Learner
from mamlbook.fewshot.network import BLOCKS, Network
from mamlbook.fewshot.optimisers import Optimiser
from mamlbook.fewshot.tasks import Family, Mixture, Shape

STEPS = 200


def lines() -> list[str]:
    """A line for each network, or one that says there is no GPU."""
    if not torch.cuda.is_available():
        return ["The grouped trainer was not measured: torch saw no GPU."]
    told = [
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}: outer steps of 10 runs x 8 "
        "tasks at once (Omniglot, MAML).",
        "",
        "| network | precision | ms per step | TFLOP/s | of a product's | GiB | 20,000 steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for precision, name in (("highest", "float32"), ("high", "TF32")):
        torch.set_float32_matmul_precision(precision)
        most = _matrix_rate()
        for downsampling in ("strided", "pooled"):
            torch.cuda.reset_peak_memory_stats()
            seconds, rate = _steps(Network(28, 1, 5, downsampling=downsampling))
            held = torch.cuda.max_memory_reserved() / 2**30
            told.append(
                f"| {downsampling} | {name} | {1e3 * seconds:.2f} | {rate / 1e12:.1f} | "
                f"{rate / most:.0%} | {held:.1f} | {20_000 * seconds:.0f} s |"
            )
    torch.set_float32_matmul_precision("highest")
    return told


def _steps(network: Network, runs: int = 10, tasks: int = 8) -> tuple[float, float]:
    """Seconds of a step, tasks drawn and all, and its FLOP/s in convolutions."""
    shape, device = Shape(5, 1, 10), torch.device("cuda")
    images = torch.randint(0, 256, (50 * 20, 28, 28, 1), dtype=torch.uint8, device=device)
    hard = Family(shape, (tuple(range(50)),), False, torch.arange(20).expand(50, 20))
    groups = tuple(tuple(range(start, start + 5)) for start in range(0, 50, 5))
    easy = dataclasses.replace(hard, groups=groups, distinct=True)
    mixture = Mixture(easy, hard, 0.5, 20)
    theta = torch.cat([network.initial(seed) for seed in range(runs)]).to(device)
    optimiser = Optimiser("sgd", theta, torch.full((runs, 1), 1e-3, device=device))
    step = GroupedStep(network, Learner("maml"), optimiser, images, tasks)
    course = torch.zeros(runs, 2, 3, device=device)
    drawn = [mixture.draw(tasks, (run,), device) for run in range(runs)]
    for _ in range(3):
        step(drawn, course)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        step(drawn, course)
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / STEPS
    # Forward, to the inputs, to the weights; three more of each for the second derivatives.
    images_seen = 3 * 50 + 9 * 5
    return seconds, 2 * _multiplications(network) * images_seen * runs * tasks / seconds


def _multiplications(network: Network) -> int:
    """Multiply-adds of the convolutions for one image."""
    total, side, inputs = 0, network.side, network.channels
    for _ in range(BLOCKS):
        side = (side - 1) // network.stride + 1
        total += side * side * 9 * inputs * network.filters
        inputs = network.filters
        side //= 2 if network.downsampling == "pooled" else 1
    return total


def _matrix_rate(size: int = 8192) -> float:
    a = torch.randn(size, size, device="cuda")
    for _ in range(3):
        a @ a
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        a @ a
    torch.cuda.synchronize()
    return 20 * 2 * size**3 / (time.perf_counter() - start)
