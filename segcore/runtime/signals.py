"""Turn SIGINT, SIGTERM and SIGHUP into an exception, or defer them until a block of code is done.

A signal that is ignored when the process starts, as SIGHUP is under ``nohup``, stays ignored.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from segcore.runtime import processes

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PARENT = os.getppid()  # read before the slow imports, because the parent may end during them


class Stopped(BaseException):
    """The process was asked to stop by the signal :attr:`number`. Not an ``Exception``: nothing may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Raise :class:`Stopped` in the main thread for each stop signal; ignore these signals afterwards.

    Use it around the whole program, so that only the exit of the interpreter follows. During that exit an exception
    would print a traceback, and the default action would make a finished program look killed.
    """

    def stop(number: int, _: object) -> None:
        if not isinstance(sys.exception(), Stopped):  # a second signal does not interrupt the clean-up
            raise Stopped(number)

    numbers = heeded()
    try:
        for number in numbers:
            signal.signal(number, stop)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def defer(announce: bool = False) -> Iterator[list[signal.Signals]]:
    """Defer stop signals until the end of the block, and yield the list of those that have arrived.

    Args:
        announce: print a line for each signal, and let a second one of the same kind act at once; but not in a process
            that torchrun has started, which gets each signal more than once.

    Threads other than the main one are never interrupted by a signal, and nothing is deferred there.
    """
    arrived: list[signal.Signals] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in heeded() if in_main_thread}

    def note(number: int, _: object) -> None:
        arrived.append(signal.Signals(number))
        if announce and processes.is_worker():
            if len(arrived) == 1:
                write_line(f"{arrived[-1].name}: stopping after this step")
        elif announce:
            signal.signal(number, handlers[signal.Signals(number)])
            write_line(f"{arrived[-1].name}: stopping after this step; send it again to stop at once")

    for number in handlers:
        signal.signal(number, note)
    try:
        yield arrived
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in arrived:
            signal.raise_signal(number)


def stop_requested(arrived: list[signal.Signals]) -> signal.Signals | None:
    """Return the first signal of :func:`defer`, or SIGHUP if :func:`parent_has_ended`, or ``None``."""
    if not arrived and parent_has_ended():
        write_line("the process that started this one has ended: stopping")
        arrived.append(signal.SIGHUP)
    return arrived[0] if arrived else None


def parent_has_ended() -> bool:
    """Return whether the process that started this one has ended, and this one should therefore stop.

    When DVC is killed, its stages keep running, although nothing uses their outputs any more. A process that was
    started by hand under ``nohup`` is exempt: it is meant to outlive its parent.
    """
    outlives_parent = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN and not processes.is_worker()
    return os.getppid() != PARENT and ("DVC_ROOT" in os.environ or not outlives_parent)


def write_line(text: str) -> None:
    """Write a line to stderr, unbuffered: a signal may have interrupted ``print``, and the terminal may be gone.

    If several processes train together, only the first writes.
    """
    if processes.is_first():
        with suppress(OSError):
            os.write(2, f"{text}\n".encode())


def heeded() -> list[signal.Signals]:
    """Return the stop signals that are not ignored."""
    return [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
