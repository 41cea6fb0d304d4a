import numpy as np
import pytest

from mamlbook.landscape import NoMinimum, lowest, minima, smoothness, square


class Wells:
    """(w1^2 - 1)^2 + w2^2 + tilt w1: two minima, the lower one on the left for tilt > 0."""

    def __init__(self, tilt):
        self.tilt = tilt

    def loss(self, w):
        return (w[..., 0] ** 2 - 1) ** 2 + w[..., 1] ** 2 + self.tilt * w[..., 0]

    def gradient(self, w):
        first = 4 * w[..., 0] * (w[..., 0] ** 2 - 1) + self.tilt
        return np.stack([first, 2 * w[..., 1]], -1)

    def hessian(self, w):
        H = np.zeros((*w.shape, 2))
        H[..., 0, 0], H[..., 1, 1] = 12 * w[..., 0] ** 2 - 4, 2
        return H


def test_minima_finds_both_wells_and_puts_the_lower_first():
    where, value = minima(Wells(0.01), 3.0)
    roots = sorted(r.real for r in np.roots([4, 0, -4, 0.01]))
    np.testing.assert_allclose(where, [[roots[0], 0], [roots[2], 0]], atol=1e-9)
    assert value[0] < value[1]
    assert len(lowest(Wells(0.01), 3.0)) == 1
    assert len(lowest(Wells(0.0), 3.0)) == 2


@pytest.mark.parametrize("tilt", [-1e-13, 0.0, 1e-13])
def test_ties_come_in_the_order_of_their_coordinates(tilt):
    """Whichever of two equal minima rounding makes the lower."""
    ties = lowest(Wells(tilt), 3.0)
    np.testing.assert_allclose(ties, [[-1, 0], [1, 0]], atol=1e-9)


def test_minima_refuses_a_square_without_a_minimum():
    with pytest.raises(NoMinimum, match="larger half_width"):
        minima(Wells(0.01), 0.5)


def test_smoothness_is_the_largest_curvature_over_the_square():
    assert smoothness([Wells(0.0)], 2.0) == pytest.approx(12 * 4 - 4)
    assert smoothness([Wells(0.0)], 0.1) == pytest.approx(4)  # negative curvature counts too


def test_square_is_indexed_by_w1_first():
    grid = square(3.0, 4)
    np.testing.assert_allclose(grid[:, 0, 0], [-3, -1, 1, 3])
    np.testing.assert_allclose(grid[0, :, 1], [-3, -1, 1, 3])
