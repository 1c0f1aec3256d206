"""Frames and labels resized to the network's input size with Pillow: bilinear for frames, nearest for labels.

``stats.json``: channel mean and standard deviation of the train split on a 0–1 scale, and its class shares; nothing of
other splits, because training depends on it. What is scored and drawn later is also kept at native size, under the name
of the split it counts for: with a hold-out, validation frames come from IDD-Lite's train folder.
"""

import hashlib
import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from PIL import Image
from pydantic import AfterValidator, Field

from segcore.arrays import LABELLED, ArrayWriter, Row, write_rows
from segcore.console import UserError, progress
from segcore.idd_lite import SPLITS, Frame, list_frames
from segcore.labels import CLASSES, VOID
from segcore.outputs import new_outputs
from segcore.params import Section
from segcore.pictures import read_image, read_labels
from segcore.workers import map_in_order

HOLDOUT_SHARE = 1 / 7  # nearly the share of the official validation split in the labelled frames: 204 of 1607


def _multiple_of_8(value: int) -> int:
    if value % 8:
        raise ValueError("a multiple of 8 was expected, because the encoder halves the picture three times")
    return value


Side = Annotated[int, Field(ge=16, le=4096), AfterValidator(_multiple_of_8)]


class PreprocessParams(Section):
    """Section ``preprocess``: the network's input size in pixels, and which frames are validated on."""

    height: Side
    width: Side
    validation: Literal["official", "holdout"]


class Pixels(NamedTuple):
    """One frame at the network's input size, H×W×3, its labels, H×W, where there are any, and its native size."""

    image: np.ndarray
    label: np.ndarray | None
    native_size: tuple[int, int]


def build(raw: Path, arrays: Path, native: Path, params: PreprocessParams) -> dict[str, int]:
    """Write the arrays of ``raw`` into ``arrays`` and the evaluated frames into ``native``; count frames per split.

    Frames are decoded, resized and appended one after another, so memory does not grow with their number.

    Raises:
        UserError: if the train or the val split would be empty.
    """
    splits = choose_splits(raw, params.validation)
    names = [f"{split}_images.npy" for split in SPLITS] + [f"{split}_labels.npy" for split in LABELLED]
    names += ["frames.csv", "stats.json"]
    stats = Statistics()
    rows: list[Row] = []
    with ExitStack() as stack:
        native_partial, *files = stack.enter_context(new_outputs(native, *(arrays / name for name in names)))
        partials = dict(zip(names, files, strict=True))
        for split, frames in splits.items():
            shape = (len(frames), params.height, params.width)
            images = stack.enter_context(ArrayWriter(partials[f"{split}_images.npy"], (*shape, 3)))
            labels = None
            if split in LABELLED:
                labels = stack.enter_context(ArrayWriter(partials[f"{split}_labels.npy"], shape))
            resized = map_in_order(lambda frame: _read(raw, frame, params), frames)
            for frame, pixels in zip(frames, progress(resized, len(frames), f"preprocess {split}"), strict=True):
                images.append(pixels.image)
                if labels is not None:
                    labels.append(pixels.label)
                if split == "train":
                    stats.add(pixels)
                rows.append(Row(Frame(split, frame.drive, frame.name), *pixels.native_size))
        write_rows(partials["frames.csv"], rows)
        partials["stats.json"].write_text(json.dumps(stats.summary(), indent=2) + "\n")
        _copy_native(raw, splits, native_partial)
    return {split: len(frames) for split, frames in splits.items()}


def choose_splits(raw: Path, validation: str) -> dict[str, list[Frame]]:
    """The frames of each split in array order; with ``holdout``, some drives of train stand in for val.

    Drives are held out in the order of a hash of their names: a choice that looks random, and that hardly changes
    when drives are added.
    """
    splits = {split: list_frames(raw, split) for split in SPLITS}
    if validation == "holdout":
        frames = splits["train"]
        held_out: set[str] = set()
        for drive in sorted({frame.drive for frame in frames}, key=lambda name: _digest(name.encode())):
            if sum(frame.drive in held_out for frame in frames) >= HOLDOUT_SHARE * len(frames):
                break
            held_out.add(drive)
        splits["val"] = [frame for frame in frames if frame.drive in held_out]
        splits["train"] = [frame for frame in frames if frame.drive not in held_out]
    for split in LABELLED:
        if not splits[split]:
            advice = "more than one train drive is needed" if validation == "holdout" else "run `dvc repro fetch`"
            raise UserError(f"{raw}: no {split} frames with preprocess.validation={validation}; {advice}")
    return splits


class Statistics:
    """Channel mean and standard deviation, and class shares, from exact integer sums."""

    def __init__(self) -> None:
        self._levels = np.zeros((3, 256), dtype=np.int64)
        self._classes = np.zeros(256, dtype=np.int64)

    def add(self, pixels: Pixels) -> None:
        """Count one frame."""
        for channel in range(3):
            self._levels[channel] += np.bincount(pixels.image[..., channel].ravel(), minlength=256)
        self._classes += np.bincount(pixels.label.ravel(), minlength=256)

    def summary(self) -> dict[str, Any]:
        """Mean and standard deviation per channel, 0–1, and the share of each class and of void, to 6 decimals."""
        level = np.arange(256) / 255
        mean = self._levels @ level / self._levels.sum(axis=1)
        std = np.sqrt(self._levels @ level**2 / self._levels.sum(axis=1) - mean**2)
        share = self._classes / self._classes.sum()
        return {
            "mean": mean.round(6).tolist(),
            "std": std.round(6).tolist(),
            "share": {name: round(float(share[i]), 6) for i, name in enumerate(CLASSES)},
            "void_share": round(float(share[VOID]), 6),
        }


def _read(raw: Path, frame: Frame, params: PreprocessParams) -> Pixels:
    picture = read_image(raw / frame.image)
    size = (params.width, params.height)
    image = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    label = None
    if frame.split in LABELLED:
        ids = Image.fromarray(read_labels(raw / frame.label, picture.size))
        label = np.asarray(ids.resize(size, Image.Resampling.NEAREST))
    return Pixels(image, label, (picture.height, picture.width))


def _copy_native(raw: Path, splits: dict[str, list[Frame]], native: Path) -> None:
    native.mkdir()
    for split in ("val", "test"):
        for frame in splits[split]:
            counted = Frame(split, frame.drive, frame.name)
            pairs = [(frame.image, counted.image)] + ([(frame.label, counted.label)] if split == "val" else [])
            for source, target in pairs:
                (native / target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(raw / source, native / target)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
