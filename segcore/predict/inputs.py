"""Find the pictures and videos to predict, and choose where their outputs go."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from segcore.predict import video
from segcore.predict.table import LEGEND, NAME, Table
from segcore.runtime.errors import UserError

# Suffixes of the usual formats, for the search in folders. A file that is given itself may have any format of Pillow.
PICTURES = {
    ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png",
    ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip


class Input(NamedTuple):
    """A picture or a video, and the beginning of its outputs' names: a path below the folder for outputs."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether it is a video, by its suffix."""
        return self.path.suffix.lower() in video.SUFFIXES

    def outputs(self, confidence: bool) -> list[str]:
        """Return the paths of its outputs, relative to the folder for outputs. The first identifies the input."""
        if self.is_video:
            return [f"{self.name}_overlay.mp4"]
        return [f"{self.name}_label.png", f"{self.name}_overlay.jpg", *[f"{self.name}_confidence.png"] * confidence]


def written_to(folder: Path) -> set[str]:
    """Return the paths, relative to ``folder``, of all that predict has written there by its table."""
    try:
        outputs = Table(folder).outputs()
    except UserError:
        return set()  # a table of somebody else
    if not outputs:
        return set()
    names = [output.removesuffix("_label.png") for output in outputs]
    return {*outputs, *(path for name in names for path in Input(Path(), name).outputs(True)), NAME, LEGEND}


def find_inputs(given: Iterable[Path], out: Path, confidence: bool) -> tuple[list[Input], Counter[str]]:
    """Return the inputs in ``given``, sorted by path, and how many other files were passed over, by their suffix.

    Folders are searched recursively, except hidden files, hidden folders and ``out``.

    Raises:
        UserError: if an input is missing, none is found, two have the same output, or an output would replace an input.
    """
    if missing := [str(path) for path in given if not path.exists()]:
        raise UserError(f"no such file or folder: {', '.join(missing)}")
    inputs: list[Input] = []
    others: Counter[str] = Counter()
    for path in given:
        if not path.is_dir():
            inputs.append(Input(path, path.stem))
            continue
        if path.resolve() == out.resolve():
            raise UserError(f"{path} is the folder for the outputs, too; choose a different --out")
        for file in _walk(path, out.resolve()):
            found = Input(file, file.relative_to(path).with_suffix("").as_posix())
            if found.is_video or file.suffix.lower() in PICTURES:
                inputs.append(found)
            else:
                others[file.suffix.lower() or "without a suffix"] += 1
    if not inputs:
        raise UserError(f"no picture or video in {', '.join(map(str, given))}{passed_over(others)}")
    return _check_outputs(sorted(inputs), out, confidence), others


def passed_over(others: Counter[str]) -> str:
    """Return the text that says which files were passed over; empty for none."""
    if not others:
        return ""
    return "; passed over: " + ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())


def _walk(root: Path, out: Path) -> Iterator[Path]:
    """Yield the files below ``root``. Links to folders are followed, and each folder is visited once, links last.

    Hidden files, ``out`` and the results of earlier runs are left out.
    """
    seen: set[Path] = set()
    results: set[Path] = set()
    for name, folders, files in os.walk(root, onerror=_fail, followlinks=True):
        folder = Path(name)
        if (real := folder.resolve()) in seen or real == out:
            folders.clear()
            continue
        seen.add(real)
        shown = [child for child in folders if not child.startswith(".")]
        folders[:] = sorted(shown, key=lambda child: ((folder / child).is_symlink(), child))
        results |= {(folder / output).resolve() for output in written_to(folder)}
        found = [folder / file for file in files if not file.startswith(".")]
        yield from (file for file in found if file.resolve() not in results)


def _fail(error: OSError) -> NoReturn:
    raise error


def _check_outputs(inputs: list[Input], out: Path, confidence: bool) -> list[Input]:
    """Return ``inputs`` without files that were found twice."""
    by_output: dict[str, Input] = {}
    for found in inputs:
        output = found.outputs(confidence)[0]
        first = by_output.setdefault(output, found)
        if first.path.resolve() != found.path.resolve():
            raise UserError(
                f"{first.path} and {found.path} would both be predicted to {out / output}; rename one, or predict them "
                "with different --out"
            )
    paths = {found.path.resolve() for found in inputs}
    for found in by_output.values():
        for output in found.outputs(confidence):
            if (out / output).resolve() in paths:
                raise UserError(
                    f"{found.path} would be predicted to {out / output}, an input; choose a different --out"
                )
    return list(by_output.values())
