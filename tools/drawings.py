"""Figures as pages carry them: the drawing that a cell stored, in fewer bytes and in both themes.

A notebook's own drawing is on white paper. In a page it is an <img>, which has the color scheme of
the page around it: the media query in its style sheet asks for that, not for the system's.
"""

import colorsys
import re
from xml.etree import ElementTree

NUMBER = re.compile(r"-?\d+\.\d{3,}")
# What holds places and lengths. Not a scale: a glyph's is far below one, and its digits count.
PLACES = re.compile(r' (?:d|points|x|y|x1|y1|x2|y2|width|height)="[^"]*"|translate\([^)]*\)')
PATH = re.compile(r' d="[^"]*"')
COMMAND = re.compile(r" ?([A-DF-Za-df-z]) ?")  # of a path; an e may be a number's
STYLE = re.compile(r' style="[^"]*"')
UNSEEN = re.compile(r"\s*(?:<metadata>.*?</metadata>|<!--.*?-->)", re.S)


def light(svg: str) -> str:
    """The same drawing without comments and metadata, its places rounded to 0.01.

    Matplotlib's units are points, and those of a glyph smaller: nobody sees the difference. A
    drawing that is light already stays as it is.
    """
    short = PLACES.sub(lambda places: NUMBER.sub(_rounded, places[0]), UNSEEN.sub("", svg))
    short = PATH.sub(lambda path: " " + COMMAND.sub(r"\1", path[0][1:]), short)
    short = STYLE.sub(lambda style: re.sub(r"([:;]) ", r"\1", style[0]), short)
    return re.sub(r"\s*\n\s*", "\n", short)


BLACK, PAPER = "#000000", "#ffffff"
# What stands for a color of the house style in the dark; the widgets' colors are the same.
DARK = {
    PAPER: "#121212",
    BLACK: "#e8eaed",
    "#111827": "#e8eaed",
    "#374151": "#c9d1d9",
    "#6b7280": "#9aa4b2",
    "#d1d5db": "#4b5563",
    "#e5e7eb": "#32383f",
    "#fbe3d3": "#4a2c1a",
    "#0072b2": "#5db5ea",
    "#d55e00": "#ff9350",
    "#882255": "#f08cbc",
    "#2a9d8f": "#5fd0bf",
}
LEAST = 3  # contrast of what a figure draws with its paper, by WCAG 2
SHADES = 8  # a panel with more other colors than these is a map of values
COLOUR = re.compile(r"#[0-9a-f]{6}\b")
REFERENCE = re.compile(r"#([\w-]+)")
SPACE = "{http://www.w3.org/2000/svg}"
POINT = re.compile(r"(-?[\d.]+)[ ,]+(-?[\d.]+)")


def themed(svg: str) -> str:
    """The same drawing, which in a dark page is dark: ink, paper, grid and series change color.

    A map of values (an image, or many shades) keeps its colors and what is drawn over it, so that
    darker is more in both themes.
    """
    root = ElementTree.fromstring(svg)
    for panel in root.iterfind(f"{SPACE}g/{SPACE}g"):
        if panel.get("id", "").startswith("axes_") and _is_map(panel):
            for part in panel:
                if not _is_outside(part, panel):
                    part.set("class", "print")
    references = (value for each in root.iter() for value in each.attrib.values())
    asked = set(REFERENCE.findall(" ".join(references)))
    for each in root.iter():
        if each.get("id") not in asked:
            each.attrib.pop("id", None)  # matplotlib names every group, and nothing asks for most
    used = sorted({colour for each in root.iter() for colour in _colours(each)} | {BLACK})
    names = {colour: f"--c{i}" for i, colour in enumerate(used)}
    for each in root.iter():
        if style := each.get("style"):
            each.set("style", COLOUR.sub(lambda found: f"var({names[found[0]]})", style))
    light = _rules(names, lambda colour: colour)
    ink = f"fill:var({names[BLACK]})"
    sheet = (
        f"svg{{{light}{ink}}}@media (prefers-color-scheme:dark)"
        f"{{svg{{{_rules(names, dark)}}}.print{{{light}{ink}}}}}"
    )
    root.insert(0, ElementTree.Element(f"{SPACE}style"))
    root[0].text = sheet
    ElementTree.register_namespace("", SPACE[1:-1])
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def dark(colour: str) -> str:
    """What stands for a color in the dark. A shade keeps its hue, and a stronger one is lighter."""
    if colour in DARK:
        return DARK[colour]
    hue, lightness, strength = colorsys.rgb_to_hls(*_channels(colour))
    lightness, found = max(0.45, 1.2 - 1.4 * lightness), PAPER
    while lightness < 1:
        channels = colorsys.hls_to_rgb(hue, lightness, min(strength, 0.9))
        found = "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
        if contrast(found, DARK[PAPER]) >= LEAST:
            break
        lightness += 0.02
    return found


def contrast(one: str, other: str) -> float:
    """The ratio of two colors' luminances as WCAG 2 defines it, from 1 to 21."""

    def luminance(colour: str) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour)
        ]
        return (
            sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05
        )

    low, high = sorted((luminance(one), luminance(other)))
    return high / low


def _channels(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _colours(part: ElementTree.Element) -> set[str]:
    return set(COLOUR.findall(part.get("style", "")))


def _rules(names: dict[str, str], as_seen) -> str:
    return "".join(f"{name}:{as_seen(colour)};" for colour, name in names.items())


def _is_map(panel: ElementTree.Element) -> bool:
    others = {colour for each in panel.iter() for colour in _colours(each)} - set(DARK)
    return panel.find(f".//{SPACE}image") is not None or len(others) > SHADES


def _is_outside(part: ElementTree.Element, panel: ElementTree.Element) -> bool:
    """Whether a part of a map stands beside it: an axis, or text that begins beyond its edge."""
    if part.get("id", "").startswith("matplotlib.axis"):
        return True
    if not part.get("id", "").startswith("text") or part.find(f"{SPACE}g[@id]") is not None:
        return False
    paper = panel.find(f"{SPACE}g/{SPACE}path")
    place = next(
        (
            POINT.search(each.get("transform", ""))
            for each in part.iter()
            if "transform" in each.attrib
        ),
        None,
    )
    if paper is None or place is None:
        return False
    corners = [tuple(map(float, pair)) for pair in POINT.findall(paper.get("d", ""))]
    return not all(
        min(side) <= at <= max(side)
        for side, at in zip(zip(*corners, strict=True), map(float, place.groups()), strict=True)
    )


def _rounded(number: re.Match) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
