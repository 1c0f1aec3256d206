"""Check a whole data set before any stage uses it: pairs of frame and label, splits, and every picture.

All problems are found before any is reported, so that one list names them all.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from segcore.dataset.classes import CLASSES, VOID
from segcore.dataset.frames import LABELLED, SPLITS, Frame, list_frames
from segcore.files.images import Unreadable, decode
from segcore.runtime.console import map_with_progress
from segcore.runtime.errors import UserError

SHOWN = 20


def check(root: Path, source: str, required: Sequence[str] = SPLITS) -> None:
    """Check the data set below ``root``, in the published layout, that came from ``source``.

    Frames are RGB JPEGs. Labels are 8-bit PNGs with one channel, grey or with a palette whose indices are the ids, of
    their frame's size, with class ids and void only. Train and val frames have a label each, the splits share no
    drive, and none of the ``required`` splits is empty.

    Raises:
        UserError: if there are problems; the message has their number and lists the first ones.
    """
    frames = {split: list_frames(root, split) for split in SPLITS}
    everything = [frame for split in SPLITS for frame in frames[split]]
    problems = [f"{split}: no frames" for split in required if not frames[split]]
    problems += _shared_drives(everything)
    problems += _unpaired(root, [frame for split in LABELLED for frame in frames[split]])
    with warnings.catch_warnings():
        # Pillow warns about files that are refused below, and about broken EXIF data, which no stage reads.
        warnings.simplefilter("ignore")
        for found in map_with_progress(lambda frame: _problems(root, frame), everything, "check frames"):
            problems += found
    if problems:
        raise UserError(_listing(source, problems))


def _listing(source: str, problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
    lines = [f"{source}: {count} in the data set (paths as in data/raw); correct the source and run again"]
    lines += [f"  {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  … and {len(problems) - SHOWN:,} more")
    return "\n".join(lines)


def _shared_drives(frames: list[Frame]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        splits[frame.drive].add(frame.split)
    for drive, found in sorted(splits.items()):
        if len(found) > 1:  # frames of one drive look alike, so the scores of val would be too good
            yield f"drive {drive}: in {' and '.join(sorted(found))}; the splits must share no drive"


def _unpaired(root: Path, frames: list[Frame]) -> Iterator[str]:
    expected = {frame.label for frame in frames}
    found = {label.relative_to(root) for label in root.glob("gtFine/*/*/*_label.png")}
    for frame in frames:
        if frame.label not in found:
            yield f"{frame.image}: no label {frame.label}"
    for label in sorted(found - expected):
        yield f"{label}: no frame for this label"


def _problems(root: Path, frame: Frame) -> list[str]:
    """Decode a frame, and its label if it has one, and return what is wrong with them."""
    problems: list[str] = []
    image = _decode(root, frame.image, "JPEG", problems)
    label = _decode(root, frame.label, "PNG", problems) if (root / frame.label).exists() else None
    if image and image.mode != "RGB":
        problems.append(f"{frame.image}: an RGB picture was expected; its mode is {image.mode}")
    if label and label.mode not in ("L", "P"):
        problems.append(f"{frame.label}: one channel of 8 bits was expected; its mode is {label.mode}")
    elif label and (wrong := _wrong_ids(label)):
        expected = f"class ids 0 to {len(CLASSES) - 1} and {VOID} were expected"
        problems.append(f"{frame.label}: {expected}; it also has {wrong}")
    if image and label and image.size != label.size:
        problems.append(f"{frame.label}: {_size(label)} pixels; its frame has {_size(image)}")
    return problems


def _decode(root: Path, path: Path, kind: str, problems: list[str]) -> Image.Image | None:
    try:
        return decode(root / path, kind)
    except Unreadable as error:
        problems.append(f"{path}: {error}")
        return None


def _wrong_ids(label: Image.Image) -> str:
    valid = {*range(len(CLASSES)), VOID}
    return ", ".join(str(i) for i, count in enumerate(label.histogram()) if count and i not in valid)


def _size(picture: Image.Image) -> str:
    return f"{picture.width}×{picture.height}"
