"""The data set as a page for people: what is in each split, examples, and what is odd. Frames stand in it as pictures.

All of it is as the network sees it, at its input size, and of the splits as preprocess made them.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore import oddities, webpage
from segcore.arrays import LABELLED, Row, load_images, load_labelled, read_rows
from segcore.console import UserError, progress
from segcore.drawing import legend, overlay, panel
from segcore.idd_lite import SPLITS
from segcore.labels import CLASSES
from segcore.ranking import evenly

TITLE = "The data set"
SPLIT = "The splits are those that preprocess made: with a hold-out, val is some drives of train."
WARNING = "Frames of it stand in this page, so where its licence forbids to pass it on, the page stays here, too."
NAMES = (*CLASSES, "void")
SHOWN = 6  # frames of each kind
LEGEND_WIDTH = 1300
# In IDD-Lite two frames beyond this are the same scene a moment later; up to 0.98 there are pairs of unlike roads.
NEARLY_SAME = 0.99


class Split(NamedTuple):
    """The frames of a split, N×H×W×3, their labels, N×H×W, where there are any, and their rows of frames.csv."""

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    rows: list[Row]

    def title(self, i: int) -> str:
        """What the frame is called."""
        return f"{self.name} {self.rows[i].frame.drive}/{self.rows[i].frame.name}"

    def draw(self, i: int, title: str) -> Image.Image:
        """The frame, and its ground truth where there is any."""
        pictures = {"frame": Image.fromarray(self.images[i])}
        if self.labels is not None:
            pictures["truth"] = overlay(pictures["frame"], self.labels[i])
        return panel(title, pictures)


def read_splits(arrays: Path) -> list[Split]:
    """All splits that have frames.

    Raises:
        UserError: if the arrays or frames.csv are not what preprocess writes.
    """
    splits = []
    for name in SPLITS:
        images, labels = load_labelled(arrays, name) if name in LABELLED else (load_images(arrays, name), None)
        rows = read_rows(arrays, name)
        if len(rows) != len(images):
            raise UserError(
                f"{arrays}: {len(images)} {name} frames, and {len(rows)} in frames.csv; run `dvc repro preprocess`"
            )
        if name in LABELLED and not images.size:
            raise UserError(f"{arrays}: no {name} frames; run `dvc repro preprocess`")
        if rows:
            splits.append(Split(name, images, labels, rows))
    return splits


def describe(splits: list[Split]) -> str:
    """The page as HTML."""
    height, width = splits[0].images.shape[1:3]
    labelled = [(split, oddities.count_classes(split.labels)) for split in splits if split.labels is not None]
    parts = [
        f"<h1>{TITLE}</h1>",
        webpage.paragraph(f"As the network sees it, at {width}×{height} pixels. {SPLIT} {WARNING}"),
        *list_splits(splits),
        *list_classes(labelled),
        *show_examples(splits),
        *show_unusual(labelled),
        *show_alike(splits),
    ]
    return webpage.page(TITLE, parts)


def list_splits(splits: list[Split]) -> Iterator[str]:
    """Frames, drives and native sizes, and the drives that are in more than one split."""
    yield "<h2>Splits</h2>"
    lines, drives_of = [], {}
    for split in splits:
        drives = drives_of[split.name] = Counter(row.frame.drive for row in split.rows)
        sizes = Counter(f"{row.width}×{row.height}" for row in split.rows)
        per_drive = f"{min(drives.values())} / {median_low(drives.values())} / {max(drives.values())}"
        shown = [f"{size} ({count})" if len(sizes) > 1 else size for size, count in sizes.most_common(SHOWN)]
        shown += ["…"] if len(sizes) > SHOWN else []
        lines.append((split.name, len(split.rows), len(drives), per_drive, ", ".join(shown)))
    yield webpage.table(["split", "frames", "drives", "frames of a drive: least / median / most", "native size"], lines)
    times = Counter(drive for drives in drives_of.values() for drive in drives)
    shared = sorted(drive for drive, count in times.items() if count > 1)
    yield webpage.paragraph(f"Drives that are in more than one split: {', '.join(shared) or 'none'}.")


def list_classes(labelled: list[tuple[Split, np.ndarray]]) -> Iterator[str]:
    """The share of each class in the pixels of a split, and of the frames that have it."""
    yield "<h2>Classes</h2>"
    head, columns = ["class"], [NAMES]
    for split, counts in labelled:
        head += [f"{split.name}: pixels", f"{split.name}: frames with it"]
        columns.append([f"{share:.2%}" for share in counts.sum(axis=0) / counts.sum()])
        columns.append([f"{share:.0%}" for share in (counts > 0).mean(axis=0)])
    yield webpage.table(head, zip(*columns, strict=True))


def show_examples(splits: list[Split]) -> Iterator[str]:
    """Frames evenly spaced over each split."""
    yield "<h2>Examples</h2>"
    yield webpage.photograph(legend(LEGEND_WIDTH, "truth: the frame under the colours of its classes"), "legend")
    for split in splits:
        yield f"<h3>{split.name}</h3>"
        for i in evenly(range(len(split.rows)), SHOWN):
            yield webpage.photograph(split.draw(i, split.title(i)), split.title(i))


def show_unusual(labelled: list[tuple[Split, np.ndarray]]) -> Iterator[str]:
    """The frames whose mix of classes is farthest from the usual one, and what they have too much of."""
    yield "<h2>Frames with an unusual mix of classes</h2>"
    yield webpage.paragraph(
        "By the Jensen-Shannon divergence of the shares of their classes from those of all frames: 0 is the same mix, "
        "1 nothing in common."
    )
    where = [(split, i) for split, _ in labelled for i in range(len(split.rows))]
    counts = np.concatenate([counts for _, counts in labelled])
    far = oddities.divergence(counts)
    usual = counts.sum(axis=0) / counts.sum()
    for k in np.argsort(-far, kind="stable")[:SHOWN]:
        split, i = where[k]
        mix = counts[k] / counts[k].sum()
        most = (mix - usual).argmax()
        title = f"{split.title(i)}: {far[k]:.2f}, {mix[most]:.0%} {NAMES[most]} (usual {usual[most]:.0%})"
        yield webpage.photograph(split.draw(i, title), title)


def show_alike(splits: list[Split]) -> Iterator[str]:
    """The frames of different splits that are most alike, and which are nearly the same, also within a split."""
    yield "<h2>Frames that are nearly the same</h2>"
    yield webpage.paragraph(
        f"By the correlation of small grey pictures of them: from {NEARLY_SAME} on two frames are nearly the same "
        "scene. Of two splits they would let the score reward what was learnt by heart."
    )
    where = [(split, i) for split in splits for i in range(len(split.rows))]
    frames = progress((split.images[i] for split, i in where), len(where), "describe")
    thumbnails = np.stack([oddities.thumbnail(frame) for frame in frames])
    uniform = [where[k][0].title(where[k][1]) for k in np.flatnonzero(~thumbnails.any(axis=1))]
    shown = ", ".join(uniform[:SHOWN]) + ("…" if len(uniform) > SHOWN else "")
    yield webpage.paragraph(f"Frames of one colour, which are like no other: {len(uniform)}. {shown}")
    groups = np.repeat(np.arange(len(splits)), [len(split.rows) for split in splits])
    for same, place in ((False, "another split"), (True, "the same split")):
        pairs = oddities.most_alike(thumbnails, groups, same=same)
        close = {k for pair in pairs if pair.correlation >= NEARLY_SAME for k in (pair.first, pair.second)}
        yield f"<h3>In {place}</h3>"
        yield webpage.paragraph(f"Frames that are nearly the same as one in {place}: {len(close)}.")
        for pair in pairs[:SHOWN]:
            (one, i), (other, j) = where[pair.first], where[pair.second]
            pictures = [Image.fromarray(one.images[i]), Image.fromarray(other.images[j])]
            names = [one.title(i), other.title(j)]
            drawn = panel(f"correlation {pair.correlation:.3f}", dict(zip(names, pictures, strict=True)))
            yield webpage.photograph(drawn, " and ".join(names))
