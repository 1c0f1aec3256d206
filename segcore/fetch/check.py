"""Check a whole data set before any stage uses it: pairs of frame and label, splits, and every picture.

All problems are found before any is reported, so that one list names them all.
"""

import shutil
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segcore.dataset.frames import LABELLED, SPLITS, Frame, find_image, list_frames
from segcore.fetch.ids import AS_MASK, Palette
from segcore.fetch.labels import LabelReader
from segcore.fetch.layouts import FOUND, Seen
from segcore.fetch.pictures import read_frame
from segcore.fetch.problems import Kind, Problem, Wrong, listing, of_labels
from segcore.files.description import Description
from segcore.files.images import write_labels
from segcore.runtime.console import map_with_progress
from segcore.runtime.errors import UserError

NO_FRAMES = Kind(
    "no frames; images such as {detail} were expected",
    "",
    "; if its folder has a different name, set `folders` in `splits` of the description (fetch.dataset)",
)
SHARED_DRIVE = Kind("in {detail}", "{count} drives are in more than one split", "; the splits must share no drive")
NO_LABEL = Kind("no label; {detail} was expected", "{count} of {labelled} frames have no label; {detail} was expected")
NO_FRAME = Kind("no frame for this label", "{count} of {labels} labels have no frame")
PALETTES = of_labels(
    "a palette with a different colour for index {detail} than in the labels before: a colour mask and not ids", AS_MASK
)


@dataclass(frozen=True)
class _Names:
    """The names of frames and labels in messages: their paths in the source, or below ``root`` if they are unknown."""

    root: Path
    labels: "dict[Frame, _Unchecked]"
    sources: Mapping[Path, str]

    def image(self, frame: Frame) -> str:
        return self.sources.get(frame.image("")) or str(find_image(self.root, frame).relative_to(self.root))

    def label(self, frame: Frame) -> str:
        return self.sources.get(self.labels[frame].path.relative_to(self.root)) or str(frame.label)


class _Unchecked(NamedTuple):
    """The path of a label in ``found``, and the number of its layout."""

    path: Path
    layout: int


class _Checked(NamedTuple):
    """The problems of a frame and its label; origin and palette as :class:`segcore.fetch.ids.Label` has them."""

    problems: list[Problem]
    origin: str
    palette: Palette


def check(
    root: Path, source: str, passed_over: Seen, description: Description, sources: Mapping[Path, str] | None = None
) -> Counter[str]:
    """Check the data set below ``root``, and move its labels from ``found`` to ``gtFine``.

    Labels that are not 8-bit grey with our class ids are written anew. If a frame has labels in several layouts, that
    of the first layout is read. Train has frames, and so has each split that the description requires; those of train
    and val have a label each, of the frame's size; the splits share no drive. :mod:`segcore.fetch.pictures` says which
    frames are read, :mod:`segcore.fetch.labels` which labels.

    Args:
        root: a copy of the data set that may be changed, with the labels in ``found``.
        source: where it came from, for messages.
        passed_over: the number and the first of the files that look like labels and are not below ``root``.
        description: of the data set.
        sources: the path in the source of each file, as :attr:`segcore.fetch.layouts.LayoutMapper.sources`; messages
            name the others by their path below ``root``.

    Returns:
        How many labels were written anew, by their origin, as in :class:`segcore.fetch.ids.Label`.

    Raises:
        UserError: if there are problems; the message has their number and lists the first ones.
    """
    frames = {split: list_frames(root, split) for split in SPLITS}
    everything = [frame for split in SPLITS for frame in frames[split]]
    labelled = [frame for split in LABELLED for frame in frames[split]]
    labels = _find_labels(root, len(description.layouts))
    reader = LabelReader(description)
    problems = [
        Problem(NO_FRAMES, split, (description.layouts[0].images.replace("{split}", (each.folders or [split])[0]),))
        for split, each in description.splits
        if not frames[split] and each.required
    ]
    problems += _shared_drives(everything)
    names = _Names(root, labels, sources or {})
    problems += _unpaired(labelled, labels, passed_over, description.layouts[0].labels, names)
    rewritten: Counter[str] = Counter()
    colours: Palette = {}
    with warnings.catch_warnings():
        # Pillow warns about files that are refused below, and about broken EXIF data, which no stage reads.
        warnings.simplefilter("ignore")
        checked = map_with_progress(
            lambda frame: _check(root, frame, labels.get(frame), reader, names), everything, "check frames"
        )
        for frame, (found, origin, palette) in zip(everything, checked, strict=True):
            problems += found
            problems += _other_colours(frame, palette, colours, names)
            if origin:
                rewritten[origin] += 1
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        raise UserError(
            f"{source}: {count} in the data set; correct the source, or its description, and run again\n"
            + listing(problems, frames=len(everything), labelled=len(labelled), labels=len(labels))
        )
    shutil.rmtree(root / FOUND)
    return rewritten


def _find_labels(root: Path, layouts: int) -> dict[Frame, _Unchecked]:
    """Return the label of each frame that has one, by the first layout that has it."""
    labels: dict[Frame, _Unchecked] = {}
    for layout in reversed(range(layouts)):
        for split in LABELLED:
            for path in (root / FOUND / str(layout) / split).glob("*/*"):
                labels[Frame(split, path.parent.name, path.stem)] = _Unchecked(path, layout)
    return labels


def _shared_drives(frames: list[Frame]) -> Iterator[Problem]:
    splits: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        splits[frame.drive].add(frame.split)
    for drive, found in sorted(splits.items()):
        if len(found) > 1:  # frames of one drive look alike, so the scores of val would be too good
            yield Problem(SHARED_DRIVE, f"drive {drive}", (" and ".join(sorted(found)),))


def _unpaired(
    frames: list[Frame], labels: dict[Frame, _Unchecked], passed_over: Seen, pattern: str, names: "_Names"
) -> Iterator[Problem]:
    """Yield a problem for each frame without a label, or one for all if other files look like their labels.

    Also yield one for each label without a frame.
    """
    missing = [frame for frame in frames if frame not in labels]
    if missing and passed_over.count:
        other = "1 file looks" if passed_over.count == 1 else f"{passed_over.count:,} files look"
        kind = Kind(
            f"{len(missing):,} of {len(frames):,} frames have no label; {other} like labels of a different name, for "
            "example {detail}",
            "",
            f"; rename them as {pattern} if they are such labels, or add their layout to the description "
            "(fetch.dataset)",
        )
        yield Problem(kind, "train and val", (passed_over.first,))
    else:
        for frame in missing:
            yield Problem(NO_LABEL, names.image(frame), (pattern,))
    for label in sorted(map(names.label, labels.keys() - set(frames))):
        yield Problem(NO_FRAME, label)


def _check(root: Path, frame: Frame, unchecked: _Unchecked | None, reader: LabelReader, names: "_Names") -> _Checked:
    """Decode a frame, and its label if it has one; move the label to its place, or write it anew there."""
    problems: list[Problem] = []
    size = None
    image = find_image(root, frame)
    try:
        size = read_frame(image).size
    except Wrong as wrong:
        problems.append(wrong.of(names.image(frame)))
    if unchecked is None:
        return _Checked(problems, "", {})
    try:
        label = reader.read(unchecked.path, unchecked.layout, size)
    except Wrong as wrong:
        return _Checked([*problems, wrong.of(names.label(frame))], "", {})
    if label.origin:
        write_labels(root / frame.label, np.asarray(label.picture))
    else:
        (root / frame.label).parent.mkdir(parents=True, exist_ok=True)
        unchecked.path.replace(root / frame.label)
    return _Checked(problems, label.origin, label.palette)


def _other_colours(frame: Frame, palette: Palette, colours: Palette, names: "_Names") -> Iterator[Problem]:
    """Compare a palette with those before it: an index that is an id has one colour in the whole data set."""
    wrong = tuple(str(index) for index, colour in palette.items() if colours.setdefault(index, colour) != colour)
    if wrong:
        yield Problem(PALETTES, names.label(frame), wrong)
