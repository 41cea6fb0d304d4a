"""The trainings of Tables 1 and 2 on a GPU, as groups: seconds, and FLOP/s against a product's."""

import dataclasses
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mamlbook.errors import Stop
from mamlbook.experiments import cifar, omniglot
from mamlbook.experiments.cells import cells
from mamlbook.fewshot import training
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.data.tasks import Episodes, Shape
from mamlbook.fewshot.engine.closed.convolution import Gemm
from mamlbook.fewshot.engine.learners import outer_gradient
from mamlbook.fewshot.settings import FC100_TEST, HARD_ALPHABETS, Cell, Settings

BLOCKS = 4


def lines() -> list[str]:
    """A line for each group of trainings, or one that says there is no GPU."""
    if not torch.cuda.is_available():
        return ["The grouped trainer was not measured: torch saw no GPU."]
    report = [
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}: the trainings of each table "
        f"as groups, random images in place of the real ones; means of {BLOCKS * training.BLOCK} "
        "steps, tasks drawn and all, after as many that record their graphs. FLOP/s in matrix "
        "products, against those of one product of 8192 by 8192.",
        "",
        "| trainings | network | precision | ms per step | TFLOP/s | of a product's | GiB | all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    tables = [
        ("Table 1", characters(), omniglot.variants(), omniglot.Table1()),
        ("Table 2", pictures(), cifar.variants(), cifar.Table2()),
    ]
    for precision, name in (("highest", "float32"), ("high", "TF32")):
        torch.set_float32_matmul_precision(precision)
        most = _matrix_rate()
        for downsampling in ("strided", "pooled"):
            for table, images, variants, budget in tables:
                dataset, total = images.to("cuda"), 0.0
                chosen = [dataclasses.replace(v, downsampling=downsampling) for v in variants]
                for group in training.alike(cells(chosen, budget)):
                    torch.cuda.reset_peak_memory_stats()
                    seconds, flops = measure(group, dataset, BLOCKS)
                    peak = torch.cuda.max_memory_reserved() / 2**30
                    total += budget.iterations * seconds
                    report.append(
                        f"| {table}: {len(group)} of {group[0].settings.algorithm} | "
                        f"{downsampling} | {name} | {1e3 * seconds:.2f} | "
                        f"{flops / seconds / 1e12:.1f} | {flops / seconds / most:.0%} | "
                        f"{peak:.1f} | {budget.iterations * seconds:.0f} s |"
                    )
                    torch.cuda.empty_cache()
                report.append(f"| {table}: all | {downsampling} | {name} | | | | | {total:.0f} s |")
    torch.set_float32_matmul_precision("highest")
    return report


def measure(group: list[Cell], images: ImageSet, blocks: int) -> tuple[float, float]:
    """Seconds and FLOP of an outer step of all the cells at once, in the mean of `blocks` blocks.

    Each block is taken once before: that records the graphs of its numbers of hard tasks.
    """
    run = training._Run(group, images, True)

    def walk() -> None:
        for start in range(0, blocks * training.BLOCK, training.BLOCK):
            run.block(start, start + training.BLOCK, None, Stop())
        run.history.cpu()  # waits for the device

    walk()
    run.history.zero_()
    start = time.perf_counter()
    walk()
    seconds = (time.perf_counter() - start) / (blocks * training.BLOCK)
    done = run.history[..., 0].sum((0, 1)).double().cpu().numpy() / (blocks * training.BLOCK)
    mixture = run.problems[0].training
    costs = [flops(group[0].settings, kind.shape) for kind in (mixture.easy, mixture.hard)]
    return seconds, float(done @ np.array(costs))


def flops(settings: Settings, shape: Shape) -> int:
    """FLOP in the matrix products of one task's outer gradient, counted by torch as it runs on
    tensors without data."""
    network = settings.network
    side, channels = network.side, network.channels
    theta = torch.zeros(1, network.size, device="meta")
    images = torch.zeros(1, side, side, channels, dtype=torch.uint8, device="meta")
    support, query = (
        torch.zeros(1, shape.ways * count, dtype=torch.int64, device="meta")
        for count in (shape.shots, shape.queries)
    )
    with FlopCounterMode(display=False) as counter:
        outer_gradient(
            settings.learner, network, theta, images, Episodes(shape, support, query),
            convolution=Gemm,
        )  # fmt: skip
    return counter.get_total_flops()


def characters() -> ImageSet:
    """50 alphabets of 20 characters, with the names that Table 1 knows."""
    others = [f"alphabet{index}" for index in range(50 - len(HARD_ALPHABETS))]
    return _random(
        [name for name in (*HARD_ALPHABETS, *others) for _ in range(20)], (20, 28, 28, 1)
    )


def pictures() -> ImageSet:
    """100 classes of 600 images in 20 superclasses, with the names that Table 2 knows."""
    others = [f"superclass{index}" for index in range(20 - len(FC100_TEST))]
    return _random([name for name in (*FC100_TEST, *others) for _ in range(5)], (600, 32, 32, 3))


def _random(groups: list[str], of_class: tuple[int, ...]) -> ImageSet:
    images = torch.randint(0, 256, (len(groups), *of_class), dtype=torch.uint8)
    classes = tuple(str(index) for index in range(len(groups)))
    return ImageSet("random", images, classes, tuple(groups), "random")


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
