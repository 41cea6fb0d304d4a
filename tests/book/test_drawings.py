"""What pages carry of a figure is the figure: its elements, where they were, in both themes."""

import io
import re
from xml.etree import ElementTree

import nbformat
import pytest

from mamlbook.figures import style as figures
from tools.drawings import BLACK, DARK, LEAST, PAPER, contrast, dark, light, themed
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
            words = [NUMBER.sub("#", each) for each in (value, now[name])]
            if name in ("d", "style"):  # where a space more or less says nothing
                words = [each.replace(" ", "") for each in words]
            assert words[0].split() == words[1].split()
            pairs = zip(NUMBER.findall(value), NUMBER.findall(now[name]), strict=True)
            assert all(abs(float(a) - float(b)) <= 0.00501 for a, b in pairs)
            if "scale" in value:
                assert re.findall(r"scale\(.*?\)", value) == re.findall(r"scale\(.*?\)", now[name])


# What is to be hardly seen: lines of the grid, a bar between two marks, the ground of a region.
FAINT = {"#e5e7eb", "#d1d5db", "#fbe3d3"}
SMALL = {"omniglot", "cifar"}  # chapters whose ticks are yet smaller than eleven pixels
SIZED = re.compile(r"scale\(([\d.]+) -")
VARIABLE = re.compile(r"var\((--c\d+)\)")
RULE = re.compile(r"(--c\d+):(#[0-9a-f]{6})")


def sheet(root: ElementTree.Element) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Colors by their variables: in the light, in the dark, in the dark on a map of values."""
    text = root[0].text
    lit, night = text.split("@media (prefers-color-scheme:dark)")
    night, printed = night.split(".print")
    return tuple(dict(RULE.findall(part)) for part in (lit, night, printed))


@pytest.mark.parametrize("svg", DRAWINGS)
def test_a_themed_drawing_is_the_drawing_in_the_light_and_legible_in_the_dark(svg):
    before, root = parts(light(svg)), ElementTree.fromstring(themed(light(svg)))
    lit, night, printed = sheet(root)
    assert lit == printed and set(lit) == set(night)
    in_maps = {id(each) for part in root.iter() if part.get("class") for each in part.iter()}
    seen = {}
    everything = [each for each in root.iter() if each is not root[0]]
    for (tag, then), each in zip(before, everything, strict=True):
        now = {name: value for name, value in each.attrib.items() if name != "class"}
        assert tag == each.tag
        if "id" not in now:
            assert f"#{then.pop('id', None)}" not in svg  # nothing asks for it
        names = set(VARIABLE.findall(now.get("style", "")))
        if "style" in now:
            now["style"] = VARIABLE.sub(lambda found: lit[found[1]], now["style"])
        assert now == then
        if id(each) not in in_maps:
            seen |= {lit[name]: night[name] for name in names}
    assert seen[PAPER] == DARK[PAPER] and len(set(seen.values())) >= len(set(seen)) - 1
    for colour, at_night in seen.items():
        assert at_night == dark(colour)
        if colour not in FAINT | {PAPER}:
            assert contrast(at_night, DARK[PAPER]) >= LEAST, colour
            assert contrast(colour, PAPER) >= LEAST, colour


@pytest.mark.parametrize(
    "svg", [each for each in DRAWINGS if each.id.rpartition("-")[0] not in SMALL]
)
def test_ticks_have_eleven_pixels_in_a_page(svg):
    """At the width of 640 px that a page gives a figure at least, of its own about 683."""
    root = ElementTree.fromstring(svg)
    pixels = 640 / float(root.get("viewBox").split()[2])
    ticks = [each for each in root.iter() if re.match("[xy]tick_", each.get("id", ""))]
    sizes = [
        100 * float(size) * pixels
        for tick in ticks
        for each in tick.iter()
        for size in SIZED.findall(each.get("transform", ""))
    ]
    assert all(size >= 11 for size in sizes), min(sizes)


def test_contrast_is_that_of_wcag():
    assert contrast(BLACK, PAPER) == pytest.approx(21)
    assert contrast("#777777", PAPER) == pytest.approx(4.48, abs=0.01)


def test_a_map_of_values_keeps_its_colors_and_what_stands_on_it():
    """Darker is more in both themes; ticks and titles beside the map follow the theme."""
    figure = figures.subplots(height=2)[0]
    axes = figure.axes[0]
    axes.imshow([[0.0, 1.0]], cmap="Greys")
    axes.set_title("beside")
    axes.text(0.5, 0, "on it")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    root = ElementTree.fromstring(themed(light(buffer.getvalue())))
    parents = {child: parent for parent in root.iter() for child in parent}

    def printed(part: ElementTree.Element | None) -> bool:
        return part is not None and (part.get("class") == "print" or printed(parents.get(part)))

    assert [printed(each) for each in root.iter() if each.tag.endswith("image")] == [True]
    letters = {parents[each] for each in root.iter() if "DejaVu" in str(each.attrib.values())}
    texts = [printed(each) for each in letters if each.tag.endswith("g")]
    assert texts.count(True) == 1 and len(texts) > 3
