"""Draw the sample: street scenes in IDD-Lite's layout, sizes and classes, packed in ``data/sample.tar.gz``.

What the frames of a drive share is drawn from a generator seeded by (seed, split, drive), the rest from one seeded by
(seed, split, drive, index). A frame is therefore the same whatever else is drawn, and in whatever order.
"""

import gzip
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from segcore.dataset.frames import LABELLED, SPLITS, Frame
from segcore.runtime import console, outputs
from tools.scenes.street import KINDS, Street

SEED = 4
DRIVES = {"train": (9, 2), "val": (12, 1), "test": (2, 2)}  # the drives of each split, and the frames of each drive
STEP = 14.0  # metres from one frame to the next


def main(output: Annotated[Path, typer.Option(help="the archive to write")] = Path("data/sample.tar.gz")) -> None:
    """Draw all frames of the sample and write the archive, with the same bytes every time."""
    files = draw_sample()
    with outputs.new_outputs(output) as [partial]:
        partial.write_bytes(pack(files))


def draw_sample() -> dict[str, bytes]:
    """Draw all frames, and return the content of each file by its path in the published layout."""
    places = [
        (split, drive, index)
        for split, (drives, frames) in DRIVES.items()
        for drive in range(drives)
        for index in range(frames)
    ]
    files: dict[str, bytes] = {}
    for drawn in console.map_with_progress(lambda place: encode_frame(SEED, *place), places, "draw frames"):
        files |= drawn
    return files


def encode_frame(seed: int, split: str, drive: int, index: int) -> dict[str, bytes]:
    """Draw a frame, and return its JPEG, quality 92, and for train and val its label by their paths."""
    number = len(SPLITS) * drive + SPLITS.index(split)  # no two splits share one
    frame = Frame(split, str(number), f"{24_541 + 1_637 * number % 900_000 + 45 * index:06d}")
    picture, labels = draw_frame(seed, split, drive, index)
    files = {frame.image(".jpg").as_posix(): _encode(picture, "JPEG", quality=92)}
    if split in LABELLED:
        files[frame.label.as_posix()] = _encode(labels, "PNG")
    return files


def draw_frame(seed: int, split: str, drive: int, index: int) -> tuple[Image.Image, Image.Image]:
    """Draw frame ``index`` of a drive.

    Returns:
        the picture, RGB, and the class id of each of its pixels, 8-bit grey; both 320×227.
    """
    place = SPLITS.index(split)
    street = Street(KINDS[(place + drive) % len(KINDS)], np.random.default_rng([seed, place, drive]))
    # 1 + index, because numpy treats a seed that ends in zero as the seed without that zero.
    return street.draw(STEP * index, np.random.default_rng([seed, place, drive, 1 + index]))


def pack(files: dict[str, bytes]) -> bytes:
    """Return a gzipped tar of ``files``, sorted, without owners and times, so that it depends on nothing else."""
    buffer = BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)  # mode 0644, owner 0, time 0
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return buffer.getvalue()


def _encode(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    console.run(main)
