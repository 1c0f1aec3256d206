"""How long the intervals of a comparison take: ``python -m benchmarks.bootstrap``."""

import time
from statistics import median
from typing import Annotated

import numpy as np
import typer

from benchmarks.report import publish
from segcore.review import bootstrap

SIZES = ((1, 61), (1, 610), (1, 6100), (5, 61), (5, 610))  # seeds, drives; IDD-Lite's validation split has 61 drives
CLASSES = 7
PIXELS = 256 * 128  # of a frame, at the size of the protocol


def main(rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 7) -> None:
    """Measure the paired bootstrap over drives and seeds, on random counts."""
    rows = []
    for seeds, drives in SIZES:
        base, new = np.random.default_rng(1).integers(0, PIXELS, (2, seeds, drives, CLASSES, 3)).astype(float)
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            bootstrap.intervals(base, new)
            seconds.append(time.perf_counter() - started)
        times = {"seconds": median(seconds), "least": min(seconds), "most": max(seconds)}
        rows.append({"seeds": seeds, "drives": drives} | {name: round(value, 3) for name, value in times.items()})
    publish("bootstrap", "Intervals of all classes and their mean", rows, rounds=rounds, resamples=bootstrap.RESAMPLES)


if __name__ == "__main__":
    typer.run(main)
