"""Outputs that appear complete or not at all: made beside their place under a ``.partial`` name, then renamed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_outputs(*paths: Path) -> Iterator[list[Path]]:
    """Give a free path for each of ``paths``, to make a file or a folder at.

    On success these replace ``paths``, all of them; on any error, also while they are renamed, all stay as they were.
    """
    partials, olds = ([_beside(path, ending) for path in paths] for ending in ("partial", "old"))
    for path, partial, old in zip(paths, partials, olds, strict=True):
        _remove(partial)
        if old.exists():  # a run was killed while it renamed
            _put_back(old, path)
        partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partials
        with _old_ones_aside(paths, olds):
            for partial, path in zip(partials, paths, strict=True):
                partial.rename(path)
    finally:
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


@contextmanager
def _old_ones_aside(paths: tuple[Path, ...], olds: list[Path]) -> Iterator[None]:
    """Move what stands at ``paths`` to ``olds``; on an error put it back, else remove it."""
    aside: list[tuple[Path, Path]] = []
    try:
        for path, old in zip(paths, olds, strict=True):
            if path.exists():
                path.rename(old)
            aside.append((path, old))
        yield
    except BaseException:
        for path, old in aside:
            _put_back(old, path)
        raise
    for _, old in aside:
        _remove(old)


def _put_back(old: Path, path: Path) -> None:
    _remove(path)
    if old.exists():
        old.rename(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
