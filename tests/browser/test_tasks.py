"""The reader's own few-shot tasks: dealt by the rules of C.4, scored once, playable by keyboard."""

import pytest

from tests.browser.conftest import OpenPage, at, desk

PAGE = desk("chapters/omniglot.html")
PER_ALPHABET = 8

# Deal a task of a kind, answer it with the choice at `place`, read what was dealt and what is said.
PLAY = """
async ([kind, deals]) => {
  const widget = [...document.querySelectorAll(".mb-widget")].find((w) => w.querySelector(".mb-kinds"));
  const row = (tile) => Number(tile.style.getPropertyValue("--mb-row"));
  const column = (tile) => Number(tile.style.getPropertyValue("--mb-column"));
  const results = [];
  for (let deal = 0; deal < deals; deal += 1) {
    widget.querySelector(`.mb-kind.${kind}`).click();
    const choices = [...widget.querySelectorAll(".mb-choice")];
    const query = widget.querySelector(".mb-query .mb-tile");
    choices[deal % choices.length].click();
    choices[(deal + 1) % choices.length].click(); // a second answer counts for nothing
    const right = choices.findIndex((choice) => choice.classList.contains("right"));
    const supports = choices.map((c) => [...c.querySelectorAll(".mb-tile")].map((t) => [row(t), column(t)]));
    results.push({ supports, query: [row(query), column(query)], right, chosen: deal % choices.length,
      said: widget.querySelector(".mb-sentence").textContent,
      focused: document.activeElement.classList.contains("mb-next"),
      shown: Object.fromEntries([...widget.querySelectorAll("data")].map((d) => [d.dataset.name, Number(d.value)])) });
  }
  return results;
}
"""  # noqa: E501


@at(PAGE)
@pytest.mark.parametrize("kind", ["easy", "hard"])
def test_tasks_are_dealt_by_the_rules_and_scored_once(look, kind, open_page: OpenPage):
    played = open_page(look).evaluate(PLAY, [kind, 60])
    answers, score = set(), 0
    for place, one in enumerate(played, 1):
        classes = [supports[0][0] for supports in one["supports"]]
        alphabets = {row // PER_ALPHABET for row in classes}
        assert len(set(classes)) == 5
        assert len(alphabets) == (5 if kind == "easy" else 1)
        query_class, query_example = one["query"]
        assert query_class == classes[one["right"]]
        assert query_example != one["supports"][one["right"]][0][1]  # not the example shown
        score += one["chosen"] == one["right"]
        assert one["said"].startswith("Right" if one["chosen"] == one["right"] else "No")
        assert one["shown"][f"right_{kind}"] == score and one["shown"][f"asked_{kind}"] == place
        assert one["focused"]
        answers.add(one["right"])
    assert answers == set(range(5))


@at(PAGE)
def test_a_task_is_played_by_keyboard_alone(look, open_page: OpenPage):
    page = open_page(look)
    page.locator(".mb-kind.hard").focus()
    page.keyboard.press("Enter")
    page.locator(".mb-choice").first.focus()
    page.keyboard.press("Enter")
    first = page.locator(".mb-board").inner_html()
    page.keyboard.press("Enter")  # the button Next holds the focus
    assert page.locator(".mb-sentence").first.inner_text()
    assert page.locator(".mb-board").inner_html() != first


@at(PAGE)
def test_no_button_drops_the_focus(look, open_page: OpenPage):
    """Next leads to the new question, one key before its choices; another task keeps its button."""
    page = open_page(look)
    focused = "document.activeElement.className"
    for kind in ("easy", "hard"):
        page.locator(f".mb-kind.{kind}").focus()
        page.keyboard.press("Enter")
        assert page.evaluate(focused) == f"mb-kind {kind}"
        page.locator(".mb-choice").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate(focused) == "mb-next"
        page.keyboard.press("Enter")
        assert page.evaluate(focused) == "mb-asked"
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "mb-choice"
    for button in page.locator(".mb-widget button:visible").all():
        button.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.closest('.mb-widget') !== null")
