"""What a stage says on the terminal: a user's errors as one message, and progress; and how a signal ends it."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class UserError(Exception):
    """Something the user can put right. Its text says what is wrong, where, and what to do."""


class Stopped(BaseException):
    """A signal, whose number it has, asks to stop. No ``Exception``, so that nothing takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(command: Callable[..., None]) -> None:
    """Run a typer command; a :class:`UserError` or a failing file system ends it with a message and exit code 1.

    SIGINT, SIGTERM and SIGHUP, unless ignored, unwind it as an error does, so that it clears up; it ends with a line
    and exit code 128 + the signal's number. Once it has ended, in whatever way, they change nothing of that.
    """
    try:
        with _signals_raised():
            import typer  # not before, for it takes a moment, and a signal then should end as any other

            typer.run(command)
    except UserError as error:
        fail(str(error))
    except OSError as error:
        fail(describe(error))
    except Stopped as stopped:
        # Here, where nothing keeps a progress bar on the terminal any more.
        say(f"stopped by {signal.Signals(stopped.number).name}: no output is left half-written")
        sys.exit(128 + stopped.number)


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Raise :class:`Stopped` in the main thread for each signal that asks to stop; afterwards ignore them.

    It is for the whole of a process: what comes after it is the interpreter's end.
    """

    def stop(number: int, _: object) -> None:
        if not isinstance(sys.exception(), Stopped):  # a second one must not break into the clearing up
            raise Stopped(number)

    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    try:
        for number in heeded:
            signal.signal(number, stop)
        yield
    finally:
        # In the interpreter's end an exception would show as a traceback, SIG_DFL would end work that is done as if it
        # were not, and a handler in Python does not stay until the process is gone.
        for number in heeded:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_held() -> Iterator[None]:
    """Put SIGINT, SIGTERM and SIGHUP off until the end, and then leave them to whatever handles them."""
    held: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: held.append(number)) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in held:
            signal.raise_signal(number)


def say(message: str) -> None:
    """One line on stderr, if anything is there to take it: no log is worth the end of a long run."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """Print ``error: message`` on stderr and exit with code 1; what could steer the terminal is written out."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)
    print(f"error: {shown}", file=sys.stderr, flush=True)
    sys.exit(1)


def describe(error: OSError) -> str:
    """Say what went wrong with which file, and what to do about it."""
    where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    advice = {
        errno.ENOENT: "; an earlier stage makes it: run `dvc repro`",
        errno.ENOSPC: "; free some space and run the stage again",
        errno.EDQUOT: "; free some space and run the stage again",
        errno.EFBIG: "; raise the limit on file size (ulimit -f) and run the stage again",
        errno.EACCES: "; check who owns it",
        errno.EROFS: "; the file system is mounted read-only",
    }.get(error.errno, "")
    return f"{where}{error.strerror or error}{advice}"


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield ``items`` with a progress bar on a terminal, or with one line at the end elsewhere."""
    started = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(items, description=what, total=total, console=Console(stderr=True))
    else:
        yield from items
    print(f"{what}: {total} in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)


@contextmanager
def open_with_progress(path: Path, what: str) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, on a terminal with a bar that follows how far it was read."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import open as rich_open

        with rich_open(path, "rb", description=what, console=Console(stderr=True)) as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file
