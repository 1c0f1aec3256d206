"""Show that time grows linearly with frames, epochs and pixels, and memory not: ``python -m benchmarks.growth``.

Each row is a stage as a process, on 1, 4 or 16 times the frames, epochs or pixels. The frames are those of the built-in
sample, repeated under new names of drives in an archive for fetch.

``megapixels`` is the work of the stage: frames × epochs × pixels at the input size of the network, or for fetch at the
size of the frames. For train these are the train frames; it validates after each epoch, on val frames whose number
grows as well. ``seconds`` is wall-clock time from the start of the process to its end, the shorter of two runs, because
other load on the machine can only add to it. ``seconds per added megapixel`` divides the seconds that a row took more
than the row before by the megapixels it has more: the start-up, which all rows have, cancels out.

``anonymous MiB`` is the highest ``RssAnon``, read 50 times a second: the memory of the process itself. ``peak MiB`` is
``VmHWM``, which also counts pages of files: those of a memory map stay as long as nothing else needs the room. Both are
the larger of two runs. Neither is from ``wait4``, whose peak begins with that of the process that forked. A checkpoint
is written every second, so that the shortest training writes one, too, which takes memory.
"""

import math
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import typer

from benchmarks import report
from benchmarks.checkout import Checkout
from segcore.dataset.frames import SPLITS
from tests.support import tiny

# The stages, and the splits whose frames they work on.
STAGES = {"fetch": SPLITS, "preprocess": SPLITS, "train": ("train",), "evaluate": ("val", "test")}
ORDER = list(STAGES)
GROWING = ("frames", "epochs", "pixels")
NATIVE = (227, 320)  # height and width of the sample's frames
CHECKPOINT_SECONDS = "1"
PAUSE = 0.02  # seconds between two looks at the memory

# Limits up to which memory counts as flat and time as linear.
MEMORY_FACTOR, MEMORY_NOISE = 1.2, 16  # times the anonymous memory at 1×, plus MiB
COST_FACTOR, START_NOISE = 1.5, 0.3  # times the cost of the first step, to which seconds are added

COST, ANONYMOUS, PEAK = "seconds per added megapixel", "anonymous MiB", "peak MiB"
Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured; the default takes about 12 minutes where training reaches 8 frames/s."""

    factors: tuple[int, ...] = (1, 4, 16)  # squares, because both sides of the pictures grow
    sample: dict[str, int] = field(default_factory=lambda: {"train": 18, "val": 12, "test": 4})  # its first frames
    height: int = 160
    width: int = 320
    repeats: int = 6  # of the sample at 1×, for fetch and preprocess, which are fast
    runs: int = 2


@dataclass(frozen=True)
class Load:
    """The input of stages: repeats of the sample, epochs, and the input size, height and width."""

    growing: str
    factor: int
    stages: tuple[str, ...]
    repeats: int
    epochs: int
    size: tuple[int, int]


def main() -> None:
    """Measure; exit with 1 if memory is not flat over frames and epochs, or time not linear.

    Flat: anonymous memory at the largest factor is at most 1.2 times that
    at the smallest plus 16 MiB. Linear: an added megapixel of the last step
    takes at most 1.5 times as long as one of the first step, to which 0.3
    seconds are added, because the time for the start-up varies.
    """
    sizes = Sizes()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(sizes, loads(sizes), Path(folder))
    report.publish("growth", "The cost of more frames, epochs and pixels", rows, runs=sizes.runs)
    found = list(problems(rows))
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        raise typer.Exit(1)


def measure(sizes: Sizes, chosen: Iterable[Load], root: Path) -> list[Row]:
    """Return the rows of the ``chosen`` loads, measured in a copy of the checkout at ``root``."""
    checkout = Checkout(root, root / "frames.tar.gz")
    sample = tiny.scenes(**sizes.sample)
    rows = []
    for load in chosen:
        write_archive(root / "frames.tar.gz", sample, load.repeats)
        height, width = load.size
        checkout.set(preprocess={"height": height, "width": width}, train={"epochs": load.epochs, "validate_every": 1})
        for stage in ORDER[: ORDER.index(load.stages[-1]) + 1]:
            is_measured = stage in load.stages
            runs = [run_and_watch(checkout, stage) for _ in range(sizes.runs if is_measured else 1)]
            if is_measured:
                rows.append(row_of(load, stage, sizes.sample, runs))
                print(f"{stage} with {load.factor}× the {load.growing}: {rows[-1]['seconds']} s", file=sys.stderr)
    rows.sort(key=lambda row: (GROWING.index(row["growing"]), ORDER.index(row["stage"]), row["factor"]))
    return with_costs(rows)


def loads(sizes: Sizes) -> Iterator[Load]:
    """Yield what is measured, in this order."""
    full, half = (sizes.height, sizes.width), (sizes.height // 2, sizes.width // 2)
    for factor in sizes.factors:
        size = (half[0] * math.isqrt(factor), half[1] * math.isqrt(factor))
        yield Load("frames", factor, ("fetch", "preprocess"), sizes.repeats * factor, 1, full)
        yield Load("frames", factor, ("train", "evaluate"), factor, 1, full)
        yield Load("epochs", factor, ("train",), 1, factor, full)
        # More frames, because else the start-up would vary by as much as the pixels add.
        yield Load("pixels", factor, ("preprocess",), 4 * sizes.repeats, 1, size)
        yield Load("pixels", factor, ("train", "evaluate"), 2, 1, size)


def write_archive(path: Path, sample: dict[str, bytes], times: int) -> None:
    """Write the files ``times`` times, each time under different names of drives."""
    files = [(*name.rsplit("/", 1), data) for name, data in sample.items()]
    tiny.write_tar(path, {f"{drive}-{i}/{file}": data for i in range(times) for drive, file, data in files})


def run_and_watch(checkout: Checkout, stage: str) -> tuple[float, float, float]:
    """Run the stage; return its seconds, and the highest ``RssAnon`` and ``VmHWM`` in MiB."""
    anonymous = peak = 0.0
    begun = time.perf_counter()
    with checkout.start(f"stages.{stage}", quiet=True, SEGCORE_CHECKPOINT_SECONDS=CHECKPOINT_SECONDS) as process:
        while process.poll() is None:
            memory = memory_of(process.pid)
            anonymous, peak = max(anonymous, memory.get("RssAnon", 0)), max(peak, memory.get("VmHWM", 0))
            time.sleep(PAUSE)
        seconds = time.perf_counter() - begun
        _, said = process.communicate()
    assert process.returncode == 0, said
    return seconds, anonymous, peak


def memory_of(pid: int) -> dict[str, float]:
    """Return the sizes in /proc of a process, in MiB; none once it has ended."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[-1] == "kB"}


def row_of(load: Load, stage: str, sample: dict[str, int], runs: list[tuple[float, float, float]]) -> Row:
    """Return the row of a stage, without the cost, which needs the row before."""
    frames = load.repeats * sum(sample[split] for split in STAGES[stage])
    epochs = load.epochs if stage == "train" else None
    height, width = NATIVE if stage == "fetch" else load.size
    seconds, anonymous, peak = zip(*runs, strict=True)
    return {
        "growing": load.growing,
        "factor": load.factor,
        "stage": stage,
        "frames": frames,
        "epochs": epochs,
        "size": f"{height}×{width}",
        "megapixels": frames * (epochs or 1) * height * width / 1e6,
        "seconds": round(min(seconds), 3),
        COST: None,
        ANONYMOUS: round(max(anonymous), 1),
        PEAK: round(max(peak), 1),
    }


def with_costs(rows: list[Row]) -> list[Row]:
    """Add to each row but the first of a stage what it cost more than the row before."""
    for series in series_of(rows):
        for before, row in pairwise(series):
            row[COST] = (row["seconds"] - before["seconds"]) / (row["megapixels"] - before["megapixels"])
    return rows


def series_of(rows: list[Row]) -> list[list[Row]]:
    """Return the rows by stage and by what grows, each list in the order of the factor."""
    return [list(series) for _, series in groupby(rows, lambda row: (row["growing"], row["stage"]))]


def problems(rows: list[Row]) -> Iterator[str]:
    """Yield a line for each row whose memory is not flat or whose time is not linear."""
    for series in series_of(rows):
        first, second, last = series[0], series[1], series[-1]
        where = f"{last['stage']} with {last['factor']}× the {last['growing']}"
        bound = MEMORY_FACTOR * first[ANONYMOUS] + MEMORY_NOISE
        if last["growing"] != "pixels" and last[ANONYMOUS] > bound:
            yield f"{where}: {last[ANONYMOUS]} MiB of anonymous memory, {first[ANONYMOUS]} with {first['factor']}×"
        noise = START_NOISE / (second["megapixels"] - first["megapixels"])
        if last[COST] > COST_FACTOR * (second[COST] + noise):
            yield f"{where}: {last[COST]:.3g} seconds per added megapixel, {second[COST]:.3g} in the first step"


if __name__ == "__main__":
    typer.run(main)
