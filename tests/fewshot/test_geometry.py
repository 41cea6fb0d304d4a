import numpy as np
import pytest
import torch

from mamlbook.fewshot.training.geometry import distances


def test_distances_of_two_clouds():
    """Isotropic clouds: spread^2 = d s^2 each, and the centres' own distance."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        easy = torch.from_numpy(rng.normal(0, 0.5, (8, 12)))
        hard = torch.from_numpy(rng.normal(0, 2.0, (8, 12)) + 3.0)
        found.append(distances(easy, hard))
    squares = {name: np.mean([each[name] ** 2 for each in found]) for name in found[0]}
    assert squares["r_easy"] == pytest.approx(12 * 0.25, rel=0.02)
    assert squares["r_hard"] == pytest.approx(12 * 4.0, rel=0.02)
    assert squares["R"] == pytest.approx(12 * 9.0, rel=0.03)


def test_a_cloud_of_one_has_no_spread():
    with pytest.raises(ValueError, match="1 easy and 2 hard solutions"):
        distances(torch.zeros(1, 3), torch.zeros(2, 3))
