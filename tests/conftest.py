"""Settings that all tests share, and the book they look at."""

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import HTML, ROOT, environment

try:
    from hypothesis import settings
except ModuleNotFoundError:  # the tests that use it are skipped
    IN_CI = False
else:
    # The same examples on every run at home. In CI (GitHub and others set CI) each run draws new
    # ones from a seed of its own, and says how to draw them again.
    settings.register_profile("book", derandomize=True, deadline=None, max_examples=40)
    settings.register_profile("ci", deadline=None, max_examples=40, print_blob=True)
    IN_CI = bool(os.environ.get("CI"))
    settings.load_profile("ci" if IN_CI else "book")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose Hypothesis's seed where none is given, so that it can be printed; xdist hands it to
    its workers."""
    if IN_CI and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_report_header(config: pytest.Config) -> str | None:
    if IN_CI:
        seed = config.option.hypothesis_seed
        return f"new examples; the same again with CI=1 and --hypothesis-seed={seed}"
    return None


def make_book(folder: Path = ROOT) -> float:
    """The seconds that `make book` takes there, without a warning."""
    env = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    # This test's own environment serves: its stamp counts as fresh.
    command = ["make", "book", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed"]
    start = time.perf_counter()
    said = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    return time.perf_counter() - start


@pytest.fixture(scope="session")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The seconds of a warm rebuild. The first test that asks makes the book, and again; the tests
    of other workers wait for it, so that nobody reads a page while it is written."""
    from filelock import FileLock

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    stored = shared / "rebuilt.json"
    with FileLock(shared / "rebuilt.lock"):
        if not stored.exists():
            make_book()
            stored.write_text(json.dumps(make_book()))
    return json.loads(stored.read_text())


def unchanged() -> bool:
    """Whether every file of the repository is there and older than the built pages."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        built = (HTML / "index.html").stat().st_mtime
        names = said.stdout.split("\0")[:-1]
        return all((ROOT / name).stat().st_mtime < built for name in names)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return False


@pytest.fixture(scope="session")
def book(request: pytest.FixtureRequest) -> Path:
    """The folder of the built pages; with --built they may be those of the last build."""
    if not (request.config.option.built and unchanged()):
        request.getfixturevalue("rebuilt")
    return HTML
