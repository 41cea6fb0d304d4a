"""Gradient descent in the page: its scene is that of Python; it plays, pauses and stands still."""

import numpy as np
import pytest

from mamlbook.linear import excess_risk, maml_solution, nal_solution, sgd_mean, two_tasks

from .conftest import OpenPage, at, desk, phone
from .test_widgets import PLAY, frame

PAGE = "chapters/hardness.html"
NUMBER = 1  # of the widget on its page
STEPS = 60
ONE, OFF = np.ones(10), np.tile([1.0, -1.0], 5)
# Each mark of both pictures: its class, whose it is, where it is in the data and in the picture.
SCENE = """
(number) => {
  const widget = document.querySelectorAll(".mb-widget")[number];
  return [...widget.querySelectorAll("[data-at]")].map((mark) => [
    mark.getAttribute("class"), mark.dataset.of ?? null, mark.dataset.at.split(" ").map(Number),
    mark.tagName === "path" ? mark.getAttribute("d").slice(1).split(/[L ]/).map(Number)
      : ["cx", "cy", "x1", "y1", "x2", "y2"].filter((name) => mark.hasAttribute(name))
        .map((name) => Number(mark.getAttribute(name)))]);
}
"""


def plane(w: np.ndarray) -> tuple[float, float]:
    """Both coordinates of the picture."""
    return w @ ONE / 10, w @ OFF / 10


def ways(rho_hard: float, rate: float, x: float, y: float) -> dict[str, np.ndarray]:
    """The initialization (61, 10) after each outer step, by algorithm."""
    start = x * ONE + y * OFF
    env = two_tasks(rho_hard, 1.0, ONE - start, -ONE - start)
    return {
        name: np.array([
            start + sgd_mean(env, alpha=alpha, n2=2000, rate=rate, iterations=k)
            for k in range(STEPS + 1)
        ])
        for name, alpha in (("nal", None), ("maml", 1.0))
    }  # fmt: skip


@at(desk(PAGE))
def test_every_mark_is_where_python_has_it(look, open_page: OpenPage):
    page = open_page(look)
    for places in np.random.default_rng(3).random((12, 5)):
        [played] = page.evaluate(PLAY, [NUMBER, [places.tolist()]])
        step, rho_hard, rate, x, y = played["set"].values()
        rho_hard = -rho_hard  # the slider runs from easy to hard
        paths = ways(rho_hard, rate, x, y)
        k, part = divmod(step, 1)
        reach = 1 if part == 0 else max(0, 2 * part - 1)
        marks = page.evaluate(SCENE, NUMBER)
        marked = {(kind, of): mark for mark in marks for kind, of in [mark[:2]]}
        tasks = {kind.split()[1]: drawn for kind, _, _, drawn in marks[:2]}
        assert [at for _, _, at, _ in marks[:2]] == [[1, 0], [-1, 0]]
        scale = (tasks["hard"][0] - tasks["easy"][0]) / 2

        def drawn_at(points, tasks=tasks, scale=scale):
            away = np.reshape(points, (-1, 2)) - [-1, 0]
            return (tasks["easy"] + scale * away * [1, -1]).ravel()

        for name, path in paths.items():
            way = min(2 * part, 1)
            at = (1 - way) * path[int(k)] + way * path[min(int(k) + 1, STEPS)]
            _, _, said, drawn = marked[f"mb-curve {name}", None]
            expected = np.array([plane(w) for w in [*path[: int(k) + 1], at]]).ravel()
            np.testing.assert_allclose(said, expected, rtol=0, atol=1e-9)
            np.testing.assert_allclose(drawn, drawn_at(said), atol=0.02)
            risks = [excess_risk(two_tasks(rho_hard, 1.0, ONE, -ONE), w, 1.0, 2000) for w in path]
            risk = marked[f"mb-curve {name}", "risk"]
            np.testing.assert_allclose(risk[2], risks, rtol=0, atol=1e-9)
            heights = np.array(risk[3])[1::2]  # the curve falls as its values do
            slope, base = np.polyfit(risks, heights, 1)
            assert slope < 0
            np.testing.assert_allclose(heights, slope * np.array(risks) + base, atol=0.02)
            for kind, rho, task in (("hard", rho_hard, ONE), ("easy", 1.0, -ONE)):
                # the inner step on the task's distribution, whose gradient is rho (w - w*)
                end = at - reach * 1.0 * rho * (at - task)
                _, _, said, drawn = marked[f"mb-step {kind}", name]
                np.testing.assert_allclose(said, [*plane(at), *plane(end)], rtol=0, atol=1e-9)
                np.testing.assert_allclose(drawn, drawn_at(said), atol=1e-6)


def test_they_lead_to_the_minimizers():
    env = two_tasks(0.25, 1.0, ONE, -ONE)
    found = ways(0.25, 1.9, -0.25, 1.25)
    for name, goal in (("nal", nal_solution(env)), ("maml", maml_solution(env, 1.0, 2000))):
        assert found[name][-1] == pytest.approx(goal, abs=1e-3)


def parts(page):
    own = page.locator(".mb-widget").nth(NUMBER)
    buttons = {name: own.get_by_role("button", name=name) for name in ("one step", "start again")}
    return own, own.locator(".mb-play button").first, buttons


def step_of(own) -> float:
    return float(own.locator("[data-name=step]").first.get_attribute("aria-valuetext"))


@at(phone(PAGE))
def test_it_is_played_paused_and_stepped_by_keyboard(look, open_page: OpenPage):
    page = open_page(look)
    page.emulate_media(reduced_motion="no-preference")
    own, play, buttons = parts(page)
    sentence = own.locator(".mb-sentence")
    buttons["start again"].press("Enter")
    frame(page)
    assert step_of(own) == 0 and sentence.inner_text().startswith("Before training")
    for _ in range(2):
        buttons["one step"].press("Enter")
        frame(page)
    assert step_of(own) == 2 and sentence.inner_text().startswith("After 2 outer steps")
    play.press("Enter")
    assert play.inner_text() == "pause"
    assert sentence.get_attribute("aria-live") == "off"  # not every frame is read aloud
    page.wait_for_function(
        "n => document.querySelectorAll('.mb-widget')[n].querySelector('[type=range]').value > 3",
        arg=NUMBER,
    )
    play.press("Enter")
    frame(page)
    at = step_of(own)
    assert play.inner_text() == "play" and at >= 3 and at == round(at)
    assert sentence.get_attribute("aria-live") == "polite"
    page.wait_for_timeout(200)
    assert step_of(own) == at
    play.press("Enter")
    own.locator("input[data-name=step]").press("End")  # the reader's hand stops it
    frame(page)
    assert play.inner_text() == "play" and step_of(own) == STEPS
    for button in (play, *buttons.values()):
        assert button.bounding_box()["height"] >= 44


@at(desk(PAGE))
def test_with_reduced_motion_nothing_moves(look, open_page: OpenPage):
    page = open_page(look)
    page.emulate_media(reduced_motion="reduce")
    own, play, buttons = parts(page)
    buttons["start again"].click()
    frame(page)
    play.click()
    frame(page)
    assert step_of(own) == STEPS and play.inner_text() == "play"
    assert own.evaluate("one => one.getAnimations({ subtree: true }).length") == 0
    page.emulate_media(reduced_motion="no-preference")
