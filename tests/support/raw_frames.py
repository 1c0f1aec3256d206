"""A small data/raw, of frames of noise with labels, and arrays of 16×32 pixels from it."""

from pathlib import Path

import numpy as np

from segcore.preprocess.resize import PreprocessParams, build
from tests.support.idd_lite import CLASSES, save_dataset
from tests.support.tiny import ids, jpeg, png

PARAMS = PreprocessParams(height=16, width=32, validation="official")
HOLDOUT = PARAMS.model_copy(update={"validation": "holdout"})
FRAMES = {
    "train": [f"{drive}/{frame:06}" for drive in range(7) for frame in range(2)],
    "val": ["70/000001"],
    "test": ["80/000002", "81/000001"],
}


def write_raw(
    root: Path, frames: dict[str, list[str]] = FRAMES, size: tuple[int, int] = (40, 28), classes: list[str] = CLASSES
) -> Path:
    """Write frames ``DRIVE/NAME`` per split, with labels for train and val, and dataset.json; return data/raw."""
    save_dataset(root, classes=dict.fromkeys(classes, (0, 0, 0)))
    raw = root / "data/raw"
    for split, names in frames.items():
        for i, name in enumerate(names):
            files = {f"leftImg8bit/{split}/{name}_image.jpg": jpeg(size, seed=i)}
            if split != "test":
                files[f"gtFine/{split}/{name}_label.png"] = png(_labels(size, i, len(classes)))
            for path, content in files.items():
                (raw / path).parent.mkdir(parents=True, exist_ok=True)
                (raw / path).write_bytes(content)
    return raw


def _labels(size: tuple[int, int], seed: int, classes: int) -> np.ndarray:
    drawn = ids(size, seed)
    return np.where(drawn == 255, drawn, drawn % classes)


def build_arrays(root: Path, params: PreprocessParams = PARAMS) -> Path:
    """Preprocess ``root``/data/raw, into the folders arrays and native beside data; return the first."""
    build(params, root / "data/raw", root / "arrays", root / "native")
    return root / "arrays"
