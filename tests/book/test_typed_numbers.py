"""No measured number is typed: prose and captions take theirs from cells, by glue."""

import re

import nbformat
import pytest

from tools.notebooks import chapters

# What a page may say in figures outside of mathematics: what the paper states, what a data set has,
# and what defines an experiment. Everywhere: the level of intervals, and two quantiles' levels.
EVERYWHERE = {"95", "96"}
STATED = {
    "verdict": {"0.01", "0.07"},  # thresholds of a check, before and after
    "hardness": {"100", "2,000", "3,000", "5,000", "0.05", "0.95"},  # C.1, Figure 2, the axis
    "geography": {"0.2", "25", "100", "500", "3,000", "4,000", "5,000"},  # Figure 1, C.1, Table 3
    "logistic": {"0.01"},  # the grid of hardness
    "two_layer_net": {"40", "250"},  # quadrature nodes; C.3's samples
    "convergence": {"0.96", "4", "25"},  # the theorem's probability; C.1's n1
    "errata": {"11", "60", "80", "100", "2022", "0.025", "15", "10,000", "20,000"},  # as printed
    "omniglot": {"15", "20", "25", "28", "50", "64", "90", "105", "200", "255", "500", "1623",
                 "20,000"},  # Omniglot, C.4, and how images are converted
    "cifar": {"5", "10", "15", "18", "20", "32", "50", "80", "99", "100", "150", "200", "450",
              "600", "0.01", "0.1", "0.5", "0.69", "0.99", "3.00", "10,000", "20,000"},  # C.5
    "sinusoids": {"40", "100", "70,000"},  # the network, query inputs, Finn et al.'s length
    "world": {"16", "64", "100", "256", "400", "800", "0.05", "0.25", "0.5"},  # the recipe
    "your_tasks": {"10", "20", "24", "60", "80", "160", "200", "500", "2000", "0.01", "1.05",
                   "4.0"},  # the simulated tables, the rule
}  # fmt: skip
NUMBER = re.compile(
    r"(?<![\w.])\d{1,3}(?:,\d{3})+"
    r"|(?<![\w.])\d+\.\d+"
    r"|(?<![\w.-])\d+(?= ?%)"
    r"|(?<![\w.,-])\d{2,}(?![\w,.]*\d)"
)
APART = re.compile(
    r"\$\$.*?\$\$|\$[^$]*\$"  # mathematics
    r"|\{[a-z:]+\}`[^`]*`|`[^`]*`"  # glue, references, code
    r"|(?<=\])\([^)]*\)|\(P?\d+\)"  # addresses of links, equations
    r"|(?:Sections?|Theorems?|Exercises?)(?: \d[\d.]*(?: and| to|,)?)+",
    re.S,
)


def typed(text: str) -> list[str]:
    """The numbers of a text that no cell gives."""
    return NUMBER.findall(APART.sub(" ", text))


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_number_in_prose_is_stated_or_comes_from_a_cell(path):
    found = set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            found |= set(typed(cell.source))
        mystnb = cell.metadata.get("mystnb", {})
        found |= set(typed(mystnb.get("figure", {}).get("caption", "")))
        found |= set(typed(mystnb.get("image", {}).get("alt", "")))
    assert found <= STATED.get(path.stem, set()) | EVERYWHERE, path.stem


def test_a_typed_number_is_noticed():
    assert typed("gains 17.1 times, by 94% and 120,000 of {glue:text}`x`") == [
        "17.1", "94", "120,000",
    ]  # fmt: skip
    assert typed("In Section 3.2, (P12) has $m=2000$; [arXiv](https://arxiv.org/abs/2010.1)") == []
