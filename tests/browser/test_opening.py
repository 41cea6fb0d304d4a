"""The first page's picture: it plays once, tells Python's numbers, and obeys the reader."""

import numpy as np
import pytest

from mamlbook.linear import excess_risk, maml_solution, nal_solution, two_tasks

from .conftest import at, desk

SET = """([input, value]) => {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


def slider(page):
    return page.locator("#opening input[type=range]")  # turned: it holds -rho_hard


def shown(page) -> float:
    return float(page.locator("#opening data").get_attribute("value"))


def ratio(rho_hard: float) -> float:
    env = two_tasks(rho_hard, 1.0, np.ones(10), -np.ones(10))
    nal, maml = nal_solution(env), maml_solution(env, 1.0, 2000)
    return excess_risk(env, nal, 1.0, 2000) / excess_risk(env, maml, 1.0, 2000)


@at(desk("intro.html"))
def test_it_plays_once_and_tells_pythons_numbers(open_page, look):
    page = open_page(look)
    page.wait_for_function("document.querySelector('#opening input').value === '-0.25'")
    page.wait_for_selector("#opening .mb-sentence[aria-live=polite]")
    assert shown(page) == pytest.approx(ratio(0.25), rel=1e-9)
    for value in (1.0, 0.5, 0.07, 0.01):
        page.evaluate(SET, [slider(page).element_handle(), -value])
        assert shown(page) == pytest.approx(ratio(value), rel=1e-9)


@at(desk("intro.html"))
def test_the_readers_key_stops_it(open_page, look):
    page = open_page(look)
    page.reload()
    slider(page).focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(500)
    assert slider(page).input_value() == "-0.02"


@at(desk("intro.html"))
def test_it_is_still_for_who_prefers_no_motion(open_page, look):
    page = open_page(look)
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    values = set()
    for _ in range(5):
        values.add(slider(page).input_value())
        page.wait_for_timeout(50)
    assert values == {"-0.25"}
    page.emulate_media(reduced_motion="no-preference")
