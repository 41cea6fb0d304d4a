"""What pages carry of a figure is the figure: the same elements, each where it was."""

import re
from xml.etree import ElementTree

import nbformat
import pytest

from tools.drawings import light
from tools.notebooks import chapters

DRAWINGS = [
    pytest.param(output.data["image/svg+xml"], id=f"{path.stem}-{number}")
    for path in chapters()
    for number, output in enumerate(
        output
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/svg+xml" in output.get("data", {})
    )
]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def parts(svg: str) -> list[tuple[str, dict[str, str]]]:
    """Tag and attributes of each element that is drawn."""
    root = ElementTree.fromstring(svg)
    for child in [each for each in root if each.tag.endswith("metadata")]:
        root.remove(child)
    return [(each.tag, dict(each.attrib)) for each in root.iter()]


@pytest.mark.parametrize("svg", DRAWINGS)
def test_a_light_drawing_is_the_drawing(svg):
    short = light(svg)
    assert len(short) < len(svg) and light(short) == short
    before, after = parts(svg), parts(short)
    assert [tag for tag, _ in before] == [tag for tag, _ in after]
    for (_, then), (_, now) in zip(before, after, strict=True):
        assert list(then) == list(now)
        for name, value in then.items():
            if value == now[name]:
                continue
            # The same words, and numbers within half of the last place that is kept.
            assert NUMBER.sub("#", value).split() == NUMBER.sub("#", now[name]).split() or (
                name == "style" and value.replace(" ", "") == now[name].replace(" ", "")
            )
            pairs = zip(NUMBER.findall(value), NUMBER.findall(now[name]), strict=True)
            assert all(abs(float(a) - float(b)) <= 0.00501 for a, b in pairs)
            if "scale" in value:
                assert re.findall(r"scale\(.*?\)", value) == re.findall(r"scale\(.*?\)", now[name])
