"""What all tests share: chapters under nbval, and how the tests are dealt to xdist's workers."""

import re

import pytest

pytest_plugins = ["tools.nbval_plugin"]

LOOK = re.compile(r"tests/browser/[^\[]*\[(?:.*-)?([\w/]+\.html-\w+-\d+)\]")


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
