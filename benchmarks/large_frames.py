"""Show that large frames with polygons take flat memory: ``python -m benchmarks.large_frames``.

Frames of 1920×1080 pixels with polygons, in a folder in the layout of IDD Segmentation, go through fetch and
preprocess, to 512×1024, with as many threads as there are cores. The smallest number of them is also trained on for one
epoch. The frames are scenes of the built-in sample, enlarged, with noise, as JPEGs of about the size of IDD's. A
polygons file has 60 objects of 4 to 60 points.

``frames/s`` is the number of frames divided by the seconds of the whole process. ``decoding alone`` is the rate at
which Pillow decodes these JPEGs in as many threads, without anything else. ``14,000 frames, minutes`` divides that
number of frames by ``frames/s``.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import typer
from PIL import Image

from benchmarks import report
from benchmarks.checkout import ROOT, Checkout
from benchmarks.growth import ANONYMOUS, MEMORY_FACTOR, MEMORY_NOISE, PEAK, Row, run_and_watch
from segcore.files.description import SETS, read_description
from segcore.runtime.threads import thread_count
from tests.support import tiny

COUNTS = (88, 350, 700)
SIZE = (1920, 1080)
INPUT_SIZE = (512, 1024)  # height, width of the network's input
POOL = 18  # different pictures
EXTRAPOLATED = 14_000
DESCRIPTION = SETS / "idd.yaml"


def main() -> None:
    """Measure; exit with 1 if memory grows with the number of frames."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder))
    report.publish("large_frames", "Frames of 1920×1080 with polygons", rows)
    for last in rows[-2:]:
        first = next(row for row in rows if row["stage"] == last["stage"])
        if last[ANONYMOUS] > MEMORY_FACTOR * first[ANONYMOUS] + MEMORY_NOISE:
            print(f"{last['stage']}: {last[ANONYMOUS]} MiB, {first[ANONYMOUS]} with fewer frames", file=sys.stderr)
            raise typer.Exit(1)


def measure(
    root: Path, counts: Sequence[int] = COUNTS, size: tuple[int, int] = SIZE, input_size: tuple[int, int] = INPUT_SIZE
) -> list[Row]:
    """Return a row per number of frames and stage."""
    source = root / "source"
    checkout = Checkout(root / "checkout", source, DESCRIPTION)
    height, width = input_size
    checkout.set(preprocess={"height": height, "width": width}, train={"epochs": 1})
    names = [name for each in read_description(ROOT / DESCRIPTION).classes.values() for name in each.names]
    pictures = make_pictures(size)
    alone = decoding_rate(pictures)
    rows = []
    for before, count in pairwise((0, *counts)):
        for number in range(before, count):
            write_frame(source, number, pictures[number % POOL], size, names)
        for stage in ("fetch", "preprocess") if rows else ("fetch", "preprocess", "train"):
            rows.append(row_of(stage, count, alone, *run_and_watch(checkout, stage)))
            print(f"{stage} with {count} frames: {rows[-1]['seconds']} s", file=sys.stderr)
    return rows


def row_of(stage: str, frames: int, alone: float, seconds: float, anonymous: float, peak: float) -> Row:
    """Return the row of a stage."""
    return {
        "stage": stage,
        "frames": frames,
        "seconds": round(seconds, 1),
        "frames/s": round(frames / seconds, 1),
        "decoding alone": round(alone, 1),
        f"{EXTRAPOLATED:,} frames, minutes": round(EXTRAPOLATED * seconds / frames / 60, 1),
        ANONYMOUS: round(anonymous, 1),
        PEAK: round(peak, 1),
    }


def make_pictures(size: tuple[int, int]) -> list[bytes]:
    """Return the JPEGs."""
    rng = np.random.default_rng(0)
    files = tiny.scenes(POOL, 0, 0)
    pictures = []
    for data in [data for name, data in files.items() if name.startswith("leftImg8bit/")]:
        with Image.open(BytesIO(data)) as scene:
            large = np.asarray(scene.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(large + rng.normal(0, 6, large.shape), 0, 255).astype(np.uint8)
        written = BytesIO()
        Image.fromarray(noisy).save(written, "JPEG", quality=85)
        pictures.append(written.getvalue())
    return pictures


def write_frame(source: Path, number: int, picture: bytes, size: tuple[int, int], names: list[str]) -> None:
    """Write a frame, and its polygons with labels of ``names``; every seventh is of val."""
    split = "val" if number % 7 == 0 else "train"
    drive = f"{split}-{number // 50}"
    rng = np.random.default_rng(number)
    objects = []
    for _ in range(60):
        centre, radius = rng.uniform(0, size), rng.uniform(10, size[1] / 2)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 60)))
        points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        objects.append({"label": str(rng.choice(names)), "polygon": points.round(1).tolist()})
    polygons = {"imgHeight": size[1], "imgWidth": size[0], "objects": objects}
    frame = f"{split}/{drive}/frame{number}"
    files = {f"leftImg8bit/{frame}_leftImg8bit.jpg": picture}
    files[f"gtFine/{frame}_gtFine_polygons.json"] = json.dumps(polygons).encode()
    tiny.write_folder(source / "idd20kII", files)


def decoding_rate(pictures: list[bytes]) -> float:
    """Return the frames per second of decoding alone, in as many threads as the stages have."""

    def decode(data: bytes) -> None:
        with Image.open(BytesIO(data)) as picture:
            picture.load()

    work = pictures * 5
    with ThreadPoolExecutor(thread_count()) as pool:
        begun = perf_counter()
        list(pool.map(decode, work))
        return len(work) / (perf_counter() - begun)


if __name__ == "__main__":
    typer.run(main)
