"""nbval, with numbers compared as numbers and widgets compared at all.

A chapter's fresh outputs must have the words of the stored ones exactly. Their numbers may differ
by one part in a million, and numbers printed with five or more significant digits by one unit of
the last: the fourth digit always counts. Integers are exact. nbval knows nothing of widgets, so one
more item per chapter compares the state of its widgets with the stored one.

A cell tagged `needs-data` reads the real images. Where MAMLBOOK_DATA is not set it is skipped, and
with it the chapter's widgets, of which it may have made some.
"""

import math
import os
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbval.plugin import IPyNbCell, IPyNbFile

from tools import environment
from tools.notebooks import models, steady_markup, steady_text

RELATIVE = 1e-6
NEEDS_DATA = "needs-data"
NO_DATA = pytest.mark.skip(reason="MAMLBOOK_DATA is not set: the real images are not at hand")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class Output(str):
    """A text equal to another if their words are the same and their numbers alike."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and alike(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other


def alike(stored: str, computed: str) -> bool:
    """Whether two texts have the same words and, one by one, like numbers."""
    words = [" ".join(" | ".join(_NUMBER.split(text)).split()) for text in (stored, computed)]
    pairs = zip_longest(_NUMBER.findall(stored), _NUMBER.findall(computed), fillvalue="")
    return words[0] == words[1] and all(close(a, b) for a, b in pairs)


def close(a: str, b: str) -> bool:
    """Whether two printed numbers may stand for one and the same number."""
    if a == b:
        return True
    if not (_is_real(a) and _is_real(b)):
        return False
    x, y = float(a), float(b)
    allowed = RELATIVE * max(abs(x), abs(y))
    if min(_digits(a), _digits(b)) >= 5:
        allowed = max(allowed, 1.000001 * _unit(a), 1.000001 * _unit(b))
    return math.isfinite(allowed) and abs(x - y) <= allowed


def same(stored: Any, computed: Any) -> bool:
    """`alike` for what JSON can hold."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        return stored.keys() == computed.keys() and all(
            same(stored[key], computed[key]) for key in stored
        )
    if isinstance(stored, list) and isinstance(computed, list):
        return len(stored) == len(computed) and all(map(same, stored, computed))
    if isinstance(stored, str) and isinstance(computed, str):
        return alike(steady_text(stored), steady_text(computed))
    if isinstance(stored, float) and isinstance(computed, float):
        both_nan = math.isnan(stored) and math.isnan(computed)
        return both_nan or math.isclose(stored, computed, rel_tol=RELATIVE)
    return type(stored) is type(computed) and stored == computed


def numbered(notebook: NotebookNode) -> list[Any]:
    """The notebook's widgets in the order of their making, that number standing for each id."""
    ids = {model: number for number, model in enumerate(models(notebook))}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if isinstance(value, str) and (model := value.removeprefix("IPY_MODEL_")) in ids:
            return f"widget {ids[model]}"
        return value

    return [renamed(model) for model in models(notebook).values()]


class Widgets(pytest.Item):
    """The last item of a chapter: the widgets its cells have made are those stored."""

    def runtest(self) -> None:
        recorder = self.parent.recorder
        recorder.set_widgets_metadata()
        stored, computed = numbered(self.parent.nb), numbered(recorder.nb)
        if len(stored) != len(computed):
            pytest.fail(
                f"{len(stored)} widgets are stored, {len(computed)} computed", pytrace=False
            )
        for number, (old, new) in enumerate(zip(stored, computed, strict=True)):
            for key in sorted(old["state"].keys() | new["state"].keys()):
                values = old["state"].get(key), new["state"].get(key)
                if not same(*values):
                    fault = f"widget {number}, {key}: stored {values[0]!r}, computed {values[1]!r}"
                    pytest.fail(fault[:2000], pytrace=False)
            if not same(old, new):
                pytest.fail(f"widget {number} is not the one stored", pytrace=False)

    def reportinfo(self) -> tuple[Any, int, str]:
        return self.path, 0, f"{self.path.name}::widgets"


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.nbval:
        return
    os.environ.update(environment())
    collect, sanitize, message_of = (
        IPyNbFile.collect,
        IPyNbCell.sanitize,
        IPyNbFile.get_kernel_message,
    )

    def collect_all(self: IPyNbFile) -> Iterator[pytest.Item]:
        self.recorder = NotebookClient(new_notebook(), store_widget_state=True)
        self.recorder.reset_execution_trackers()
        cells = list(collect(self))
        widgets = Widgets.from_parent(self, name="widgets")
        if not os.environ.get("MAMLBOOK_DATA"):
            reading = [item for item in cells if NEEDS_DATA in item.cell.metadata.get("tags", [])]
            for item in [*reading, *([widgets] if reading else [])]:
                item.add_marker(NO_DATA)
        yield from [*cells, widgets]

    def recorded(self: IPyNbFile, timeout: float | None = None, stream: str = "iopub") -> Any:
        message = message_of(self, timeout, stream)
        if message["msg_type"].startswith("comm"):
            self.recorder.handle_comm_msg([], message, 0)
        return message

    def tolerant(self: IPyNbCell, value: Any) -> Any:
        value = sanitize(self, value)
        return Output(steady_markup(value)) if isinstance(value, str) else value

    IPyNbFile.collect, IPyNbFile.get_kernel_message = collect_all, recorded
    IPyNbCell.sanitize = tolerant


def _is_real(token: str) -> bool:
    return any(mark in token for mark in ".eE")


def _mantissa(token: str) -> tuple[str, int]:
    mantissa, _, exponent = token.lower().partition("e")
    return mantissa.lstrip("+-"), int(exponent or 0)


def _digits(token: str) -> int:
    """The significant digits of a printed number."""
    return len(_mantissa(token)[0].replace(".", "").lstrip("0"))


def _unit(token: str) -> float:
    """One unit of a number's last printed digit."""
    mantissa, exponent = _mantissa(token)
    return 10.0 ** (exponent - len(mantissa.partition(".")[2]))
