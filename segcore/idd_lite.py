"""The layout of IDD-Lite on disk, as published, and which frames there are.

``leftImg8bit/SPLIT/DRIVE/NAME_image.jpg`` for train, val and test, ``gtFine/SPLIT/DRIVE/NAME_label.png`` for train and
val.
"""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")
MAX_PIXELS = 16_000_000  # IDD-Lite's pictures have 72,640; a small file can claim enough to exhaust the memory


@dataclass(frozen=True)
class Frame:
    """One frame: the drive it was taken on, and its name there. ``image`` and ``label`` are relative to the root.

    Raises:
        ValueError: if a name would lead to another folder, so that nothing is written there.
    """

    split: str
    drive: str
    name: str

    def __post_init__(self) -> None:
        if {*"/\0"} & {*self.drive, *self.name} or self.drive in ("", ".", ".."):
            raise ValueError(f"{self.drive!r} and {self.name!r} do not name a drive and a frame")

    @property
    def image(self) -> Path:
        """Where its JPEG stands."""
        return Path("leftImg8bit", self.split, self.drive, f"{self.name}_image.jpg")

    @property
    def label(self) -> Path:
        """Where its label stands; test frames have none."""
        return Path("gtFine", self.split, self.drive, f"{self.name}_label.png")


def list_frames(root: Path, split: str) -> list[Frame]:
    """The frames of ``split`` whose JPEG stands below ``root``, sorted by drive and name as text."""
    files = (root / "leftImg8bit" / split).glob("*/*_image.jpg")
    frames = [Frame(split, file.parent.name, file.name.removesuffix("_image.jpg")) for file in files]
    return sorted(frames, key=lambda frame: (frame.drive, frame.name))
