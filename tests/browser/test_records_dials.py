"""The dials of the chapters on convergence and FS-CIFAR100: numbers and pictures are Python's."""

import numpy as np
import pytest

from mamlbook import records
from mamlbook.experiments import convergence
from mamlbook.linear import training_law

from .conftest import OpenPage, at, desk, phone
from .test_widgets import PLAY, frame

SPLITS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 40]
BUDGETS = [960, 1920, 3840, 7680]
PS = [0.01, 0.5, 0.99]
MARKS = """
() => [...document.querySelectorAll(".mb-widget [data-at]")].map((mark) =>
  [mark.getAttribute("class"), mark.dataset.at.split(" ").map(Number),
   mark.tagName === "rect" ? ["y", "height"].map((name) => Number(mark.getAttribute(name)))
     : mark.getAttribute("d").slice(1).split(/[L ]/).map(Number)])
"""


def put(page, *places: float) -> tuple[dict[str, float], str]:
    """Set the dials, each from 0 to 1; the numbers shown and the sentence."""
    [played] = page.evaluate(PLAY, [0, [places]])
    shown = {name: number for name, number, _ in played["shown"]}
    return shown, page.locator(".mb-widget .mb-sentence").inner_text()


@at(phone("chapters/convergence.html"))
def test_a_budget_leaves_the_excess_of_the_law(look, open_page: OpenPage):
    page = open_page(look)
    env = convergence.environment(convergence.Rates())
    laws = {
        "nal": training_law(env, alpha=None, n1=125),
        "maml": training_law(env, alpha=1.0, n1=25, n2=100),
    }
    for i, tau in enumerate(SPLITS):
        for j, episodes in enumerate(BUDGETS):
            shown, said = put(page, i / (len(SPLITS) - 1), j / (len(BUDGETS) - 1))
            assert said.startswith(f"{episodes // tau:,} tasks of {125 * tau:,} samples each")
            assert ("the best split" in said) == (tau == 1)
            bars = [mark for mark in page.evaluate(MARKS) if "mb-bar" in mark[0]]
            for k, (name, law) in enumerate(laws.items()):
                risk = 500 * law.rms(episodes // tau, tau) ** 2
                least = 500 * law.rms(episodes) ** 2
                assert shown[f"{name}_risk"] == pytest.approx(risk, rel=1e-9)
                assert shown[f"{name}_times"] == pytest.approx(risk / least, rel=1e-9)
                given = 500 * law.rms(episodes // tau, tau, given=True) ** 2  # the samples' part
                assert shown[f"{name}_samples"] == pytest.approx(given, rel=1e-9)
                assert shown[f"{name}_tasks"] == pytest.approx(risk - given, rel=1e-9)
                full, pale = bars[2 * k : 2 * k + 2]
                assert pale[1][0] == pytest.approx(risk, rel=1e-9)
                heights = [bar[2][1] for bar in (full, pale)]
                assert heights[1] / sum(heights) == pytest.approx(given / risk, abs=1e-6)


@at(desk("chapters/cifar.html"))
def test_the_dial_of_p_shows_the_record(look, open_page: OpenPage):
    page = open_page(look)
    record = records.load("cifar_steps")
    rows = record.rows.fillna({"setting": ""}).assign(mean=record.arrays["accuracy"].mean(1))
    keys = ["split", "hardness", "algorithm", "setting", "step"]
    last = int(rows["step"].max())
    mean = rows.set_index(keys)["mean"].sort_index()
    heads = page.locator(".mb-widget .mb-table tbody th").all()
    assert len({round(head.bounding_box()["x"]) for head in heads}) == 1  # the lines stand alike
    for i, p in enumerate(PS):
        for steps in range(last + 1):
            for classes, split in enumerate(("test", "train")):
                shown, said = put(page, i / 2, steps / last, classes)
                assert f"p = {p:g}" in said

                def of(name, kind, p=p, split=split):
                    trained = f"p={p:g}" if name in ("nal", "maml") else ""
                    return mean[split, kind, name, trained]

                names = ("nal", "maml", "classifier", "none")
                courses = [mark for mark in page.evaluate(MARKS) if "mb-curve" in mark[0]]
                marks = iter(courses)
                for kind in ("hard", "easy"):
                    for name in names:
                        course = of(name, kind)
                        assert shown[f"{name}_{kind}"] == pytest.approx(course[steps], abs=6e-4)
                        said_class, values, drawn = next(marks)
                        assert said_class.endswith(name)
                        np.testing.assert_allclose(values, course, atol=6e-4)
                        down = np.array(drawn)[1::2]
                        assert np.corrcoef(down, values)[0, 1] == pytest.approx(-1, abs=1e-5)
                for other in ("nal", "classifier"):
                    lead = of("maml", "hard")[steps] - of(other, "hard")[steps]
                    assert shown[f"maml_{other}"] == pytest.approx(abs(lead), abs=2e-3)
                    word = {"nal": "NAL", "classifier": "the classifier"}[other]
                    if abs(lead) > 2e-3:
                        assert f"points {'ahead of' if lead > 0 else 'behind'} {word}" in said


@at(phone("chapters/convergence.html"), phone("chapters/cifar.html"))
def test_their_lines_are_moved_by_keyboard(look, open_page: OpenPage):
    page = open_page(look)
    handle = page.locator(".mb-widget .mb-handle")
    put(page, *([0.5] * page.locator(".mb-widget input[type=range]").count()))
    handle.focus()
    for key, grows in (("ArrowRight", True), ("ArrowLeft", False)):
        was = page.locator(".mb-widget .mb-table").inner_text(), handle.bounding_box()["x"]
        page.keyboard.press(key)
        frame(page)
        now = page.locator(".mb-widget .mb-table").inner_text(), handle.bounding_box()["x"]
        assert now[0] != was[0] and (now[1] > was[1]) == grows
