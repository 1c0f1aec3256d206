"""Map the files of each layout in which IDD-Lite is distributed to their paths in the published one.

The edition of 2019 has train and val only: ``images/SPLIT/…`` and ``labels/SPLIT/…``, with or without a folder per
drive, with or without ``_image`` and ``_label`` at the end of a name. :mod:`segcore.dataset.frames` describes the
published layout.
"""

import re
from pathlib import Path

from segcore.dataset.frames import LABELLED, SPLITS, Frame
from segcore.runtime.errors import UserError

_TOP = r"(?P<top>[^/]+/)?"
_DRIVE = r"(?P<drive>[\w.+ -]+)/"
_NAME = r"(?P<name>[\w.+ -]+?)"
_PATTERNS = {
    ("leftImg8bit", "image"): rf"{_TOP}leftImg8bit/(?P<split>train|val|test)/{_DRIVE}{_NAME}_image\.jpg",
    ("leftImg8bit", "label"): rf"{_TOP}gtFine/(?P<split>train|val)/{_DRIVE}{_NAME}_label\.png",
    ("images", "image"): rf"{_TOP}images/(?P<split>train|val|test)/({_DRIVE})?{_NAME}(_image)?\.jpg",
    ("images", "label"): rf"{_TOP}labels/(?P<split>train|val)/({_DRIVE})?{_NAME}(_label)?\.png",
}
_FRAME_LIKE = re.compile(rf"{_TOP}(leftImg8bit|images)/(train|val|test)/.+\.(jpe?g|png)", re.IGNORECASE)
# Files that file managers leave behind, and instance labels, which no stage reads.
_IGNORED = re.compile(r"(.*/)?(\.|__MACOSX/).*|.*_inst_label\.png")


class LayoutMapper:
    """Find the path of each file of a source in the published layout, and note which layout the source has."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._layouts: set[tuple[str, str]] = set()  # the top folder, and the folder of the frames in it
        self._places: set[Path] = set()
        self._others: set[str] = set()

    def place(self, path: str) -> Path | None:
        """Return the path of a file in the published layout, or ``None`` if no stage reads it.

        Raises:
            UserError: if a picture among the frames is not named as a frame, or two files have the same place.
        """
        if _IGNORED.fullmatch(path):
            return None
        for (layout, kind), pattern in _PATTERNS.items():
            if match := re.fullmatch(pattern, path):
                # Without a folder per drive, the split serves as the drive, so that splits share no drive.
                frame = Frame(match["split"], match["drive"] or match["split"], match["name"])
                place = frame.image if kind == "image" else frame.label
                if place in self._places:
                    raise UserError(f"{self._source}: {path}: a second file for {place}; remove one of them")
                self._places.add(place)
                self._layouts.add((match["top"] or "", layout))
                return place
        if _FRAME_LIKE.fullmatch(path):  # nobody would notice a missing test frame, as it has no label
            raise UserError(
                f"{self._source}: {path!r}: in IDD-Lite a frame is a JPEG named DRIVE/NAME_image.jpg, of letters, "
                "digits, dots, hyphens, underscores and spaces; rename it, or remove it"
            )
        self._others.add("/".join(path.split("/")[:2]))
        return None

    def required_splits(self) -> tuple[str, ...]:
        """Return the splits that must have frames in the layout of the source.

        Raises:
            UserError: if the source is not IDD-Lite, or has more than one data set in it.
        """
        if not self._layouts:
            found = sorted(self._others)[:8] or ["no files"]
            raise UserError(
                f"{self._source}: no IDD-Lite in it; leftImg8bit/{{train,val,test}} and gtFine/{{train,val}} were "
                f"expected at its top, or in one folder there; it has: {', '.join(found)}"
            )
        if len(self._layouts) > 1:
            found = sorted(top + layout for top, layout in self._layouts)
            raise UserError(f"{self._source}: more than one data set in it: {', '.join(found)}; keep one of them")
        [(_, layout)] = self._layouts
        return SPLITS if layout == "leftImg8bit" else LABELLED
