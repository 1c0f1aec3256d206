"""Write outputs completely or not at all: each is made beside its final path under a ``.partial`` name, then renamed.

DVC removes the old outputs before it runs a stage. A stage that is run by hand keeps them until the new ones are
complete. A killed stage never leaves a partial file under the final name.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segcore.runtime import signals


@contextmanager
def new_outputs(*paths: Path, flush: bool = True) -> Iterator[list[Path]]:
    """Yield an unused path for each of ``paths``, where the caller makes a file or a folder.

    These replace ``paths`` when the block ends without an error; after an error ``paths`` are unchanged. Files are
    flushed to the disk first, so that a power cut leaves no empty file, unless ``flush`` is false. If the process is
    killed during the replacement, some outputs are old and some are new, but each of them is complete; at most one
    folder is missing. The next run removes any leftovers.

    Raises:
        OSError: if an output was not made, or cannot be written.
    """
    partials = [_beside(path, "partial") for path in paths]
    for path, partial in zip(paths, partials, strict=True):
        _remove(partial)
        _remove(_beside(path, "old"))
        partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partials
        for partial in partials if flush else ():
            _flush(partial)
        with signals.defer():
            for path, partial in zip(paths, partials, strict=True):
                _replace(partial, path)
    finally:
        # An error here would hide the first one, and the next run removes what is left.
        with signals.defer(), suppress(OSError):
            for partial in partials:
                _remove(partial)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill. It replaces ``path`` as in :func:`new_outputs`."""
    with new_outputs(path) as [partial]:
        partial.mkdir()
        yield partial


def _flush(path: Path) -> None:
    """Wait until a file is on the disk. Some network file systems report a full disk only here."""
    # The many small files of a folder are not flushed: that would take longer than making them again.
    if not path.is_dir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _replace(partial: Path, path: Path) -> None:
    old = _beside(path, "old")
    if os.path.lexists(path) and (partial.is_dir() or path.is_dir()):  # only a file can be replaced in one step
        try:
            path.rename(old)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _remove(path)  # overlayfs, as in a container, cannot rename a folder that is part of the image
    partial.replace(path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
