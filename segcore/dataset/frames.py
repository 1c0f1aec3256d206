"""The layout of frames and labels in data/raw and data/native, which is that of IDD-Lite, and the frames in it.

``leftImg8bit/SPLIT/DRIVE/NAME_image.jpg``, or ``.png``, for train, val and test; ``gtFine/SPLIT/DRIVE/NAME_label.png``
for train and val.
"""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")
LABELLED = ("train", "val")  # the splits with ground truth
SUFFIXES = (".jpg", ".png")  # of the pictures
MAX_PIXELS = 16_000_000  # Cityscapes' frames have 2,097,152; a small file can claim enough to exhaust the memory


@dataclass(frozen=True)
class Frame:
    """One frame: the drive it was taken on, and its name in that drive. Its paths are relative to a data folder.

    Raises:
        ValueError: if a name contains a slash, or would lead to a different folder.
    """

    split: str
    drive: str
    name: str

    def __post_init__(self) -> None:
        if {*"/\0"} & {*self.drive, *self.name} or self.drive in ("", ".", ".."):
            raise ValueError(f"{self.drive!r} and {self.name!r} do not name a drive and a frame")

    def __str__(self) -> str:
        return f"{self.drive}/{self.name}"

    def image(self, suffix: str) -> Path:
        """Return the path of its picture, a ``.jpg`` or a ``.png``."""
        return Path("leftImg8bit", self.split, self.drive, f"{self.name}_image{suffix}")

    @property
    def label(self) -> Path:
        """Path of its ground truth; test frames have none."""
        return Path("gtFine", self.split, self.drive, f"{self.name}_label.png")

    @property
    def prediction(self) -> Path:
        """Path of its predicted class ids."""
        return Path(self.split, self.drive, f"{self.name}_label.png")


def list_frames(root: Path, split: str) -> list[Frame]:
    """Return the frames of ``split`` that have a picture below ``root``, sorted by drive and name as text."""
    files = (root / "leftImg8bit" / split).glob("*/*_image.*")
    frames = {
        Frame(split, file.parent.name, file.name.removesuffix(f"_image{file.suffix}"))
        for file in files
        if file.suffix in SUFFIXES
    }
    return sorted(frames, key=lambda frame: (frame.drive, frame.name))


def find_image(root: Path, frame: Frame) -> Path:
    """Return the path of the picture of ``frame`` below ``root``; that of a JPEG if there is none."""
    paths = [root / frame.image(suffix) for suffix in SUFFIXES]
    return next((path for path in paths if path.exists()), paths[0])
