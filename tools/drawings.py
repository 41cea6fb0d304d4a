"""Figures as pages carry them: the drawing that a cell stored, in fewer bytes."""

import re

NUMBER = re.compile(r"-?\d+\.\d{3,}")
# What holds places and lengths. Not a scale: a glyph's is far below one, and its digits count.
PLACES = re.compile(r' (?:d|points|x|y|x1|y1|x2|y2|width|height)="[^"]*"|translate\([^)]*\)')
STYLE = re.compile(r' style="[^"]*"')
UNSEEN = re.compile(r"\s*(?:<metadata>.*?</metadata>|<!--.*?-->)", re.S)


def light(svg: str) -> str:
    """The same drawing without comments and metadata, its places rounded to 0.01.

    Matplotlib's units are points, and those of a glyph smaller: nobody sees the difference. A
    drawing that is light already stays as it is.
    """
    short = PLACES.sub(lambda places: NUMBER.sub(_rounded, places[0]), UNSEEN.sub("", svg))
    short = STYLE.sub(lambda style: re.sub(r"([:;]) ", r"\1", style[0]), short)
    return re.sub(r"\s*\n\s*", "\n", short)


def _rounded(number: re.Match) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
