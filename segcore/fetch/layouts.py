"""Map each file of a source to its place in data/raw, by the layouts that the description of the data set names.

:mod:`segcore.dataset.frames` describes the layout of data/raw.
"""

import contextlib
import os
import re
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from segcore.dataset.frames import LABELLED
from segcore.fetch.patterns import MAX_NAME, Folder, Pattern
from segcore.files.description import SETS, Description, read_description
from segcore.runtime.errors import UserError

FOUND = Path("found")  # labels as the source has them, until they are checked

_IGNORED = re.compile(r"(.*/)?(\.|__MACOSX/).*", re.DOTALL)  # what file managers leave behind
_PICTURE = re.compile(r".*\.(jpe?g?|jfif|jp2|png|bmp|gif|tiff?|webp|ppm|heic|avif)", re.IGNORECASE | re.DOTALL)
_MAX_FOLDERS = 100


class Seen:
    """How many files of some kind there were, and the first of them: all the paths of an archive may be too many."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def add(self, path: str) -> None:
        """Count a file."""
        self.first = self.first or path
        self.count += 1


class LayoutMapper:
    """Find the place of each file of a source in data/raw.

    ``source`` is its name in messages. ``sets`` is the folder with the descriptions that are proposed for a source that
    does not fit. ``passed_over`` are the files of train and val that have no place but look like labels, ``unread`` all
    pictures without a place. ``sources`` has the path of each file in the source, by its place; that of an image is
    without its suffix.
    """

    def __init__(self, description: Description, source: str, sets: Path = SETS) -> None:
        self.passed_over = Seen()
        self.unread = Seen()
        self.sources: dict[Path, str] = {}
        self._description = description
        self._source = source
        self._sets = sets
        self._images = _image_patterns(description)
        self._labels = [Pattern(layout.labels, description.folders()) for layout in description.layouts]
        self._labelled = {folder for folder, split in description.folders().items() if split in LABELLED}
        self._ignored = [glob.lower() for glob in description.ignore]
        self._parts = {part.lower() for part in description.parts}
        self._known: dict[str, Folder] = {}  # the first folder of images, and of the labels of each layout
        self._unsure: dict[Path, str] = {}  # files of test that are labels, or images of which no label is known
        self._misnamed: dict[Folder, Seen] = {}  # pictures without a place below each folder of images
        self._others: list[str] = []  # for a message: where files without a place are
        self._hint = ""  # for a message: descriptions that have a place for one of them

    def ignores(self, path: str) -> bool:
        """Return whether a file is skipped, whatever it is."""
        name = path.rpartition("/")[2].lower()
        return bool(_IGNORED.fullmatch(path)) or any(fnmatchcase(name, glob) for glob in self._ignored)

    def place(self, path: str) -> Path | None:
        """Return the place of a file below data/raw, or ``None`` if no stage reads it.

        The place of a label is ``found/LAYOUT/SPLIT/DRIVE/NAME`` with its own suffix, where LAYOUT is the number of
        its layout in the description; :mod:`segcore.fetch.check` moves it.

        Raises:
            UserError: if two files have the same place, there is more than one data set, the images are named as those
                of a different description, or pictures are in too many folders.
        """
        if self.ignores(path):
            return None
        parts = tuple(path.split("/"))
        suffix = Path(parts[-1].lower()).suffix.replace(".jpeg", ".jpg")
        images = ((pattern.depth, *match) for pattern in self._images if (match := pattern.match(parts)))
        depth, image, image_folder = next(images, (0, None, None))
        for layout, pattern in enumerate(self._labels):
            if match := pattern.match(parts):
                frame, folder = match
                # If an image and a label fit, the longer path or the shorter name says more: `{frame}_mask.png` is a
                # label, although `{frame}.png` fits it, too.
                if image and (depth, -len(image.name)) >= (pattern.depth, -len(frame.name)):
                    continue
                if frame.split not in LABELLED:
                    if image:
                        self._unsure[frame.image("")] = path
                    return None
                place = Path(FOUND, str(layout), frame.split, frame.drive, f"{frame.name}{suffix}")
                return self._placed(path, f"labels of layout {layout}", folder, place, place)
        if image and image_folder:
            return self._placed(path, "images", image_folder, image.image(suffix), image.image(""))
        self._pass_over(path, parts)
        return None

    def _placed(self, path: str, kind: str, folder: Folder, place: Path, key: Path) -> Path:
        known = self._known.setdefault(kind, folder)
        aboves = {self._without_parts(each.above) for each in (*self._known.values(), folder)}
        if len(aboves) > 1 or self._without_parts(known.path) != self._without_parts(folder.path):
            folders = sorted({"/".join(each.path) or "." for each in (*self._known.values(), folder)})
            raise UserError(f"{self._source}: more than one data set in it: {', '.join(folders)}; keep one of them")
        if len(os.fsencode(place.name)) > MAX_NAME:
            raise UserError(f"{self._source}: {path}: its name is too long; shorten it")
        if other := self.sources.get(key):
            raise UserError(f"{self._source}: {path}: a second file for the frame of {other}; remove one of them")
        self.sources[key] = path
        return place

    def _without_parts(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for part in path if part.lower() not in self._parts)

    def _pass_over(self, path: str, parts: tuple[str, ...]) -> None:
        """Note a file without a place, for the messages of :meth:`finish` and of the check."""
        folder = _folder_above(self._images, parts)
        picture = _PICTURE.fullmatch(path) is not None
        if picture:
            self.unread.add(path)
        if folder and picture:
            if hint := self._propose(path, parts):  # at once, as its archive may be large
                raise UserError(f"{self._source}: {hint}")
            self._misnamed.setdefault(folder, Seen()).add(path)
            if len(self._misnamed) > _MAX_FOLDERS:
                folders = f"more than {_MAX_FOLDERS} folders like {'/'.join(folder.path)}"
                raise UserError(f"{self._source}: {folders}; keep only the data set")
        elif picture and not (self._known or self._hint):
            self._hint = self._propose(path, parts)
        if not folder and self._looks_like_label(parts):
            self.passed_over.add(path)
        start = "/".join(parts[:2])
        if len(self._others) < 8 and start not in self._others:
            self._others.append(start)

    def _looks_like_label(self, parts: tuple[str, ...]) -> bool:
        suffixes = tuple(Path(pattern.text.lower()).suffix for pattern in self._labels)
        of_labels = _folder_above(self._labels, parts) or parts[-1].lower().endswith(suffixes)
        return bool(of_labels) and not self._labelled.isdisjoint(part.lower() for part in parts)

    @cached_property
    def _other_sets(self) -> dict[Path, list[Pattern]]:
        others: dict[Path, list[Pattern]] = {}
        for path in sorted(path for path in self._sets.glob("*.yaml") if path.is_file()):
            with contextlib.suppress(UserError, OSError):  # what cannot be read is not proposed
                if (other := read_description(path)) != self._description:
                    others[path] = _image_patterns(other)
        return others

    def _propose(self, path: str, parts: tuple[str, ...]) -> str:
        """Return a message with the descriptions that have a place for this image; an empty text if there are none."""
        sets = " or ".join(
            str(each) for each, images in self._other_sets.items() if any(image.match(parts) for image in images)
        )
        said = f"{path!r}: not named as an image of {self._description.name}; set fetch.dataset to {sets}"
        return f"{said}, which reads such names" if sets else ""

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
                patterns = dict.fromkeys(each.text for each in self._images if each.folder_above(parts))
                raise UserError(
                    f"{self._source}: {seen.first!r}{more}: in {name} an image is named {' or '.join(patterns)}, of "
                    "letters, digits, spaces and the signs . - _ +; rename it, remove it, widen the pattern, or "
                    "add its name to `ignore` of the description"
                )
        if alone := self._unsure.keys() - self.sources.keys():
            raise UserError(
                f"{self._source}: {self._unsure[min(alone)]!r} fits images and labels of the description, and there is "
                "no frame of which it is a label; rename or remove it"
            )
        if not self._known:
            first = self._description.layouts[0]
            found = ", ".join(sorted(self._others)) or "no files"
            missing = (
                f"no {name} in it; {first.images} and {first.labels} were expected, both in the same folder, or a "
                f"different layout of the description; it has: {found}"
            )
            raise UserError(f"{self._source}: {self._hint or missing}")


def _image_patterns(description: Description) -> list[Pattern]:
    return [Pattern(layout.images, description.folders()) for layout in description.layouts]


def _folder_above(patterns: list[Pattern], parts: tuple[str, ...]) -> Folder | None:
    return next((folder for pattern in patterns if (folder := pattern.folder_above(parts))), None)
