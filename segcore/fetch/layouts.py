"""Map each file of a source to its place in data/raw, by the layouts that the description of the data set names.

:mod:`segcore.dataset.frames` describes the layout of data/raw.
"""

import contextlib
import re
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from segcore.dataset.frames import LABELLED
from segcore.fetch.patterns import Folder, Pattern
from segcore.files.description import SETS, Description, read_description
from segcore.runtime.errors import UserError

FOUND = Path("found")  # labels as the source has them, until they are checked

_IGNORED = re.compile(r"(.*/)?(\.|__MACOSX/).*", re.DOTALL)  # what file managers leave behind
_PICTURE = re.compile(r".*\.(jpe?g|png|bmp|gif|tiff?|webp|ppm)", re.IGNORECASE | re.DOTALL)
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


class _Patterns:
    """The patterns of all layouts of a description, in order."""

    def __init__(self, description: Description) -> None:
        splits = description.folders()
        self.images = [Pattern(layout.images, splits) for layout in description.layouts]
        self.labels = [Pattern(layout.labels, splits) for layout in description.layouts]


class LayoutMapper:
    """Find the place of each file of a source in data/raw, and note where the images and labels are.

    ``passed_over`` are the files of train and val that have no place but look like labels. ``sets`` is the folder with
    the descriptions that are proposed for a source that does not fit.
    """

    def __init__(self, description: Description, source: str, sets: Path = SETS) -> None:
        self.passed_over = Seen()
        self._description = description
        self._source = source
        self._sets = sets
        self._patterns = _Patterns(description)
        self._labelled = {folder for folder, split in description.folders().items() if split in LABELLED}
        self._ignored = [glob.lower() for glob in description.ignore]
        self._parts = {part.lower() for part in description.parts}
        self._known: dict[str, Folder] = {}  # the first folder of "images" and of "labels"
        self._places: set[Path] = set()
        self._misnamed: dict[Folder, Seen] = {}  # pictures below a folder of images
        self._others: list[str] = []
        self._hint = ""

    def ignores(self, path: str) -> bool:
        """Return whether a file is skipped, whatever it is."""
        name = path.rpartition("/")[2].lower()
        return bool(_IGNORED.fullmatch(path)) or any(fnmatchcase(name, glob) for glob in self._ignored)

    def place(self, path: str) -> Path | None:
        """Return the place of a file, or ``None`` if no stage reads it.

        An image goes to its path in data/raw. A label goes to ``found/RANK/SPLIT/DRIVE/NAME`` with its own suffix,
        where RANK is the number of the layout in the description.

        Raises:
            UserError: if two files have the same place, there is more than one data set, the images are named as those
                of a different description, or pictures are in too many folders.
        """
        if self.ignores(path):
            return None
        parts = tuple(path.split("/"))
        suffix = Path(parts[-1].lower()).suffix.replace(".jpeg", ".jpg")
        for pattern in self._patterns.images:
            if match := pattern.match(parts):
                frame, folder = match
                return self._placed(path, "images", folder, frame.image(suffix), frame.image(""))
        for rank, pattern in enumerate(self._patterns.labels):
            if match := pattern.match(parts):
                frame, folder = match
                if frame.split not in LABELLED:
                    return None
                place = Path(FOUND, str(rank), frame.split, frame.drive, f"{frame.name}{suffix}")
                return self._placed(path, "labels", folder, place, place)
        self._pass_over(path, parts)
        return None

    def _placed(self, path: str, kind: str, folder: Folder, place: Path, key: Path) -> Path:
        known = self._known.setdefault(kind, folder)
        aboves = {self._without_parts(each.above) for each in (*self._known.values(), folder)}
        if len(aboves) > 1 or self._without_parts(known.path) != self._without_parts(folder.path):
            folders = sorted({"/".join(each.path) or "." for each in (*self._known.values(), folder)})
            raise UserError(f"{self._source}: more than one data set in it: {', '.join(folders)}; keep one of them")
        if key in self._places:
            raise UserError(f"{self._source}: {path}: a second file for {place}; remove one of them")
        self._places.add(key)
        return place

    def _without_parts(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for part in path if part.lower() not in self._parts)

    def _pass_over(self, path: str, parts: tuple[str, ...]) -> None:
        folder = _folder_above(self._patterns.images, parts)
        picture = _PICTURE.fullmatch(path) is not None
        hint = self._fitting(path, parts) if picture and (folder or not (self._known or self._hint)) else ""
        if folder and picture:
            if hint:  # at once, as its archive may be large
                raise UserError(f"{self._source}: {hint}")
            self._misnamed.setdefault(folder, Seen()).add(path)
            if len(self._misnamed) > _MAX_FOLDERS:
                folders = f"more than {_MAX_FOLDERS} folders like {'/'.join(folder.path)}"
                raise UserError(f"{self._source}: {folders}; keep only the data set")
        elif not folder and self._looks_like_label(parts):
            self.passed_over.add(path)
        self._hint = self._hint or hint
        start = "/".join(parts[:2])
        if len(self._others) < 8 and start not in self._others:
            self._others.append(start)

    def _looks_like_label(self, parts: tuple[str, ...]) -> bool:
        suffixes = tuple(Path(pattern.text).suffix for pattern in self._patterns.labels)
        of_labels = _folder_above(self._patterns.labels, parts) or parts[-1].lower().endswith(suffixes)
        return bool(of_labels) and not self._labelled.isdisjoint(part.lower() for part in parts)

    @cached_property
    def _other_sets(self) -> dict[Path, _Patterns]:
        others: dict[Path, _Patterns] = {}
        for path in sorted(self._sets.glob("*.yaml")):
            with contextlib.suppress(UserError, OSError):  # what cannot be read is not proposed
                if (other := read_description(path)) != self._description:
                    others[path] = _Patterns(other)
        return others

    def _fitting(self, path: str, parts: tuple[str, ...]) -> str:
        """Return which other descriptions have a place for an image, or nothing if there are none."""
        sets = [str(each) for each, other in self._other_sets.items() if any(p.match(parts) for p in other.images)]
        if not sets:
            return ""
        reads = "reads such names: set fetch.dataset to it"
        if len(sets) > 1:
            reads = "read such names: set fetch.dataset to one of them"
        return f"{path!r}: not named as an image of {self._description.name}; {', '.join(sets)} {reads}"

    def finish(self) -> None:
        """Check the source as a whole, after its last file.

        Raises:
            UserError: if nothing in it has a place, or a picture among the images is not named as one.
        """
        name = self._description.name
        above = {self._without_parts(folder.above) for folder in self._known.values()}
        for folder, seen in self._misnamed.items():  # nobody would notice a missing test frame, as it has no label
            if not above or self._without_parts(folder.above) in above:
                more = f" and {seen.count - 1:,} more" if seen.count > 1 else ""
                parts = seen.first.split("/")
                patterns = dict.fromkeys(each.text for each in self._patterns.images if each.folder_above(parts))
                raise UserError(
                    f"{self._source}: {seen.first!r}{more}: in {name} an image is named {' or '.join(patterns)}, of "
                    "letters, digits, spaces and the signs . - _ +; rename it, remove it, or add its name to `ignore` "
                    "of the description"
                )
        if not self._known:
            first = self._description.layouts[0]
            found = ", ".join(sorted(self._others)) or "no files"
            missing = (
                f"no {name} in it; {first.images} and {first.labels} were expected, both in the same folder, or a "
                f"different layout of the description; it has: {found}"
            )
            raise UserError(f"{self._source}: {self._hint or missing}")


def _folder_above(patterns: list[Pattern], parts: tuple[str, ...]) -> Folder | None:
    return next((folder for pattern in patterns if (folder := pattern.folder_above(parts))), None)
