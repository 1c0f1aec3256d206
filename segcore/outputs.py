"""Outputs that appear complete or not at all: written beside their place under a ``.partial`` name, then renamed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; on success it replaces ``path``, on any error ``path`` stays as it was."""
    partial, old = _beside(path, "partial"), _beside(path, "old")
    if old.exists() and not path.exists():  # a run was killed between the two renames below
        old.rename(path)
    for debris in (partial, old):
        shutil.rmtree(debris, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_files(*paths: Path) -> Iterator[list[Path]]:
    """Give one temporary path for each of ``paths``; on success each replaces its own, on any error none does."""
    partials = [_beside(path, "partial") for path in paths]
    for partial in partials:
        partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partials
        for partial, path in zip(partials, paths, strict=True):
            partial.replace(path)
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)


@contextmanager
def live_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that replaces the text of ``path``, again and again; on any error the file is as it was."""
    old = _beside(path, "old")
    if old.exists():  # a run was killed
        old.replace(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.copyfile(path, old)

    def write(text: str) -> None:
        with new_files(path) as [partial]:
            partial.write_text(text, encoding="utf-8")

    try:
        yield write
    except BaseException:
        path.unlink(missing_ok=True)
        if old.exists():
            old.replace(path)
        raise
    old.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
