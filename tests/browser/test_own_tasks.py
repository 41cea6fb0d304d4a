"""The reader's own table, diagnosed in the page as Python does it."""

import numpy as np
import pandas as pd
import pytest

from mamlbook.diagnose import diagnose, from_frame, read
from tests.browser.conftest import OpenPage, at, desk, phone
from tests.diagnose.tables import confounded
from tools import ROOT

DATA = ROOT / "chapters" / "data"
PAGE = desk("chapters/your_tasks.html")
READ = """
() => {
  const widget = document.querySelector(".mb-own");
  return {
    said: widget.querySelector(".mb-sentence").textContent,
    shown: Object.fromEntries([...widget.querySelectorAll("data")].map((d) => [d.dataset.name, Number(d.value)])),
    discs: [...widget.querySelectorAll("circle")].map((c) =>
      [c.textContent, Number(c.dataset.before), Number(c.dataset.left), Number(c.dataset.change)]),
  };
}
"""  # noqa: E501
IDLE = "() => document.querySelector('.mb-own').getAttribute('aria-busy') === 'false'"


def settled(page) -> dict:
    page.wait_for_timeout(60)  # a computation is put off until the page has been drawn
    page.wait_for_function(IDLE)
    return page.evaluate(READ)


def agrees(told: dict, found) -> None:
    """Verdict, methods and the plane of tasks, to six digits."""
    expected = {
        "gain": found.gain.value,
        "low": found.gain.low,
        "high": found.gain.high,
        "least_gain": found.least_gain,
        **{f"{name}_alpha": found.alpha[name] for name in ("nal", "maml")},
        **{f"{name}_steps": found.steps[name] for name in ("nal", "maml")},
    }
    for row in found.methods.itertuples():
        expected |= {f"loss_{row.method}": row.loss, f"over_{row.method}": row.over_maml}
    if found.alternative:
        other = found.alternative[1]
        expected |= {"other": other.value, "other_low": other.low, "other_high": other.high}
    assert told["shown"] == pytest.approx(expected, rel=1e-6)
    assert told["said"].split(":")[0].replace("’", "'") in found.verdict.replace(
        "'G", "“G"
    ).replace("l'", "l”")
    rows = found.rows.set_index("task")
    assert {name for name, *_ in told["discs"]} == set(rows.index)
    for name, before, left, change in told["discs"]:
        row = rows.loc[name]
        assert (before, left) == pytest.approx((row["distance"], row["share_left"]), rel=1e-6)
        assert change == pytest.approx(row["loss_nal"] - row["loss_maml"], rel=1e-6, abs=1e-9)


@at(PAGE)
def test_the_examples(look, open_page: OpenPage):
    page = open_page(look)
    widget = page.locator(".mb-own")
    for button, name, task, target, adapt in (
        ("life expectancy", "gapminder", "country", "life_expectancy", "intercept"),
        ("violent crime", "guns", "state", "log_violent", "intercept"),
        ("radon", "radon", "county", "log_radon", "all"),
    ):
        widget.get_by_role("button", name=button).click()
        told = settled(page)
        tasks = from_frame(read(DATA / f"{name}.csv"), task, target)
        agrees(told, diagnose(tasks, adapt=adapt, support=2 if name == "guns" else 5))


@at(PAGE)
@pytest.mark.parametrize("seed", range(4))
def test_a_pasted_table(look, seed, open_page: OpenPage):
    page = open_page(look)
    parts = [
        pd.DataFrame({"who": f'no. {i}, "{i}"', "a": x[:, 0], "b": x[:, 1], "y": y})
        for i, (x, y) in enumerate(confounded(25, 9, seed=seed, pull=seed / 2))
    ]
    table = pd.concat(parts)
    page.locator(".mb-own select").nth(2).select_option("all" if seed % 2 else "intercept")
    page.locator(".mb-own textarea").fill(table.to_csv(index=False))
    told = settled(page)
    adapt = "all" if seed % 2 else "intercept"
    agrees(told, diagnose(from_frame(table, "who", "y"), adapt=adapt))


@at(PAGE)
def test_a_dropped_file(look, open_page: OpenPage):
    page = open_page(look)
    drop = """
    (text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], "t.csv"));
      const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
      document.querySelector(".mb-own").dispatchEvent(event);
    }
    """
    page.evaluate(drop, "task;x;y\n1;2;3\n1;4;6\n")
    page.wait_for_function("document.querySelector('.mb-own textarea').value.startsWith('task;x')")
    told = settled(page)
    assert "0 tasks have at least 8 rows" in told["said"] and not told["discs"]


@at(PAGE)
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "This is no table"),
        ("a,b\n1,2\n", "at least three columns"),
        ("a,x,x\n1,2,3\n", "“x” stands twice"),
        ("a,x,y\n1,2\n", "Row 2 has 2 cells"),
        ("a,x,y\n1,2,3\n2,3,4\n", "different in every row"),
        ("a,x,y\n1,2,n/a\n1,3,4\n", "“n/a”, no number"),
        ("a,x,y\n1,2,\n1,3,4\n", "empty cells"),
        (",a,y\n1,2,3\n", "at least three columns"),
        ("a;x;y\n1;2;3,5\n1;3;4\n", "“3,5”, no number; write it like 1234.5"),
        ("a,x,y\n" + "".join(f"{i % 12},{i},{i % 2}\n" for i in range(120)), "class labels"),
        ("a,x,y\n" + "".join(f"{i % 12},5,{i}\n" for i in range(120)), "“x” is constant"),
    ],
)
def test_what_is_no_table_gets_one_sentence(look, text, sentence, open_page: OpenPage):
    page = open_page(look)
    page.locator(".mb-own textarea").fill(text)
    told = settled(page)
    assert sentence in told["said"] and told["said"].endswith(".")
    assert not told["discs"] and not told["shown"]


@at(phone("chapters/your_tasks.html"))
def test_the_frame_fits_a_phone(look, open_page: OpenPage):
    page = open_page(look)
    settled(page)
    widths = page.evaluate(
        "[...document.querySelectorAll('.mb-own *')].map((e) => e.getBoundingClientRect().right)"
    )
    assert np.max(widths) <= look.width
