"""Training on arrays that do not fit into memory: ``python -m benchmarks.streaming``.

Writes arrays of 4 GB to a temporary folder, with frames of the size of data/arrays (run ``dvc repro preprocess``
first), and trains on random frames of them with the recipe of params.yaml, in turns: on 100 frames in memory; on the
arrays, read ahead in a thread, as train does; and on the arrays, each batch read when its step begins. It needs a limit
on memory, for example by ``systemd-run --scope -p MemoryMax=3G``; ``limit, GiB`` in the result is what the cgroup
allows.
"""

import dataclasses
import os
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.rates import Work, by_turns, ratio, wait
from benchmarks.report import publish
from benchmarks.throughput import network_and_size
from segcore.files.arrays import load_images
from segcore.network import device
from segcore.network.tensors import FrameStore
from segcore.train.loop import Training
from segcore.train.recipe import Recipe
from stages.train import load_data

LIMITS = ("memory.limit_in_bytes", "memory.max")  # of cgroups, versions 1 and 2


def main(
    gigabytes: Annotated[float, typer.Option(min=0.01, help="Size of the arrays.")] = 4.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 5,
    frames: Annotated[int, typer.Option(min=4, help="Frames that each trains on in a round.")] = 48,
) -> None:
    """Measure, on the CPU: on a GPU the arrays would fit."""
    os.environ["SEGCORE_DEVICE"] = "cpu"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        height, width = load_images("train").shape[1:3]
        write(Path(folder), int(gigabytes * 1e9 / (4 * height * width)), height, width)
        kinds = ("in memory", "read ahead", "read between steps")
        rates = by_turns({kind: partial(train, folder, kind, frames) for kind in kinds}, rounds)
    rows = [
        {"frames": kind, "frames/s": round(median(measured), 2)} | ratio(measured, rates["in memory"])
        for kind, measured in rates.items()
    ]
    about = {"gigabytes": gigabytes, "limit, GiB": limit(), "rounds": rounds}
    publish("streaming", f"Training on arrays larger than memory, {network_and_size()}", rows, **about)


def write(folder: Path, count: int, height: int, width: int) -> None:
    """Write images.npy and labels.npy with ``count`` frames: 50 of noise, again and again."""
    rng = np.random.default_rng(0)
    for name, shape, high in (("images", (height, width, 3), 256), ("labels", (height, width), 7)):
        block = rng.integers(0, high, (50, *shape), dtype=np.uint8)
        array = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, (count, *shape))
        for first in range(0, count, len(block)):
            array[first : first + len(block)] = block[: count - first]
        array.flush()


def train(folder: str, kind: str, frames: int) -> Work:
    """Return training on random frames."""
    where = device.prepare()
    images, labels = (np.load(Path(folder, f"{name}.npy"), mmap_mode="c") for name in ("images", "labels"))
    if kind == "in memory":
        images, labels = images[:100].copy(), labels[:100].copy()
    store = FrameStore(images, labels, where)
    run = Training(Recipe.load(), dataclasses.replace(load_data(where), train=store), where)
    run.model.train()
    batch, rng = run.params.batch_size, np.random.default_rng(1)

    def work() -> float:
        indices = [torch.from_numpy(rng.integers(0, len(store), batch)) for _ in range(frames // batch)]
        batches = map(store.batch, indices) if kind == "read between steps" else store.batches(indices)
        for index, read in zip(indices, batches, strict=True):
            run.train_step(index, read)
            run.step += 1
        wait(where)
        return len(indices) * batch

    return work


def limit() -> float | None:
    """Return the gibibytes that the cgroup of this process may use; ``None`` without a limit."""
    root = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            for file in (root / controllers / path[1:] / name for name in LIMITS):
                if file.exists() and (text := file.read_text().strip()).isdecimal() and int(text) < 1 << 60:
                    return round(int(text) / 2**30, 2)
    return None


if __name__ == "__main__":
    typer.run(main)
