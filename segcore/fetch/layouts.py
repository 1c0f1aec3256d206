"""Map the files of each layout in which IDD-Lite is distributed to their paths in the published one.

In all layouts the frames are below one folder and the labels below a second one beside it, in any folder of the
source: ``leftImg8bit/SPLIT`` and ``gtFine/SPLIT`` as published, or ``images/SPLIT`` and ``labels/SPLIT`` as in the
edition of 2019, with or without a folder per drive, with or without ``_image`` and ``_label`` at the end of a name.
:mod:`segcore.dataset.frames` describes the published layout.
"""

import re
from pathlib import Path
from typing import NamedTuple

from segcore.dataset.frames import LABELLED, SPLITS, Frame
from segcore.runtime.errors import UserError


class _Tree(NamedTuple):
    """A kind of folder, of frames or of labels: its splits, and how its files are named."""

    kind: str
    splits: tuple[str, ...]
    file: re.Pattern[str]
    flat: bool  # whether the folder per drive may be missing


_NAME = r"(?P<name>[\w.+ -]+?)"
_DRIVE = re.compile(r"[\w.+ -]+")
_IMAGES = _Tree("frames", SPLITS, re.compile(rf"{_NAME}(_image)?\.jpe?g", re.IGNORECASE), flat=True)
_LABELS = _Tree("labels", LABELLED, re.compile(rf"{_NAME}(_label)?\.png", re.IGNORECASE), flat=True)
_TREES = {
    "leftimg8bit": _Tree("frames", SPLITS, re.compile(rf"{_NAME}_image\.jpe?g", re.IGNORECASE), flat=False),
    "gtfine": _Tree("labels", LABELLED, re.compile(rf"{_NAME}_label\.png", re.IGNORECASE), flat=False),
    **dict.fromkeys(("images", "image"), _IMAGES),
    **dict.fromkeys(("labels", "label", "annotations", "annotation"), _LABELS),
}
# Files that file managers leave behind, and instance labels, which no stage reads.
_IGNORED = re.compile(r"(.*/)?(\.|__MACOSX/).*|.*_inst_label\.png", re.DOTALL)
_PICTURE = re.compile(r".*\.(jpe?g|png|bmp|gif|tiff?|webp|ppm)", re.IGNORECASE | re.DOTALL)
_FULL_FRAME = re.compile(r".*_leftImg8bit\.(png|jpe?g)")
_FULL_LABEL = re.compile(r".*_gtFine_\w+\.\w+")
_CITYSCAPES = re.compile(r"[a-z-]+_\d{6}_\d{6}_leftImg8bit\.png")
_MAX_FOLDERS = 100


class Seen:
    """How many files of some kind there were, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def add(self, path: str) -> None:
        """Count a file."""
        self.first = self.first or path
        self.count += 1


class LayoutMapper:
    """Find the path of each file of a source in the published layout, and note where the frames and labels are.

    ``passed_over`` are the files of train and val that have no place but look like labels.
    """

    def __init__(self, source: str) -> None:
        self.passed_over = Seen()
        self._source = source
        self._folders: dict[str, tuple[str, ...]] = {}  # by kind, "frames" or "labels"
        self._places: set[Path] = set()
        self._misnamed: dict[tuple[str, ...], Seen] = {}  # pictures below a folder of frames
        self._others: list[str] = []

    def place(self, path: str) -> Path | None:
        """Return the path of a file in the published layout, or ``None`` if no stage reads it.

        Raises:
            UserError: if two files have the same place, there is more than one data set, the frames are named as those
                of IDD Segmentation or Cityscapes, or pictures are in too many folders.
        """
        if _IGNORED.fullmatch(path):
            return None
        parts = tuple(path.split("/"))
        for depth in (4, 3):  # with and without a folder per drive
            if len(parts) >= depth and (found := _match(*parts[-depth:])):
                tree, frame = found
                place = frame.image if tree.kind == "frames" else frame.label
                self._note_folder(tree.kind, parts[: 1 - depth])
                if place in self._places:
                    raise UserError(f"{self._source}: {path}: a second file for {place}; remove one of them")
                self._places.add(place)
                return place
        self._pass_over(path, parts)
        return None

    def _note_folder(self, kind: str, folder: tuple[str, ...]) -> None:
        known = [*self._folders.values()]
        if self._folders.setdefault(kind, folder) != folder or any(other[:-1] != folder[:-1] for other in known):
            found = sorted({"/".join(each) for each in (*known, folder)})
            raise UserError(f"{self._source}: more than one data set in it: {', '.join(found)}; keep one of them")

    def _pass_over(self, path: str, parts: tuple[str, ...]) -> None:
        kind, folder = _tree_above(parts)
        if kind == "frames" and _FULL_FRAME.fullmatch(parts[-1]):
            name = "Cityscapes" if _CITYSCAPES.fullmatch(parts[-1]) else "IDD Segmentation"
            raise UserError(
                f"{self._source}: {path!r}: named as the frames of {name}, which is not read yet; "
                "IDD-Lite is a different download"
            )
        if kind == "frames" and _PICTURE.fullmatch(path):
            self._misnamed.setdefault(folder, Seen()).add(path)
            if len(self._misnamed) > _MAX_FOLDERS:
                folders = f"more than {_MAX_FOLDERS} folders like {'/'.join(folder)}"
                raise UserError(f"{self._source}: {folders}; keep only the data set")
        elif _looks_like_label(kind, parts):
            self.passed_over.add(path)
        start = "/".join(parts[:2])
        if len(self._others) < 8 and start not in self._others:
            self._others.append(start)

    def finish(self) -> None:
        """Check the source as a whole, after its last file.

        Raises:
            UserError: if it is not IDD-Lite, or a picture among the frames is not named as a frame.
        """
        above = {folder[:-1] for folder in self._folders.values()}
        for folder, seen in self._misnamed.items():  # nobody would notice a missing test frame, as it has no label
            if not above or folder[:-1] in above:
                more = f" and {seen.count - 1:,} more" if seen.count > 1 else ""
                raise UserError(
                    f"{self._source}: {seen.first!r}{more}: in IDD-Lite a frame is a JPEG named DRIVE/NAME_image.jpg, "
                    "of letters, digits, spaces and the signs . - _ +; rename it, or remove it"
                )
        if not self._folders:
            raise UserError(
                f"{self._source}: no IDD-Lite in it; leftImg8bit/{{train,val,test}} and gtFine/{{train,val}} were "
                "expected, both in the same folder, or a different layout of docs/your-data.md; it has: "
                + (", ".join(sorted(self._others)) or "no files")
            )


def _match(folder: str, split: str, *rest: str) -> tuple[_Tree, Frame] | None:
    """Return the frame that a file belongs to, from the last three or four parts of its path."""
    *drives, name = rest
    tree = _TREES.get(folder.lower())
    if tree is None or split.lower() not in tree.splits or not (drives or tree.flat):
        return None
    match = tree.file.fullmatch(name)
    if (
        not match
        or _FULL_FRAME.fullmatch(name)
        or _FULL_LABEL.fullmatch(name)
        or not all(map(_DRIVE.fullmatch, drives))
    ):
        return None
    # Without a folder per drive, the split serves as the drive, so that splits share no drive.
    split = split.lower()
    return tree, Frame(split, drives[0] if drives else split, match["name"])


def _tree_above(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the kind and path of the folder of frames or labels that a file is below; two empty values if none."""
    for at in range(len(parts) - 2):
        tree = _TREES.get(parts[at].lower())
        if tree and parts[at + 1].lower() in SPLITS:
            return tree.kind, parts[: at + 1]
    return "", ()


def _looks_like_label(kind: str, parts: tuple[str, ...]) -> bool:
    of_labels = kind == "labels" or (not kind and parts[-1].lower().endswith(".png"))
    return of_labels and not {part.lower() for part in parts}.isdisjoint(LABELLED)
