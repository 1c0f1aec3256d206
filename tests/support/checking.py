"""The tiny data set with changes, as the check of the fetch stage finds it, and the problems that the check lists."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from segcore.fetch.check import check
from segcore.fetch.layouts import Seen
from segcore.files.description import Description
from segcore.runtime.errors import UserError
from tests.support import tiny
from tests.support.idd_lite import DESCRIPTION

FRAME = "leftImg8bit/train/a/000001_image.jpg"
LABEL = "gtFine/train/a/000001_label.png"


def source(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a data set as the layout of the description leaves it: labels are in ``found``."""
    placed = {}
    for name, data in files.items():
        tree, split, drive, file = name.split("/")
        label = f"found/0/{split}/{drive}/{file.replace('_label', '')}"
        placed[label if tree == "gtFine" else name] = data
    return tiny.write_folder(folder, placed)


def problems(
    tmp_path: Path,
    changes: Mapping[str, bytes | None],
    passed_over: Iterable[str] = (),
    description: Description = DESCRIPTION,
) -> list[str]:
    """Return the lines of the listing for the tiny data set with ``changes``; a change to ``None`` removes the file."""
    files = {name: data for name, data in {**tiny.published(), **changes}.items() if data is not None}
    seen = Seen()
    for path in passed_over:
        seen.add(path)
    try:
        check(source(tmp_path / "raw", files), "the source", seen, description)
    except UserError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


def many(
    count: int,
    frame: Callable[[], bytes] = tiny.jpeg,
    label: Callable[[], bytes] = lambda: tiny.png(tiny.ids()),
) -> dict[str, bytes]:
    """Return so many train frames and labels of one drive."""
    files = {}
    for number in range(count):
        files[f"leftImg8bit/train/m/{number:06}_image.jpg"] = frame()
        files[f"gtFine/train/m/{number:06}_label.png"] = label()
    return files
