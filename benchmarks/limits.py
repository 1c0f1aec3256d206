"""Our training and the fastest matrix product of the machine, in turns: ``python -m benchmarks.limits``.

Trains on data/arrays (run ``dvc repro preprocess`` first).
"""

import time
from functools import partial
from statistics import median
from typing import Annotated

import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rates import Work, by_turns, wait
from benchmarks.report import publish
from benchmarks.throughput import make_run, our_step, train_only
from segcore.network import device
from segcore.network.tensors import to_float
from segcore.train.loop import Training
from segcore.train.loss import cross_entropy

SIZES = (512, 1024, 2048, 4096)
TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 7,
    frames: Annotated[int, typer.Option(min=8, help="Frames that are trained on in a round.")] = 48,
) -> None:
    """Measure square matrix products in the precision of training, and the share of the best that training reaches.

    A multiply-add counts as two operations. In training only those of the
    convolutions count, forward and backward.
    """
    run = make_run()
    sizes = (*SIZES, 8192) if run.device.type == "cuda" else SIZES
    makers = {f"product of {size}×{size}": partial(product, size, run.precision) for size in sizes}
    makers |= {"step only": partial(our_step, frames), "training": partial(train_only, frames)}
    rates = by_turns(makers, rounds)
    best = max(median(rates[name]) for name in makers if name.startswith("product"))
    per_frame = operations(run)
    rows = []
    for name, measured in rates.items():
        speed = median(measured) * (1 if name.startswith("product") else per_frame)
        frames_per_second = None if name.startswith("product") else round(median(measured), 2)
        rows.append(
            {"measured": name, "GFLOP/s": round(speed, 1), "share": round(speed / best, 3)}
            | {"frames/s": frames_per_second}
        )
    about = {"precision": run.precision, "batch": run.params.batch_size, "GFLOP a frame": round(per_frame, 2)}
    publish("limits", "Training beside matrix products", rows, rounds=rounds, **about)


def product(size: int, precision: str) -> Work:
    """Return work that multiplies two square matrices for about a second; its unit is 10⁹ operations."""
    where = device.prepare()
    a, b = (torch.randn(size, size, device=where, dtype=TYPES[precision]) for _ in range(2))
    repeats = 1

    def work() -> float:
        for _ in range(repeats):
            a @ b
        wait(where)
        return repeats * 2 * size**3 / 1e9

    work()
    started = time.perf_counter()
    work()
    repeats = max(1, round(1 / (time.perf_counter() - started)))
    return work


def operations(run: Training) -> float:
    """Return how many 10⁹ operations training takes per frame, counted in a step."""
    images, labels = run.data.train.batch(torch.arange(1))
    with FlopCounterMode(display=False) as counter:
        total, weight = cross_entropy(run.model(run.normalise(to_float(images))), labels, run.weights)
        (total / weight).backward()
    return counter.get_total_flops() / 1e9


if __name__ == "__main__":
    typer.run(main)
