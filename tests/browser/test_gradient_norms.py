"""Theorem 1's dial of alpha: points, norms, bounds and pictures are those of mamlbook.networks."""

from functools import cache

import numpy as np
import pytest
import torch

from mamlbook.networks import (
    gradient,
    maml_objective,
    nal_objective,
    network_loss,
    printed_bound,
    spectrum,
    square_bound,
    stationary_point,
)

from .conftest import OpenPage, at, desk, phone
from .test_widgets import PLAY, frame

PAGE = "chapters/gradient_norms.html"
NUMBER = 0  # of the widget on its page
MOST = 3.5  # of alpha
# The variance of the hard task's inputs, the tasks' distance, and values of alpha below 1/L.
CASES = {
    (0.3, 1.0): (0.0, 0.4, 1.2, 2.0, 2.8),
    (0.1, 0.2): (0.7, 2.5),
    (0.8, 0.6): (1.6,),
    (1.0, 0.5): (0.5, 1.5, 2.3),
}
LINES = ("nal", "ratio", "printed", "square")
SCENE = """
(number) => {
  const widget = document.querySelectorAll(".mb-widget")[number];
  const numbers = (mark, ...names) => names.map((name) => Number(mark.getAttribute(name)));
  return [...widget.querySelectorAll("[data-at]")].map((mark) => [
    mark.dataset.of ?? mark.getAttribute("class"), mark.dataset.at.split(" ").map(Number),
    mark.tagName === "path" ? mark.getAttribute("d").match(/[-.0-9]+/g).map(Number)
      : mark.tagName === "circle" ? numbers(mark, "cx", "cy")
      : numbers(mark, "x", "y", "width", "height")]);
}
"""


@cache
def losses(variance: float, distance: float):
    """The hard task's loss and the easy one's."""
    places = ((0.0, variance), (distance, 1.0))
    return tuple(
        network_loss(torch.tensor([[x], [1.0]], dtype=torch.float64), "softplus", s, order=40)
        for x, s in places
    )


@cache
def points(variance: float, distance: float, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """NAL's stationary point and MAML's."""
    two = losses(variance, distance)
    middle = torch.tensor([distance / 2, 1.0], dtype=torch.float64)
    nal = stationary_point(nal_objective(*two), middle)
    return nal, stationary_point(maml_objective(*two, alpha), nal)


def measured(variance: float, distance: float, alpha: float, maml=None) -> dict[str, float]:
    """What is shown, with MAML at its own stationary point unless another is given."""
    two = losses(variance, distance)
    nal, own = points(variance, distance, alpha if maml is None else 0.0)
    found = {}
    for name, w in (("nal", nal), ("maml", own if maml is None else maml)):
        norms = [torch.linalg.norm(gradient(f, w)).item() for f in two]
        found |= {
            f"{name}_1": norms[0],
            f"{name}_2": norms[1],
            f"{name}_ratio": norms[0] / norms[1],
        }
    spectra = [spectrum(f, w) for f in two]
    for i, (beta, L) in enumerate(spectra, 1):
        found |= {f"beta_{i}": beta, f"L_{i}": L}
    found["share"] = alpha * max(found["L_1"], found["L_2"])
    found["printed"] = printed_bound(alpha, found["beta_2"], found["L_1"])
    found["square"] = square_bound(alpha, found["beta_2"], found["L_1"])
    ratio = found.pop("maml_ratio")
    found |= {"ratio": ratio, "ratio_again": ratio}
    return found | {"printed_again": found["printed"], "square_again": found["square"]}


def distances(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """How far points (n, 2) are from a line through points (m, 2)."""
    start, way = line[:-1], np.diff(line, axis=0)
    along = ((points[:, None] - start) * way).sum(-1) / (way**2).sum(-1)
    nearest = start + along.clip(0, 1)[..., None] * way
    return np.linalg.norm(points[:, None] - nearest, axis=-1).min(1)


def put(page, alpha: float, variance: float, distance: float) -> tuple[dict[str, float], str]:
    """Set the dials; the numbers shown and the sentence."""
    places = [alpha / MOST, (variance - 0.1) / 0.9, (distance - 0.2) / 0.8]
    [played] = page.evaluate(PLAY, [NUMBER, [places]])
    assert list(played["set"].values()) == pytest.approx([alpha, variance, distance])
    shown = {name: number for name, number, _ in played["shown"]}
    return shown, page.locator(".mb-widget").nth(NUMBER).locator(".mb-sentence").inner_text()


@at(phone(PAGE))
def test_the_numbers_and_what_is_said_of_the_bounds_are_pythons(look, open_page: OpenPage):
    page = open_page(look)
    for (variance, distance), alphas in CASES.items():
        for alpha in alphas:
            shown, said = put(page, alpha, variance, distance)
            expected = measured(variance, distance, alpha)
            assert shown == pytest.approx(expected, rel=1e-6, abs=1e-9)
            printed, square = said.split("The printed bound, ")[1].split("; the square form, ")
            for words, name in ((printed, "printed"), (square, "square")):
                bound, ratio = expected[name], expected["ratio"]
                assert ("is negative" in words) == (bound < 0)
                assert ("does not hold" in words) == (ratio > bound * (1 + 1e-7) > 0)
                assert ("no preference" in words) == (ratio <= bound * (1 + 1e-7) and bound >= 1)
            # as the chapter says beside it
            assert expected["ratio"] <= expected["square"] * (1 + 1e-7)
            assert variance < 1 or expected["square"] > 1
            assert alpha < 1.5 or expected["ratio"] > expected["printed"]


@at(desk(PAGE))
def test_every_mark_is_where_python_has_it(look, open_page: OpenPage):
    page = open_page(look)
    for (variance, distance), alphas in CASES.items():
        for alpha in alphas:
            put(page, alpha, variance, distance)
            marks = page.evaluate(SCENE, NUMBER)
            marked = {name: (data, drawn) for name, data, drawn in marks}
            expected = measured(variance, distance, alpha)

            # the tasks and both points, on equal scales
            (_, hard), (_, easy) = marked["mb-optimum hard"], marked["mb-optimum easy"]
            scale = (easy[0] - hard[0]) / distance
            for name, w in zip(("nal", "maml"), points(variance, distance, alpha), strict=True):
                data, drawn = marked[f"mb-dot {name}"]
                np.testing.assert_allclose(data, w.numpy(), rtol=0, atol=1e-7)
                if name == "maml":
                    away = scale * (np.array(data) - [0.0, 1.0]) * [1, -1]
                    np.testing.assert_allclose(drawn, hard + away, atol=1e-6)

            # the bars
            bars = [mark for mark in marks if mark[0].startswith("mb-bar")]
            order = ("nal_1", "nal_2", "maml_1", "maml_2")
            norms = [expected[name] for name in order]
            assert [name.split()[1] for name, _, _ in bars] == ["hard", "easy"] * 2
            assert [data[0] for _, data, _ in bars] == pytest.approx(norms, rel=1e-6)
            heights = np.array([drawn[3] for _, _, drawn in bars])
            np.testing.assert_allclose(heights / heights[0], np.array(norms) / norms[0], rtol=1e-6)

            # the curves: at a few alphas, and each line through its own values
            lines = {name: np.reshape(marked[name][0], (-1, 2)) for name in LINES}
            for k in (8, 24, 40):
                values = measured(variance, distance, lines["ratio"][k, 0])
                for name in LINES[1:]:
                    assert lines[name][k, 1] == pytest.approx(values[name], rel=1e-6, abs=1e-6)
            assert set(lines["nal"][:, 1]) == {1.0} and lines["nal"][-1, 0] == MOST
            left, one, *_, right, _ = marked["nal"][1]
            values, up = lines["ratio"][:, 1], np.array(marked["ratio"][1][1::2])
            unit = np.polyfit(values, -up, 1)[0]  # of the ratio, in pixels
            for name in LINES:
                drawn = np.reshape(marked[name][1], (-1, 2))
                ends = [left, one] + (lines[name] - [0, 1]) * [(right - left) / MOST, -unit]
                assert distances(drawn, ends).max() < 0.05
                height = 1 + (one - drawn[:, 1]) / unit
                assert -0.501 < height.min() < height.max() + 1e-9 < 1.601
                whole = ((lines[name][:, 1] > -0.5) & (lines[name][:, 1] < 1.6)).sum()
                assert len(drawn) >= whole

            # the shade begins where the range ends
            (edge,), (start, *_) = marked["mb-outside"]
            assert start == pytest.approx(left + edge / MOST * (right - left), abs=0.01)
            for beyond in (False, True):
                near = edge + (0.002 if beyond else -0.002)
                assert (measured(variance, distance, near)["share"] > 1) == beyond

            # the printed bound's ring
            if -0.5 < expected["printed"] < 1.6:
                data, drawn = marked["mb-start"]
                assert data == pytest.approx([alpha, expected["printed"]], rel=1e-6, abs=1e-9)
                assert drawn[1] == pytest.approx(one - unit * (data[1] - 1), abs=0.05)
            else:
                assert "mb-start" not in marked


@at(desk(PAGE))
def test_beyond_the_range_it_says_so_and_the_point_is_stationary(look, open_page: OpenPage):
    page = open_page(look)
    for variance, distance in CASES:
        for alpha in (2.9, 3.2):
            shown, said = put(page, alpha, variance, distance)
            assert "outside the range of Theorem 1" in said and "bound" not in said
            marked = {name: data for name, data, _ in page.evaluate(SCENE, NUMBER)}
            (edge,) = marked["mb-outside"]
            assert alpha > edge
            assert not {"printed", "square"} & set(shown) and "mb-start" not in marked
            for name, last in (("ratio", MOST), ("printed", edge), ("square", edge)):
                assert marked[name][-2] == pytest.approx(last, abs=1e-3)
            assert shown["share"] > 1
            if "mb-dot maml" not in marked:
                continue  # it has left the picture
            w = torch.tensor(marked["mb-dot maml"], dtype=torch.float64)
            objective = maml_objective(*losses(variance, distance), alpha)
            assert torch.linalg.norm(gradient(objective, w)) < 1e-8
            expected = measured(variance, distance, alpha, w)
            assert shown == pytest.approx({name: expected[name] for name in shown}, rel=1e-6)


@at(phone(PAGE))
def test_alpha_is_moved_by_keys_and_by_hand(look, open_page: OpenPage):
    page = open_page(look)
    own = page.locator(".mb-widget").nth(NUMBER)
    dial, handle = own.locator("input[data-name=alpha]"), own.locator(".mb-handle")
    put(page, 1.0, 0.3, 1.0)

    def alpha() -> float:
        frame(page)
        assert float(handle.get_attribute("aria-valuenow")) == float(dial.input_value())
        return float(dial.get_attribute("aria-valuetext"))

    dial.press("ArrowRight")
    assert alpha() == pytest.approx(1.01)
    handle.focus()
    page.keyboard.press("ArrowRight")
    assert alpha() == pytest.approx(1.08)
    own.locator("[data-box=alpha]").fill("2,25")
    own.locator("[data-box=alpha]").press("Enter")
    assert alpha() == 2.25
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 40, y)
    page.mouse.up()
    assert 1 < alpha() < 2.25
    sentence, slider = own.locator(".mb-sentence").bounding_box(), dial.bounding_box()
    assert 0 < slider["y"] - sentence["y"] - sentence["height"] < 60  # it stands above the dial
