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

WORKERS = "2"
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "300"]
# In the order given, chapters first: they take longest, the short tests fill the end. What goes to
# one worker together, and what comes before all, conftest.py says.
SPREAD = ["-n", WORKERS, "--dist", "loadscope", "--no-loadscope-reorder"]
SKIPPED = ["-m", "not slow and not gpu and not alone"]

Outcome = Counter[str]


def lint() -> Outcome:
    return command("ruff", "check", ".")


def layout() -> Outcome:
    return command("ruff", "format", "--check", ".")


def types() -> Outcome:
    return command("mypy")


def tests() -> Outcome:
    """The strict build from scratch, every chapter under nbval, the package's tests, and the built
    pages in a browser."""
    shutil.rmtree(HTML.parent, ignore_errors=True)
    return pytest(*NBVAL, *SPREAD, *SKIPPED, "chapters", "tests")


def timed() -> Outcome:
    """What is measured in milliseconds, one test at a time, on the pages that `tests` has built."""
    return pytest("-m", "alone", "--built", "tests/browser")


PARTS: dict[str, Callable[[], Outcome]] = {
    "lint": lint,
    "layout of the code": layout,
    "types": types,
    "book, chapters, tests": tests,
    "times": timed,
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
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # dozens of processes read what the first compiles
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
    total, lines, start = Counter(), [], time.perf_counter()
    for name, part in PARTS.items():
        print(f"\n=== {name}", flush=True)
        began = time.perf_counter()
        outcome = part()
        total += outcome
        word = "failed" if outcome["failed"] else "passed"
        lines.append(f"{name:<22} {word} {time.perf_counter() - began:6.1f} s")
    print("\n" + "\n".join(lines))
    seconds = time.perf_counter() - start
    print(
        f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"
        f" in {seconds:.1f}s"
    )
    return min(total["failed"], 1)


if __name__ == "__main__":
    sys.exit(main())
