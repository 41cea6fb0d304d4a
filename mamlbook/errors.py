"""The errors that a user is meant to see: each is one sentence, without a traceback.

Any other exception is a fault of the program; the command line shows where it arose.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class InputError(ValueError):
    """What was asked for cannot be done; the message names the value and the remedy."""


def check_count(name: str, value: int, least: int = 1, most: int = 10**9) -> None:
    """InputError, naming the setting, unless least <= value <= most."""
    if value < least:
        raise InputError(f"{name} is {value}; it must be at least {least}.")
    if value > most:
        raise InputError(f"{name} is {value}; it must be at most {most:,}.")


class ComputationError(ArithmeticError):
    """A computation failed on the way: its numbers are not finite, or a process was lost."""


class Stopped(KeyboardInterrupt):
    """Work that ended early because a signal asked it to, with nothing lost."""

    def __init__(self, signum: int, message: str = "Stopped.") -> None:
        super().__init__(signum, message)
        self.signum, self.message = int(signum), message

    def __str__(self) -> str:
        return self.message


# Asks, where no signal arrives, whether to stop: a cluster's worker runs its cells in threads.
stop_wanted: ContextVar[Callable[[], bool]] = ContextVar("stop_wanted", default=lambda: False)


class Stop:
    """Whether a signal has asked to stop, and which; in a thread, whether `stop_wanted` says so."""

    def __init__(self) -> None:
        self.signum: int | None = None

    def __bool__(self) -> bool:
        if self.signum is None and stop_wanted.get()():
            self.signum = signal.SIGTERM
        return self.signum is not None


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Within it, the first SIGINT or SIGTERM only sets the `Stop` that it yields, so that the run
    can save its work; a second one ends the process as usual, unless a pool started it: a pool
    sends as many as it likes.

    Signals reach the main thread alone: another thread stops when `stop_wanted` says so.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum: int, frame: object) -> None:
        stop.signum = signum
        if multiprocessing.parent_process() is None:
            for each, handler in before.items():
                signal.signal(each, handler)

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
