"""Check a whole data set before any stage uses it: pairs of frame and label, splits, and every picture.

All problems are found before any is reported, so that one list names them all.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from segcore.dataset.frames import LABELLED, SPLITS, Frame, list_frames
from segcore.fetch.layouts import Seen
from segcore.fetch.pictures import read_frame, read_label
from segcore.fetch.problems import Kind, Problem, Wrong, listing
from segcore.files.images import write_labels
from segcore.runtime.console import map_with_progress
from segcore.runtime.errors import UserError

NO_FRAMES = Kind("no frames", "")
SHARED_DRIVE = Kind("in {detail}", "{count} drives are in more than one split", "; the splits must share no drive")
NO_LABEL = Kind("no label {detail}", "{count} of {labelled} frames have no label")
NO_FRAME = Kind("no frame for this label", "{count} of {labels} labels have no frame")
SIZE = Kind("{detail}", "{count} of {labels} labels are not of their frame's size: {detail}")
PALETTES = Kind(
    "its palette has a different colour for index {detail} than the labels before it: a colour mask and not ids",
    "{count} of {labels} labels have a palette that disagrees with those before it (index {detail}): colour masks and "
    "not ids",
    "; save the class id of each pixel instead, as 8-bit grey PNG",
)

Palette = dict[int, tuple[int, ...]]


class _Checked(NamedTuple):
    """The problems of a frame and its label, and ``source`` and ``palette`` of the :class:`Label`."""

    problems: list[Problem]
    source: str
    palette: Palette


def check(root: Path, source: str, passed_over: Seen) -> Counter[str]:
    """Check the data set below ``root``, in the published layout, and write labels anew that are not 8-bit grey.

    Train and val frames have a label each, of the frame's size, and the splits share no drive. Train and val are not
    empty. :mod:`segcore.fetch.pictures` says which pictures are read.

    Args:
        root: a copy of the data set that may be changed.
        source: where it came from, for messages.
        passed_over: files of the source that look like labels and are not below ``root``.

    Returns:
        How many labels were written anew, by where the class ids were found.

    Raises:
        UserError: if there are problems; the message has their number and lists the first ones.
    """
    frames = {split: list_frames(root, split) for split in SPLITS}
    everything = [frame for split in SPLITS for frame in frames[split]]
    labels = {path.relative_to(root) for path in root.glob("gtFine/*/*/*_label.png")}
    problems = [Problem(NO_FRAMES, split) for split in LABELLED if not frames[split]]
    problems += _shared_drives(everything)
    labelled = [frame for split in LABELLED for frame in frames[split]]
    problems += _unpaired(labelled, labels, passed_over)
    rewritten: Counter[str] = Counter()
    colours: Palette = {}
    with warnings.catch_warnings():
        # Pillow warns about files that are refused below, and about broken EXIF data, which no stage reads.
        warnings.simplefilter("ignore")
        checked = map_with_progress(lambda frame: _check(root, frame), everything, "check frames")
        for frame, (found, label_source, palette) in zip(everything, checked, strict=True):
            problems += found
            problems += _other_colours(frame, palette, colours)
            rewritten.update([label_source] if label_source else [])
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        raise UserError(
            f"{source}: {count} in the data set (paths as in data/raw); correct the source and run again\n"
            + listing(problems, frames=len(everything), labelled=len(labelled), labels=len(labels))
        )
    return rewritten


def _shared_drives(frames: list[Frame]) -> Iterator[Problem]:
    splits: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        splits[frame.drive].add(frame.split)
    for drive, found in sorted(splits.items()):
        if len(found) > 1:  # frames of one drive look alike, so the scores of val would be too good
            yield Problem(SHARED_DRIVE, f"drive {drive}", (" and ".join(sorted(found)),))


def _unpaired(frames: list[Frame], labels: set[Path], passed_over: Seen) -> Iterator[Problem]:
    missing = [frame for frame in frames if frame.label not in labels]
    if missing and passed_over.count:
        other = "1 file looks" if passed_over.count == 1 else f"{passed_over.count:,} files look"
        said = f"{len(missing):,} of {len(frames):,} frames have no label NAME_label.png"
        kind = Kind(
            f"{said}; {other} like labels of a different name, for example {{detail}}",
            "",
            "; rename them if they are ids",
        )
        yield Problem(kind, "train and val", (passed_over.first,))
    else:
        yield from (Problem(NO_LABEL, str(frame.image), (str(frame.label),)) for frame in missing)
    for label in sorted(labels - {frame.label for frame in frames}):
        yield Problem(NO_FRAME, str(label))


def _check(root: Path, frame: Frame) -> _Checked:
    """Decode a frame, and its label if it has one; write the label anew if it is not 8-bit grey."""
    problems: list[Problem] = []
    image = None
    try:
        image = read_frame(root / frame.image)
    except Wrong as wrong:
        problems.append(wrong.of(frame.image))
    if not (root / frame.label).exists():
        return _Checked(problems, "", {})
    try:
        label = read_label(root / frame.label)
    except Wrong as wrong:
        problems.append(wrong.of(frame.label))
        return _Checked(problems, "", {})
    height, width = label.ids.shape
    if image and image.size != (width, height):
        sizes = f"{width}×{height} pixels; its frame has {image.width}×{image.height}"
        problems.append(Problem(SIZE, str(frame.label), (sizes,)))
    if label.source:
        write_labels(root / frame.label, label.ids)
    return _Checked(problems, label.source, label.palette)


def _other_colours(frame: Frame, palette: Palette, colours: Palette) -> Iterator[Problem]:
    """Compare a palette with those before it: an index that is an id has one colour in the whole data set."""
    wrong = tuple(str(index) for index, colour in palette.items() if colours.setdefault(index, colour) != colour)
    if wrong:
        yield Problem(PALETTES, str(frame.label), wrong)
