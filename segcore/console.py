"""What a stage says on the terminal: a user's errors as one message, and progress."""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import typer

T = TypeVar("T")


class UserError(Exception):
    """Something the user can put right. Its text says what is wrong, where, and what to do."""


def run(command: Callable[..., None]) -> None:
    """Run a typer command; a :class:`UserError` or a failing file system ends it with a message and exit code 1."""
    try:
        typer.run(command)
    except UserError as error:
        fail(str(error))
    except OSError as error:
        fail(describe(error))


def fail(message: str) -> None:
    """Print ``error: message`` on stderr and exit with code 1."""
    print(f"error: {message}", file=sys.stderr, flush=True)
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
