"""How either edition of IDD-Lite comes into the published layout of :mod:`segcore.idd_lite`.

The older edition, of the 2019 summer school, has train and val only: ``images/SPLIT/…`` and ``labels/SPLIT/…``, with or
without a folder per drive, the files with or without the endings ``_image`` and ``_label``.
"""

import re
from pathlib import Path

from segcore.console import UserError
from segcore.idd_lite import SPLITS, Frame

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
# What file managers leave behind, and the instance labels, which nothing here reads.
_IGNORED = re.compile(r"(.*/)?(\.|__MACOSX/).*|.*_inst_label\.png")


class Sorter:
    """Finds the place in the published layout of each file of a source, and remembers which edition it saw."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._editions: set[tuple[str, str]] = set()  # the folder that an edition stands in, and its frames' folder
        self._places: set[Path] = set()
        self._others: set[str] = set()

    def place(self, path: str) -> Path | None:
        """Where the file at ``path`` of the source belongs below the root, or ``None`` for what no stage reads.

        Raises:
            UserError: if it is a picture among the frames that is not named as a frame, or a second one for its place.
        """
        if _IGNORED.fullmatch(path):
            return None
        for (edition, kind), pattern in _PATTERNS.items():
            if match := re.fullmatch(pattern, path):
                # Where no folder says the drive, the split stands for it: no drive is then in two splits.
                frame = Frame(match["split"], match["drive"] or match["split"], match["name"])
                place = frame.image if kind == "image" else frame.label
                if place in self._places:
                    raise UserError(f"{self._source}: {path}: a second file for {place}; remove one of them")
                self._places.add(place)
                self._editions.add((match["top"] or "", edition))
                return place
        if _FRAME_LIKE.fullmatch(path):  # a test frame, which no label misses, would go unnoticed
            raise UserError(
                f"{self._source}: {path!r}: in IDD-Lite a frame is a JPEG named DRIVE/NAME_image.jpg, of letters, "
                "digits, dots, hyphens, underscores and spaces; rename it, or remove it"
            )
        self._others.add("/".join(path.split("/")[:2]))
        return None

    def required_splits(self) -> tuple[str, ...]:
        """The splits that must have frames in the edition that the source holds.

        Raises:
            UserError: if the source holds no IDD-Lite, or more than one.
        """
        if not self._editions:
            found = sorted(self._others)[:8] or ["no files"]
            raise UserError(
                f"{self._source}: no IDD-Lite in it; leftImg8bit/{{train,val,test}} and gtFine/{{train,val}} were "
                f"expected at its top, or in one folder there; it has: {', '.join(found)}"
            )
        if len(self._editions) > 1:
            found = sorted(top + edition for top, edition in self._editions)
            raise UserError(f"{self._source}: more than one data set in it: {', '.join(found)}; keep one of them")
        [(_, edition)] = self._editions
        return SPLITS if edition == "leftImg8bit" else ("train", "val")
