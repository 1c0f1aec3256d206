"""Print errors as one message without a traceback, and show progress."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from segcore.runtime import signals
from segcore.runtime.errors import UserError
from segcore.runtime.threads import map_in_order

A = TypeVar("A")
B = TypeVar("B")


def run(command: Callable[..., None]) -> None:
    """Run a typer app, or a function as a typer command.

    A :class:`UserError` or an ``OSError`` ends it with a message and exit code 1. On a stop signal it
    cleans up as after an error, prints one line, and exits with code 128 + the number of the signal.
    """
    try:
        with signals.raise_on_signal():
            import typer  # here, because a signal may arrive during this slow import, too

            if isinstance(command, typer.Typer):
                command()
            else:
                typer.run(command)
    except UserError as error:
        fail(str(error))
    except OSError as error:
        fail(describe(error))
    except signals.Stopped as stopped:
        # Printed here, after every progress bar has left the terminal.
        say(f"stopped by {signal.Signals(stopped.number).name}: no output is left half-written")
        sys.exit(128 + stopped.number)


def say(message: str) -> None:
    """Print one line on stderr; a closed stderr is no reason to end a long run."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """Print ``error: message`` on stderr, control characters escaped, and exit with code 1."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)
    print(f"error: {shown}", file=sys.stderr, flush=True)
    sys.exit(1)


def describe(error: OSError) -> str:
    """Return what went wrong with which file, and what to do about it."""
    where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    advice = {
        errno.ENOENT: "; an earlier stage makes it: run `dvc repro`",
        errno.ENOSPC: "; free some space and run the stage again",
        errno.EDQUOT: "; free some space and run the stage again",
        errno.EFBIG: "; raise the limit on file size (ulimit -f) and run the stage again",
        errno.EACCES: "; check who owns it",
        errno.EROFS: "; the file system is mounted read-only",
    }.get(error.errno or 0, "")
    return f"{where}{error.strerror or error}{advice}"


def map_with_progress(function: Callable[[A], B], items: Collection[A], what: str) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed in threads, with a progress bar labelled ``what``.

    The threads end with the iteration, also if that is abandoned or fails.
    """
    with closing(map_in_order(function, items)) as results:
        yield from progress(results, len(items), what)


def progress(items: Iterable[A], total: int, what: str) -> Iterator[A]:
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
    """Open a binary file for reading, with a progress bar on a terminal."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import open as rich_open

        with rich_open(path, "rb", description=what, console=Console(stderr=True)) as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file
