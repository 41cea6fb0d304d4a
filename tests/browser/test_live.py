"""The live network: the page's own code against Python's, and what the reader is told."""

import base64
import json

import numpy as np
import pytest
import torch

from mamlbook import fewshot
from mamlbook.fewshot import images, learners, passes
from mamlbook.fewshot.decode import DataError
from mamlbook.fewshot.settings import Omniglot, Seeds
from mamlbook.widgets import HERE
from mamlbook.widgets.live import compact, expanded
from tools import ROOT

from .conftest import OpenPage, at, desk, phone

PAGE = "chapters/omniglot.html"
TASKS, STEP, WEIGHTS = 200, 100, 500_000
LIVE = ".mb-live"
ENGINE = (HERE / "network.js").read_text(encoding="utf-8")
# Adapt to each task's support set and classify a query; logits, and each step's milliseconds.
RUN = f"""
({{ text, seed, supports, queries, rate }}) => {{
  {ENGINE}
  const net = engine();
  const theta = net.decoded(text, seed);
  const unpacked = (bits) => Float32Array.from(
    Uint8Array.from(atob(bits), (c) => c.charCodeAt(0)));
  const logits = [], times = [];
  supports.forEach((bits, t) => {{
    const support = unpacked(bits);
    const began = performance.now();
    const adapted = net.adapt(theta, support, [0, 1, 2, 3, 4], rate, 1);
    times.push(performance.now() - began);
    logits.push([...net.asked(adapted, support, unpacked(queries[t]))]);
  }});
  return {{ logits, times }};
}}
"""


@pytest.fixture(scope="module")
def drawn():
    """100 easy and 100 hard tasks of unseen alphabets: images and episodes of one query each."""
    try:
        held = images.load("omniglot-binary")
    except DataError:
        pytest.skip("Omniglot is not at hand")
    model = fewshot.pretrained("omniglot", "large", "maml")
    split = Seeds.of(model.card["seed"]).split
    problem = Omniglot(**model.card["settings"]).problem(held, split)
    _, *pair = problem.evaluation["test"].draw(TASKS // 2, (7,), "cpu")
    return held.images.flatten(0, 1), pair


def told(drawings: torch.Tensor) -> str:
    """0 for ink and 1 for paper, a byte each."""
    return base64.b64encode((drawings.flatten() > 0).to(torch.uint8).numpy().tobytes()).decode()


@at(desk(PAGE))
@pytest.mark.parametrize("algorithm", ["maml", "nal-1", "classifier"])
def test_tasks_in_the_page_are_pythons(look, algorithm, drawn, open_page: OpenPage):
    """Adapted logits to 1e-4 from the page's weights; accuracy within half a point of theirs."""
    page = open_page(look)
    model, (flat, pair) = fewshot.pretrained("omniglot", "large", algorithm), drawn
    seed = Seeds.of(model.card["seed"]).initialisation
    text = compact(model, seed)
    answer = torch.arange(TASKS // 2) % 5
    right = {"page": 0, "shipped": 0}
    for episodes in pair:
        query = episodes.target[torch.arange(TASKS // 2), answer * episodes.shape.targets]
        batch = torch.cat([episodes.support, query[:, None]], 1)
        sent = {
            "supports": [told(flat[own]) for own in episodes.support],
            "queries": [told(flat[one]) for one in query],
        }
        rate = model.learner.inner_rate
        found = page.evaluate(RUN, {"text": text, "seed": seed, "rate": rate, **sent})
        there = torch.tensor(found["logits"])
        with torch.inference_mode():
            for name, theta in (("page", expanded(text, model, seed)), ("shipped", model.theta)):
                adapted = learners.adapt(model.learner, model.network, theta, flat, episodes, 1)
                x = learners.inputs(flat, batch, theta.dtype)
                here = passes.forward(model.network, adapted, x, 5)[0][:, -1]
                if name == "page":
                    torch.testing.assert_close(there, here, rtol=0, atol=1e-4)
                    right["page"] += int((there.argmax(1) == answer).sum())
                else:
                    right["shipped"] += int((here.argmax(1) == answer).sum())
        assert np.min(found["times"]) < STEP
    assert abs(right["page"] - right["shipped"]) / TASKS <= 0.005, right


@at(desk(PAGE))
def test_the_weights_of_a_page_are_light(look, open_page: OpenPage):
    open_page(look)
    stored = json.loads((ROOT / "chapters" / "omniglot.ipynb").read_text(encoding="utf-8"))
    models = stored["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    (state,) = [
        m["state"] for m in models.values() if "networks" in m["state"] and "rate" in m["state"]
    ]
    assert sum(len(one.get("data", "")) for one in state["networks"].values()) < WEIGHTS


@at(desk(PAGE), phone(PAGE), desk("intro.html"), phone("intro.html"))
def test_a_reader_deals_and_draws(look, open_page: OpenPage):
    """Over http and from a file: the worker answers, what is said agrees with the bars."""
    page = open_page(look)
    page.locator(f"{LIVE} .mb-deal.easy").click()
    said = page.locator(f"{LIVE} .mb-sentence[aria-live=polite]")
    page.locator(f"{LIVE} figure").first.wait_for()
    for figure in page.locator(f"{LIVE} figure").all():
        after = [float(share) for share in figure.get_attribute("data-after").split()]
        assert sum(after) == pytest.approx(1)
        name, place = figure.get_attribute("data-network"), int(np.argmax(after))
        assert f"{name} says {place + 1} ({round(100 * after[place])} %" in said.inner_text()
    page.locator(f"{LIVE} .mb-deal.own").click()
    assert "Draw character 1" in said.inner_text()
    thumbs = page.locator(f"{LIVE} .mb-thumb")
    for k in range(6):  # by keyboard alone
        thumbs.nth(k).focus()
        page.keyboard.press("Enter")
        page.locator(f"{LIVE} .mb-pad").focus()
        for key in (" ", *["ArrowRight"] * (k + 1), *["ArrowDown"] * 3, " "):
            page.keyboard.press(key)
        assert "drawn" in thumbs.nth(k).get_attribute("aria-label")
    page.locator(f"{LIVE} figure").first.wait_for()
    assert " says " in said.inner_text() and "right" not in said.inner_text()
