"""Show that time grows linearly with frames, epochs and pixels, and memory not at all: ``python -m benchmarks.growth``.

Every row is a stage in a process of its own, in a workspace that has 1, 4 or 16 times the frames, epochs or pixels.
Frames are those of the built-in sample, repeated under new names of drives in an archive for fetch.

``megapixels`` is what the stage works on: frames × epochs × pixels, at the size of the network's input, for fetch at
the frames' own. Training counts its train frames; it validates after each epoch, on val frames that grow along.
``seconds`` is wall-clock time from the start of the process to its end, the shorter of two runs, because whatever else
the machine does can only add to it. ``seconds per added megapixel`` is what the row took more than the row before,
divided by the megapixels that it worked on more: the start-up, which all rows have, drops out of it.

``anonymous MiB`` is the highest ``RssAnon`` that was seen in 50 looks a second: the memory that is the process's own.
``peak MiB`` is ``VmHWM``, which counts pages of files, too: those of a memory map stay as long as nothing else wants
the room. Both are the larger of two runs. Neither is taken from ``wait4``, whose peak begins with that of the process
that forked. Checkpoints come every second here, so that also the shortest training writes one, which takes memory.
"""

import math
import shutil
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
from segcore.idd_lite import SPLITS
from segcore.sample import read_spec
from tests import tiny
from tests.faults import outputs_of
from tests.running import ROOT, start_stage
from tests.workspace import Workspace

STAGES = {"fetch": SPLITS, "preprocess": SPLITS, "train": ("train",), "evaluate": ("val", "test")}  # and their frames
ORDER = list(STAGES)
GROWING = ("frames", "epochs", "pixels")
NATIVE = (227, 320)  # height and width of the sample's frames
CHECKPOINT_SECONDS = "1"
PAUSE = 0.02  # seconds between two looks at the memory

# More than these are no longer flat and linear.
MEMORY_FACTOR, MEMORY_NOISE = 1.2, 16  # times the anonymous memory at 1×, and so many MiB
COST_FACTOR, START_NOISE = 1.5, 0.3  # times the first step's cost, with so many seconds added for the start-up's noise

COST, ANONYMOUS, PEAK = "seconds per added megapixel", "anonymous MiB", "peak MiB"
Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured; these sizes take about 12 minutes where training does 8 frames/s."""

    factors: tuple[int, ...] = (1, 4, 16)  # squares, since pixels grow by both sides
    sample: dict[str, int] = field(  # frames of each split
        default_factory=lambda: read_spec(ROOT / "data/sample.yaml").model_dump(exclude={"seed"})
    )
    height: int = 160
    width: int = 320
    repeats: int = 4  # of the sample at 1×, for fetch and preprocess, which are fast
    runs: int = 2


@dataclass(frozen=True)
class Load:
    """What stages are given: the sample so many times, epochs, and the input size, height and width."""

    growing: str
    factor: int
    stages: tuple[str, ...]
    repeats: int
    epochs: int
    size: tuple[int, int]


def main() -> None:
    """Measure; exit with 1 if memory is not flat over frames and epochs, or time not linear.

    Flat: anonymous memory at the largest factor is at most 1.2 times that
    at the smallest, and 16 MiB. Linear: the last step takes per added
    megapixel at most 1.5 times what the first step took, where the first
    has 0.3 seconds added, because start-up takes now more, now less time.
    """
    sizes = Sizes()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(sizes, loads(sizes), Path(folder, "workspace"))
    report.publish("growth", "what more frames, epochs and pixels cost", rows, runs=sizes.runs)
    found = list(problems(rows))
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        raise typer.Exit(1)


def measure(sizes: Sizes, chosen: Iterable[Load], root: Path) -> list[Row]:
    """The rows of the ``chosen`` loads, in a workspace that is made at ``root``."""
    workspace = Workspace.create(root)
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    workspace.set_sample(**sizes.sample)
    workspace.set_parameter("fetch.source", "data/sample.yaml")
    workspace.set_parameter("train.validate_every", 1)
    start_and_wait("fetch", root)
    sample = tiny.contents(root / "data/raw")
    workspace.set_parameter("fetch.source", "sample.tar.gz")
    rows = []
    for load in chosen:
        tiny.write_tar(root / "sample.tar.gz", repeated(sample, load.repeats))
        workspace.set_parameter("train.epochs", load.epochs)
        workspace.set_parameter("preprocess.height", load.size[0])
        workspace.set_parameter("preprocess.width", load.size[1])
        for stage in ORDER[: ORDER.index(load.stages[-1]) + 1]:
            is_measured = stage in load.stages
            runs = [start_and_wait(stage, root) for _ in range(sizes.runs if is_measured else 1)]
            if is_measured:
                rows.append(row_of(load, stage, sizes.sample, runs))
                print(f"{stage} with {load.factor}× the {load.growing}: {rows[-1]['seconds']} s", file=sys.stderr)
    rows.sort(key=lambda row: (GROWING.index(row["growing"]), ORDER.index(row["stage"]), row["factor"]))
    return with_costs(rows)


def loads(sizes: Sizes) -> Iterator[Load]:
    """What is measured, one after another."""
    full, half = (sizes.height, sizes.width), (sizes.height // 2, sizes.width // 2)
    for factor in sizes.factors:
        size = (half[0] * math.isqrt(factor), half[1] * math.isqrt(factor))
        yield Load("frames", factor, ("fetch", "preprocess"), sizes.repeats * factor, 1, full)
        yield Load("frames", factor, ("train", "evaluate"), factor, 1, full)
        yield Load("epochs", factor, ("train",), 1, factor, full)
        # More frames, for without them the start-up's noise would be as large as what is added.
        yield Load("pixels", factor, ("preprocess",), 4 * sizes.repeats, 1, size)
        yield Load("pixels", factor, ("train", "evaluate"), 2, 1, size)


def repeated(sample: dict[str, bytes], times: int) -> dict[str, bytes]:
    """The files of a data set in the published layout, so many times, each time under other names of drives."""
    files = {}
    for number in range(times):
        for path, data in sample.items():
            tree, split, drive, file = path.split("/")
            files[f"{tree}/{split}/{drive}-{number}/{file}"] = data
    return files


def start_and_wait(stage: str, folder: Path) -> tuple[float, float, float]:
    """Run the stage without its old outputs, as DVC does: seconds, and the highest ``RssAnon`` and ``VmHWM`` in MiB."""
    for output in map(folder.joinpath, outputs_of(stage)):
        if output.is_dir():
            shutil.rmtree(output)
        output.unlink(missing_ok=True)
    anonymous = peak = 0.0
    begun = time.perf_counter()
    with start_stage(stage, folder, SEGCORE_CHECKPOINT_SECONDS=CHECKPOINT_SECONDS) as process:
        while process.poll() is None:
            memory = memory_of(process.pid)
            anonymous, peak = max(anonymous, memory.get("RssAnon", 0)), max(peak, memory.get("VmHWM", 0))
            time.sleep(PAUSE)
        seconds = time.perf_counter() - begun
        assert process.returncode == 0, process.stderr.read()
    return seconds, anonymous, peak


def memory_of(pid: int) -> dict[str, float]:
    """What /proc says of a process that has not been waited for, in MiB; nothing of memory once it has ended."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[-1] == "kB"}


def row_of(load: Load, stage: str, sample: dict[str, int], runs: list[tuple[float, float, float]]) -> Row:
    """The row of a stage, all but the cost, for which the row before is needed."""
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
    """The rows, each but the first of a stage with what it cost more than the row before."""
    for series in series_of(rows):
        for before, row in pairwise(series):
            row[COST] = (row["seconds"] - before["seconds"]) / (row["megapixels"] - before["megapixels"])
    return rows


def series_of(rows: list[Row]) -> list[list[Row]]:
    """The rows of the same stage where the same grows, in the order of the factor."""
    return [list(series) for _, series in groupby(rows, lambda row: (row["growing"], row["stage"]))]


def problems(rows: list[Row]) -> Iterator[str]:
    """What is not flat or not linear, each with its row."""
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
