"""The data set on one page: what is in each split, examples, and what is odd.

It shows the splits as preprocess made them, and the frames as the network sees them, at its input size.
"""

from collections import Counter
from itertools import chain
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.dataset.classes import VOID_COLOUR
from segcore.dataset.frames import LABELLED, SPLITS
from segcore.describe.heat import count_frames, draw_heat
from segcore.describe.outliers import Pair, count_classes, divergence, most_alike, thumbnail
from segcore.drawing.pictures import Colour, evenly, grid, overlay
from segcore.files.arrays import ARRAYS, Row, load_labelled, load_split
from segcore.files.dataset import Dataset
from segcore.runtime import console
from segcore.runtime.errors import UserError
from segcore.templates.jinja import jpeg_uri, render

SHOWN = 6  # frames of each kind
# In IDD-Lite two frames above this are the same scene a moment later; up to 0.98 there are pairs of different roads.
NEARLY_SAME = 0.99


class Split(NamedTuple):
    """The frames of a split, N×H×W×3, their labels, N×H×W, if it has any, and their rows of frames.csv."""

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    rows: list[Row]
    colours: list[Colour]  # of the classes


class Shot(NamedTuple):
    """One frame of a split."""

    split: Split
    number: int

    def __str__(self) -> str:
        return f"{self.split.name} {self.split.rows[self.number].frame}"

    @property
    def array(self) -> np.ndarray:
        """The frame, uint8 H×W×3."""
        return self.split.images[self.number]

    def draw(self, about: str = "") -> "Figure":
        """Return the frame beside its ground truth, if it has any."""
        pictures = [Image.fromarray(self.array)]
        if self.split.labels is not None:
            pictures.append(overlay(pictures[0], self.split.labels[self.number], self.split.colours))
        return Figure(str(self), jpeg_uri(grid(pictures, len(pictures), gap=2)), about)


class Figure(NamedTuple):
    """A picture on the page: its name, its content as a ``data:`` URI, and what is said about it."""

    name: str
    uri: str
    about: str = ""


def read_splits(colours: list[Colour], arrays: Path = ARRAYS) -> list[Split]:
    """Return the splits that have frames, to be drawn in the ``colours`` of the classes.

    Raises:
        UserError: if the arrays or frames.csv are not what preprocess writes.
    """
    splits = []
    for name in SPLITS:
        rows, images = load_split(name, arrays)
        labels = load_labelled(name, len(colours), arrays)[1] if name in LABELLED else None
        if name in LABELLED and not images.size:
            raise UserError(f"{arrays}: no {name} frames; run `dvc repro preprocess`")
        if rows:
            splits.append(Split(name, images, labels, rows, colours))
    return splits


def describe(dataset: Dataset, arrays: Path = ARRAYS) -> str:
    """Return the page as HTML.

    Raises:
        UserError: if the arrays or frames.csv are not what preprocess writes.
    """
    splits, names = read_splits(dataset.colours, arrays), [*dataset.names, "void"]
    height, width = splits[0].images.shape[1:3]
    train = splits[0].labels
    assert train is not None
    counts = {
        split.name: count_classes(split.labels, len(dataset.classes)) for split in splits if split.labels is not None
    }
    shots_of = {split.name: [Shot(split, i) for i in range(len(split.rows))] for split in splits}
    shots = list(chain(*shots_of.values()))
    thumbnails = np.stack(list(console.map_with_progress(lambda shot: thumbnail(shot.array), shots, "describe")))
    groups = np.repeat(np.arange(len(splits)), [len(split.rows) for split in splits])
    drives = Counter(drive for split in splits for drive in {row.frame.drive for row in split.rows})
    return render(
        "describe/report.html.jinja",
        about=dataset.about,
        size=f"{width}×{height}",
        splits=[summarise(split) for split in splits],
        shared=sorted(drive for drive, count in drives.items() if count > 1),
        classes=class_shares(names, counts),
        legend={**dataset.classes, "void": VOID_COLOUR},
        heat=heat_maps(dataset.names, train),
        examples={name: [shot.draw() for shot in evenly(members, SHOWN)] for name, members in shots_of.items()},
        unusual=unusual_mixes(names, shots, np.concatenate(list(counts.values()))),
        nearly_same=NEARLY_SAME,
        shown=SHOWN,
        uniform=[str(shots[k]) for k in np.flatnonzero(~thumbnails.any(axis=1))],
        alike={
            "a different split": alike_frames(shots, most_alike(thumbnails, groups, same=False)),
            "the same split": alike_frames(shots, most_alike(thumbnails, groups, same=True)),
        },
    )


def heat_maps(names: list[str], labels: np.ndarray) -> list[Figure]:
    """Draw where in the frame each class is, from class ids and void, N×H×W."""
    figures = []
    for name, frames in zip(names, count_frames(labels, len(names)), strict=True):
        about = f"the lightest place has it in {frames.max() / len(labels):.0%} of the frames"
        figures.append(Figure(name, jpeg_uri(draw_heat(frames)), about))
    return figures


def summarise(split: Split) -> list[object]:
    """Return the row of a split: its name, frames, drives, frames of a drive and native sizes."""
    drives = Counter(row.frame.drive for row in split.rows).values()
    per_drive = f"{min(drives)} / {median_low(drives)} / {max(drives)}"
    sizes = Counter(f"{row.width}×{row.height}" for row in split.rows)
    shown = [f"{size} ({count})" if len(sizes) > 1 else size for size, count in sizes.most_common(SHOWN)]
    shown += ["…"] if len(sizes) > SHOWN else []
    return [split.name, len(split.rows), len(drives), per_drive, ", ".join(shown)]


def class_shares(names: list[str], counts: dict[str, np.ndarray]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the head and the rows of a table: each class's share of the pixels of a split, and of the frames with it.

    Args:
        names: of the classes and, last, void.
        counts: by name of the split, as :func:`count_classes` returns them.
    """
    head = ["class", *(f"{name}: pixels" for name in counts), *(f"{name}: frames with it" for name in counts)]
    columns = [names]
    columns += [[f"{share:.2%}" for share in pixels.sum(axis=0) / pixels.sum()] for pixels in counts.values()]
    columns += [[f"{share:.0%}" for share in (pixels > 0).mean(axis=0)] for pixels in counts.values()]
    return head, list(zip(*columns, strict=True))


def unusual_mixes(names: list[str], shots: list[Shot], counts: np.ndarray) -> list[Figure]:
    """Draw the frames whose mix of classes is farthest from the usual one; name the class that is most overrepresented.

    Args:
        names: of the classes and, last, void.
        counts: pixels by frame and class, for the first ``shots``: only test, the last split, has no labels.
    """
    far = divergence(counts)
    usual = counts.sum(axis=0) / counts.sum()
    figures = []
    for k in np.argsort(-far, kind="stable")[:SHOWN]:
        mix = counts[k] / counts[k].sum()
        most = (mix - usual).argmax()
        about = f"divergence {far[k]:.2f}, {mix[most]:.0%} {names[most]} (usual {usual[most]:.0%})"
        figures.append(shots[k].draw(about))
    return figures


def alike_frames(shots: list[Shot], pairs: list[Pair]) -> tuple[int, list[Figure]]:
    """Return how many frames are nearly the same as their partner, and the pairs most alike, drawn."""
    close = {k for pair in pairs if pair.correlation >= NEARLY_SAME for k in (pair.first, pair.second)}
    figures = []
    for pair in pairs[:SHOWN]:
        one, other = shots[pair.first], shots[pair.second]
        drawn = grid([Image.fromarray(shot.array) for shot in (one, other)], 2, gap=2)
        figures.append(Figure(f"{one} and {other}", jpeg_uri(drawn), f"correlation {pair.correlation:.3f}"))
    return len(close), figures
