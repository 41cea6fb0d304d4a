"""What all tests share: chapters under nbval, and how the tests are dealt to xdist's workers.

pytest and what the package itself needs are enough to run the tests that need no more, such as
those of a GPU, `python -m pytest -m gpu`. A file that imports what is not installed is skipped.
"""

import re
from importlib.util import find_spec

import pytest

from tools import OPTIONAL

FOLDERS = {"tests/browser": "playwright", "tests/notebooks": "nbformat"}  # by their conftest.py
LEFT_OUT = {folder: name for folder, name in FOLDERS.items() if not find_spec(name)}

collect_ignore = list(LEFT_OUT)
pytest_plugins = ["tools.nbval_plugin"] if find_spec("nbval") and find_spec("nbclient") else []

LOOK = re.compile(r"tests/browser/[^\[]*\[(?:.*-)?([\w/]+\.html-\w+-\d+)\]")


class Module(pytest.Module):
    """A test file that is skipped, and says why, where an optional library is not installed."""

    def collect(self):
        try:
            return super().collect()
        except self.CollectError as error:
            missing = getattr(error.__cause__, "name", None) or ""
            if isinstance(error.__cause__, ModuleNotFoundError) and missing in OPTIONAL:
                pytest.skip(f"{missing} is not installed", allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path, parent) -> Module:
    return Module.from_parent(parent, path=module_path)


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "build no book if no file has changed since the last build"
    parser.addoption("--built", action="store_true", help=said)


def pytest_report_header() -> list[str]:
    return [f"{folder} is left out: {name} is not installed" for folder, name in LEFT_OUT.items()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Build the book first: one worker does it while the other begins with the chapters."""
    items.sort(key=lambda item: item.path.name != "test_newcomer.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Deal files to workers, since the cells of a chapter share a kernel and the tests of a module
    its fixtures; but in the browser all tests of one look at one page, whose page they share.

    (xdist 3.8 has `--dist loadgroup` for this, which pytest 9.2 defeats.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class Shared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if look := LOOK.match(nodeid):
                return look[1]
            return nodeid.split("::", 1)[0]

    return Shared(config, log)
