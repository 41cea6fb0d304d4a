"""The tests on a machine that has pytest and what the package needs, and nothing of the extras."""

import os
import re
import subprocess
import sys

import pytest

from tools import OPTIONAL, ROOT

BARE = """
import sys

import pytest


class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        found = name.partition(".")[0] not in {absent}
        return self.finder.find_spec(name, path, target) if found else None


sys.meta_path[:] = map(Without, sys.meta_path)
sys.exit(pytest.main({arguments}))
"""


def bare(*arguments: str, absent=OPTIONAL) -> subprocess.CompletedProcess[str]:
    """Run pytest where `absent` cannot be imported."""
    code = BARE.format(absent=set(absent), arguments=["-p", "no:cacheprovider", *arguments])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        # plugins of other packages, which a bare environment has not
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "1"},
        capture_output=True,
        encoding="utf-8",
    )


def test_the_tests_of_a_gpu_run_without_the_extras():
    torch = pytest.importorskip("torch")
    said = bare("-m", "gpu", "tests")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "tests/browser is left out: playwright is not installed" in said.stdout
    last = said.stdout.splitlines()[-1]
    assert "deselected" in last and "error" not in last
    if not torch.cuda.is_available():
        assert re.search(r"tests/fewshot/test_gpu.py.*torch sees no GPU", said.stdout)


def test_a_test_that_needs_no_extra_runs_and_another_says_what_it_lacks():
    said = bare("tests/test_intervals.py", "tests/linear/test_population.py")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "hypothesis is not installed" in said.stdout
    assert " passed" in said.stdout.splitlines()[-1]


def test_a_library_that_the_package_needs_is_missed():
    said = bare("tests/test_intervals.py", absent=[*OPTIONAL, "scipy"])
    assert said.returncode != 0 and "scipy" in said.stdout + said.stderr
