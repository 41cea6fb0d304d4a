"""The renderer: strokes linear in the latent, pixels as the formula says, a latent that shows."""

import numpy as np
import pytest

from mamlbook.world.renderer import Pen, bank, draw, latents, shift, strokes

PENS = [Pen(), Pen(across=3, along=1, bend=0.2), Pen(width=0.2)]


@pytest.mark.parametrize("pen", PENS)
def test_strokes_are_affine_in_the_latent(pen):
    z = np.random.default_rng(0).standard_normal((2, pen.dimension))
    ends, origin = strokes(pen, z), strokes(pen, np.zeros((1, pen.dimension)))[0]
    mixed = strokes(pen, (0.3 * z[0] - 1.7 * z[1])[None])[0]
    assert np.allclose(mixed - origin, 0.3 * (ends[0] - origin) - 1.7 * (ends[1] - origin))
    assert (
        np.linalg.matrix_rank(strokes(pen, np.eye(pen.dimension)).reshape(-1, 64) - origin.ravel())
        == pen.dimension
    )


@pytest.mark.parametrize("pen", PENS)
def test_ink_is_the_formula_pixel_by_pixel(pen):
    z = np.random.default_rng(1).standard_normal((2, pen.dimension))
    picture = draw(pen, z)[1].reshape(pen.side, pen.side)
    for row, column in ((0, 0), (3, 9), (8, 8), (15, 2)):
        p = [(2 * column + 1) / pen.side - 1, (2 * row + 1) / pen.side - 1]  # x, y
        squares = ((strokes(pen, z)[1] - p) ** 2).sum(1)
        ink = 1 - np.exp(-0.5 * np.exp(-squares / (2 * pen.width**2)).sum())
        assert picture[row, column] == pytest.approx(ink, rel=1e-5, abs=1e-7)


def test_banks_are_centred_scaled_and_apart():
    train, test = bank(Pen(), "train"), bank(Pen(), "test")
    assert np.abs(train.images.mean(0)).max() < 1e-4
    assert (train.images.astype(float) ** 2).mean() == pytest.approx(1, abs=1e-4)
    assert np.allclose(np.cov(test.z.T), np.eye(6), atol=0.05)
    assert not np.array_equal(train.z, test.z)
    moved = shift(Pen())
    again = (draw(Pen(), latents(Pen(), "test", 20_000)[:3]) - moved.mean) / moved.scale
    assert np.allclose(test.images[:3], again, atol=1e-6)
