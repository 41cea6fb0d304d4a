"""`python -m tools.check`: everything that CI checks, each part run whatever became of the others.

The last line counts what passed and failed in all of them together.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

from tools import HTML, ROOT, environment
from tools.build import build
from tools.links import broken

WORKERS = "2"
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "300"]
# In the order given, chapters first: they take longest, the short tests fill the end. What goes to
# one worker together, conftest.py says.
SPREAD = ["-n", WORKERS, "--dist", "loadscope", "--no-loadscope-reorder"]
SKIPPED = ["-m", "not slow and not gpu"]

Outcome = Counter[str]


def lint() -> Outcome:
    return command("ruff", "check", ".")


def layout() -> Outcome:
    return command("ruff", "format", "--check", ".")


def strict_build() -> Outcome:
    shutil.rmtree(HTML.parent, ignore_errors=True)
    return verdict(build() == 0)


def links() -> Outcome:
    faults = broken(HTML)
    print("\n".join(faults))
    return verdict(not faults)


def tests() -> Outcome:
    """Every chapter under nbval, the package's tests, and the built pages in a browser."""
    return pytest(*NBVAL, *SPREAD, *SKIPPED, "chapters", "tests")


PARTS: dict[str, Callable[[], Outcome]] = {
    "lint": lint,
    "layout of the code": layout,
    "strict build": strict_build,
    "links": links,
    "chapters, tests, pages": tests,
}


def command(*arguments: str) -> Outcome:
    said = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment())
    return verdict(said.returncode == 0)


def verdict(passed: bool) -> Outcome:
    return Counter(passed=1) if passed else Counter(failed=1)


def pytest(*arguments: str) -> Outcome:
    """Run pytest, show what it says, and count from its closing line."""
    # Two workers share two cores: no library may take both.
    env = {**environment(), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
    counts = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}
    outcome = Counter(
        passed=counts.get("passed", 0) + counts.get("xfailed", 0),
        failed=counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0),
        skipped=counts.get("skipped", 0),
    )
    if process.returncode != 0 and not outcome["failed"]:
        outcome["failed"] = 1  # it ended before it could count
    return outcome


def main() -> int:
    total, told, start = Counter(), [], time.perf_counter()
    for name, part in PARTS.items():
        print(f"\n=== {name}", flush=True)
        began = time.perf_counter()
        outcome = part()
        total += outcome
        word = "failed" if outcome["failed"] else "passed"
        told.append(f"{name:<22} {word} {time.perf_counter() - began:6.1f} s")
    print("\n" + "\n".join(told))
    seconds = time.perf_counter() - start
    print(
        f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"
        f" in {seconds:.1f}s"
    )
    return min(total["failed"], 1)


if __name__ == "__main__":
    sys.exit(main())
