"""Frames per second of training in several processes: ``python -m benchmarks.scaling``.

Trains on what lies in data/arrays (run ``dvc repro preprocess`` first). On the CPU, one process with a thread for each
core is compared with 2, 4 or 8 processes that share the cores, as many as there are cores; on CUDA, 1, 2, 4 and 8
processes are, as far as there are GPUs. Each is started anew in every round, and measured after two steps.
"""

import json
import os
import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Annotated

import torch
import typer

from benchmarks.rates import ratio, wait
from benchmarks.report import publish
from benchmarks.throughput import make_run, network_and_size
from segcore.network import device
from segcore.parallel import group
from segcore.runtime import processes
from segcore.runtime.threads import thread_count

BATCH_SIZES = (8, 16)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 5,
    frames: Annotated[int, typer.Option(min=1, help="Frames that each trains on in a round.")] = 96,
) -> None:
    """Measure; or in a process that this has started, train."""
    if "SCALING_BATCH" in os.environ:
        return train(int(os.environ["SCALING_BATCH"]), frames)
    cores = thread_count()
    if device.find_device().type == "cuda":
        counts = [count for count in (1, 2, 4, 8) if count <= torch.cuda.device_count()]
    else:
        counts = [1, max(count for count in (1, 2, 4, 8) if count <= cores)]
    layouts = [(count, max(1, cores // count)) for count in counts]
    rows = []
    for batch in BATCH_SIZES:
        rates = {layout: [] for layout in layouts}
        for _ in range(rounds):
            for layout in layouts:
                rates[layout].append(measure(*layout, batch, frames))
        for (count, threads), measured in rates.items():
            about = {"batch": batch, "processes": count, "threads of each": threads}
            about["frames/s"] = round(median(measured), 2)
            rows.append(about | ratio(measured, rates[layouts[0]]))
    publish("scaling", f"Training in several processes, {network_and_size()}", rows, rounds=rounds, frames=frames)


def measure(count: int, threads: int, batch: int, frames: int) -> float:
    """Return the frames per second of ``count`` processes."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count > 1 else []
    command = [sys.executable, *torchrun, "-m", "benchmarks.scaling", f"--frames={frames}"]
    settings = {"SEGCORE_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "SCALING_BATCH": str(batch)}
    done = subprocess.run(command, env=os.environ | settings, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def train(batch: int, frames: int) -> None:
    """Train on random frames; the first process prints how many of them it did in a second."""
    run = make_run(batch_size=batch)
    group.join(run.device)
    generator = torch.Generator().manual_seed(1)  # all processes draw the same frames
    steps = max(1, frames // batch)
    for step in range(2 + steps):
        if step == 2:
            wait(run.device)
            started = perf_counter()
        run.train_step(torch.randint(len(run.data.train), (batch,), generator=generator))
        run.step += 1
    wait(run.device)
    if processes.is_first():
        print(json.dumps(steps * batch / (perf_counter() - started)))
    group.leave()


if __name__ == "__main__":
    typer.run(main)
