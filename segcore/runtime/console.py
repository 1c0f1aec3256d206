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

from segcore.runtime import processes, signals
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
            import typer  # inside the block, because a signal may arrive during this slow import

            with processes.one_error():
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
        if not processes.is_worker():
            say(f"stopped by {signal.Signals(stopped.number).name}: no output is left half-written")
        sys.exit(128 + stopped.number)


def say(message: str) -> None:
    """Print one line on stderr; of several processes that train together, only the first does.

    A closed stderr does not end a long run.
    """
    if processes.is_first():
        with suppress(OSError):
            print(message, file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """Print ``error: message`` on stderr, control characters escaped, and exit with code 1."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)
    print(f"error: {shown}", file=sys.stderr, flush=True)
    sys.exit(1)


def describe(error: OSError) -> str:
    """Return the file, what went wrong, and what to do about it."""
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

    The threads end with the iteration, also if it is abandoned or fails.
    """
    with closing(map_in_order(function, items)) as results:
        yield from progress(results, len(items), what)


def progress(items: Iterable[A], total: int | None, what: str) -> Iterator[A]:
    """Yield ``items``. Show count, rate and time left on a terminal, and print one line at the end."""
    started, count = time.monotonic(), 0
    with _bar(total, what) as show:
        for item in items:
            yield item
            count += 1
            show(count, f"{count / (time.monotonic() - started):.1f}/s")
    say(f"{what}: {count} in {time.monotonic() - started:.1f} s")


@contextmanager
def _bar(total: int | None, what: str) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar on a terminal. Yield a function that sets the count and the rate."""
    if not (sys.stderr.isatty() and processes.is_first()):
        yield lambda count, rate: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    name, rate = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[rate]}")
    columns = name, BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, rate="")
        yield lambda count, rate: bar.update(task, completed=count, rate=rate)


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
