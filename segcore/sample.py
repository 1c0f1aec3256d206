"""The built-in sample data set: street scenes drawn by program, in IDD-Lite's layout, sizes and classes.

What the frames of a drive share comes from a generator seeded by (seed, split, drive), the rest from one seeded by
(seed, split, drive, frame): a frame is the same whatever else is drawn, and in whatever order.
"""

import io
from contextlib import closing
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field

from segcore.console import progress
from segcore.idd_lite import SPLITS
from segcore.params import Section, parse, read_yaml
from segcore.scenes.street import KINDS, Street
from segcore.workers import map_in_order

DRIVE = 4  # frames
STEP = 14.0  # metres from one frame to the next

Frames = Annotated[int, Field(ge=1, le=10_000)]


class SampleSpec(Section):
    """What data/sample.yaml says: the seed, and the number of frames of each split."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    train: Frames
    val: Frames
    test: Frames


def read_spec(path: Path) -> SampleSpec:
    """Read the description of a sample.

    Raises:
        UserError: naming each wrong key, its value and what was expected.
    """
    return parse(read_yaml(path), SampleSpec, path)


def write_sample(spec: SampleSpec, root: Path) -> None:
    """Draw all frames into ``root``: leftImg8bit/SPLIT/DRIVE/FRAME_image.jpg, RGB, and for train and val
    gtFine/SPLIT/DRIVE/FRAME_label.png with class ids 0-6 and void 255.
    """
    frames = [(split, number) for split in SPLITS for number in range(getattr(spec, split))]
    with closing(map_in_order(lambda frame: _write_frame(spec.seed, *frame, root), frames)) as written:
        for _ in progress(written, len(frames), "drawing the sample"):
            pass


def draw_frame(seed: int, split: str, number: int) -> tuple[Image.Image, Image.Image]:
    """Draw a frame of a split.

    Returns:
        the picture, RGB, and the class id of each of its pixels, 8-bit grey; 320 wide, 227 high.
    """
    place, (drive, index) = SPLITS.index(split), divmod(number, DRIVE)
    street = Street(KINDS[(place + drive) % len(KINDS)], np.random.default_rng([seed, place, drive]))
    # 1 + index: a seed with a zero at its end is the seed without it.
    return street.draw(STEP * index, np.random.default_rng([seed, place, drive, 1 + index]))


def _write_frame(seed: int, split: str, number: int, root: Path) -> None:
    drive, index = divmod(number, DRIVE)
    drive = len(SPLITS) * drive + SPLITS.index(split)  # so that no two splits share one
    name = f"{split}/{drive}/{24_541 + 1_637 * drive % 900_000 + 45 * index:06d}"
    picture, labels = draw_frame(seed, split, number)
    image, label = root / f"leftImg8bit/{name}_image.jpg", root / f"gtFine/{name}_label.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()  # to a file, Pillow's JPEG encoder takes no notice when a full disk ends it early
    picture.save(encoded, "JPEG", quality=92)
    image.write_bytes(encoded.getvalue())
    if split != "test":
        label.parent.mkdir(parents=True, exist_ok=True)
        labels.save(label)
