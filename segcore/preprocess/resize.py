"""Resize frames and labels to the network's input size with Pillow: bilinear for frames, nearest for labels.

Frames that are scored or drawn are also copied at native size, into the folder of the split that preprocess gives them:
with a hold-out, validation frames come from the folder of train.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from PIL import Image
from pydantic import AfterValidator, Field

from segcore.dataset.frames import LABELLED, Frame, find_image
from segcore.files.arrays import ARRAYS, FILES, FRAMES, STATS, ArrayWriter, Row, write_rows, write_stats
from segcore.files.dataset import DATASET, read_dataset
from segcore.files.images import NATIVE, RAW, read_image, read_labels
from segcore.preprocess.splits import choose_splits
from segcore.preprocess.statistics import Statistics
from segcore.runtime import console
from segcore.runtime.outputs import new_outputs
from segcore.runtime.typed import Strict


def _multiple_of_8(value: int) -> int:
    if value % 8:
        raise ValueError("a multiple of 8 was expected, because the encoder halves the picture three times")
    return value


InputSide = Annotated[int, Field(ge=16, le=4096), AfterValidator(_multiple_of_8)]


class PreprocessParams(Strict):
    """Section `preprocess`: the network's input size in pixels, and which frames are validated on."""

    height: InputSide
    width: InputSide
    validation: Literal["official", "holdout"]


class Pixels(NamedTuple):
    """A frame H×W×3 at the network's input size, its labels H×W if there are any, and its native height and width."""

    image: np.ndarray
    label: np.ndarray | None
    native_size: tuple[int, int]


def build(params: PreprocessParams, raw: Path = RAW, arrays: Path = ARRAYS, native: Path = NATIVE) -> dict[str, int]:
    """Write the arrays of ``raw`` into ``arrays`` and the evaluated frames into ``native``; return the split sizes.

    Frames are decoded, resized and appended one after the other, so memory does not grow with their number.

    Raises:
        UserError: if the train or the val split would be empty, a label is missing, or a picture is damaged.
    """
    splits = choose_splits(raw, params.validation)
    classes = read_dataset(raw / DATASET.name).names
    statistics = Statistics(classes)
    rows: list[Row] = []
    with ExitStack() as stack:
        native_partial, *partials = stack.enter_context(new_outputs(native, *(arrays / name for name in FILES)))
        files = dict(zip(FILES, partials, strict=True))
        for split, frames in splits.items():
            shape = (len(frames), params.height, params.width)
            images = stack.enter_context(ArrayWriter(files[f"{split}_images.npy"], (*shape, 3)))
            labels = None
            if split in LABELLED:
                labels = stack.enter_context(ArrayWriter(files[f"{split}_labels.npy"], shape))
            resized = console.map_with_progress(
                lambda frame: resize(raw, frame, params, len(classes)), frames, f"preprocess {split}"
            )
            for frame, pixels in zip(frames, resized, strict=True):
                images.append(pixels.image)
                if labels is not None and pixels.label is not None:
                    labels.append(pixels.label)
                    if split == "train":
                        statistics.add(pixels.image, pixels.label)
                rows.append(Row(Frame(split, frame.drive, frame.name), *pixels.native_size))
        write_rows(files[FRAMES], rows)
        write_stats(files[STATS], statistics.summary())
        copy_native(raw, splits, native_partial)
    if statistics.missing:
        console.say(f"no pixel of train has the class {', '.join(statistics.missing)}")
    return {split: len(frames) for split, frames in splits.items()}


def resize(raw: Path, frame: Frame, params: PreprocessParams, classes: int) -> Pixels:
    """Read a frame and its labels, and resize them; ``classes`` is the number of classes."""
    picture = read_image(find_image(raw, frame))
    size = (params.width, params.height)
    image = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    label = None
    if frame.split in LABELLED:
        ids = Image.fromarray(read_labels(raw / frame.label, picture.size, classes))
        label = np.asarray(ids.resize(size, Image.Resampling.NEAREST))
    return Pixels(image, label, (picture.height, picture.width))


def copy_native(raw: Path, splits: dict[str, list[Frame]], native: Path) -> None:
    """Copy the frames of val and test, and the labels of val, unchanged."""
    native.mkdir()
    for split in ("val", "test"):
        for source in splits[split]:
            frame = Frame(split, source.drive, source.name)
            image = find_image(raw, source)
            copies = {image: frame.image(image.suffix)} | ({raw / source.label: frame.label} if split == "val" else {})
            for old, new in copies.items():
                (native / new).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(old, native / new)
