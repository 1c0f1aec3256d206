"""Outputs that appear complete or not at all: made beside their place under a ``.partial`` name, then swapped in."""

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from segcore.console import signals_held

# See renameat2(2); Python has no binding, and musl had none for long.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


@contextmanager
def new_outputs(*paths: Path) -> Iterator[list[Path]]:
    """Give a free path for each of ``paths``, to make a file or a folder at.

    On success these replace ``paths``, all of them; on any error, also while they are replaced, all stay as they were.
    At every moment each of ``paths`` is the old one or the new one, whole, so that is what a killed process leaves; of
    several, killed while they are replaced, it leaves some old and some new. What else it leaves, the next start
    removes. Where the file system cannot exchange two names, a folder is missing for a moment; the next start mends it.

    Files are on the disk before they get their name, so a power cut leaves none empty. The many small files in a folder
    are not: to wait for each would take longer than to make them again.
    """
    partials = [_beside(path, "partial") for path in paths]
    for path, partial in zip(paths, partials, strict=True):
        _remove(partial)
        _mend(path)
        partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partials
        for partial in partials:
            _flush(partial)
        with signals_held(), ExitStack() as undo:
            for path, partial in zip(paths, partials, strict=True):
                if os.path.lexists(path):
                    _exchange(partial, path)
                    undo.callback(_exchange, partial, path)
                else:
                    partial.rename(path)
                    undo.callback(path.rename, partial)
            undo.pop_all()
    finally:
        with signals_held():
            for partial in partials:
                _remove(partial)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which replaces ``path`` as :func:`new_outputs` does."""
    with new_outputs(path) as [partial]:
        partial.mkdir()
        yield partial


@contextmanager
def live_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that replaces the text of ``path``, again and again; on any error the file is removed."""
    partial = _beside(path, "partial")
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(text: str) -> None:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)

    try:
        yield write
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _exchange(new: Path, path: Path) -> None:
    """Exchange what stands at ``new`` and at ``path``: at one stroke where libc, kernel and file system can."""
    if _renameat2 is not None:
        if _renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(path), _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), os.fspath(path))
    old = _beside(path, "old")
    with ExitStack() as undo:
        undo.callback(_mend, path)
        try:
            os.link(path, old, follow_symlinks=False)  # a second name, so that a file is there at every moment
        except OSError:  # a folder can have none, and on some file systems a file neither
            path.rename(old)
        new.rename(path)
        undo.callback(path.rename, new)
        old.rename(new)
        undo.pop_all()


def _mend(path: Path) -> None:
    """Bring back what was at ``path`` if it got no further than its ``.old`` name, else remove what has that name."""
    old = _beside(path, "old")
    if os.path.lexists(path):
        _remove(old)
    elif os.path.lexists(old):
        old.rename(path)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk; on some network file systems that is where a full one shows."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
