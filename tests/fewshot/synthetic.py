"""Made-up image sets, small and learnable, in the shape of Omniglot and of CIFAR-100."""

import numpy as np
import torch

from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.settings import FC100_TEST


def characters() -> ImageSet:
    """12 alphabets of 6 to 8 characters, each 20 noisy copies of a random drawing."""
    rng = np.random.default_rng(0)
    groups = [f"alphabet{index:02d}" for index in range(12) for _ in range(6 + index % 3)]
    drawn = rng.random((len(groups), 1, 7, 7, 1)).repeat(4, 2).repeat(4, 3)
    noisy = drawn + 0.3 * rng.random((len(groups), 20, 28, 28, 1))
    images = torch.from_numpy((255 * noisy / 1.3).astype(np.uint8))
    classes = tuple(f"{group}/{index}" for index, group in enumerate(groups))
    return ImageSet("characters", images, classes, tuple(groups), "synthetic")


def pictures() -> ImageSet:
    """100 classes of 60 colour images in 20 superclasses, four of them FC100's test ones."""
    rng = np.random.default_rng(1)
    names = [*FC100_TEST, *(f"superclass{index}" for index in range(16))]
    groups = [name for name in names for _ in range(5)]
    drawn = rng.random((100, 1, 8, 8, 3)).repeat(4, 2).repeat(4, 3)
    noisy = drawn + 0.3 * rng.random((100, 60, 32, 32, 3))
    images = torch.from_numpy((255 * noisy / 1.3).astype(np.uint8))
    return ImageSet(
        "pictures", images, tuple(f"class{index}" for index in range(100)), tuple(groups), "made"
    )
