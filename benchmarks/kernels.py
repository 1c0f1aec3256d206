"""Where the time of a training step goes: ``python -m benchmarks.kernels``.

Trains on data/arrays (run ``dvc repro preprocess`` first). On CUDA it lists kernels, on a CPU torch's operators.
"""

import time
from typing import Annotated

import torch
import typer
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.rates import wait
from benchmarks.report import publish
from benchmarks.throughput import make_run

NAME = 60  # characters of a kernel's name, which may have hundreds


def main(
    steps: Annotated[int, typer.Option(min=1, help="Steps that are measured.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="Kernels in the table.")] = 20,
) -> None:
    """Profile steps of training with params.yaml, and list the kernels that take most of the time."""
    run = make_run()
    index = torch.arange(run.params.batch_size)
    for _ in range(3):  # the first one prepares and records kernels
        run.train_step(index)
    wait(run.device)
    started = time.perf_counter()
    for _ in range(steps):
        run.train_step(index)
    wait(run.device)
    seconds = time.perf_counter() - started

    is_cuda = run.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * is_cuda]
    with profile(activities=activities) as profiled:
        for _ in range(steps):
            run.train_step(index)
        wait(run.device)
    kind = DeviceType.CUDA if is_cuda else DeviceType.CPU
    events = [event for event in profiled.key_averages() if event.device_type == kind]
    microseconds = {event.key: event.self_device_time_total or event.self_cpu_time_total for event in events}
    total = sum(microseconds.values())
    events.sort(key=lambda event: -microseconds[event.key])
    rows = [
        {
            "kernel": event.key[:NAME],
            "calls a step": event.count / steps,
            "ms a step": round(microseconds[event.key] / steps / 1e3, 4),
            "share": round(microseconds[event.key] / total, 3),
        }
        for event in events[:top]
    ]
    about = {"ms a step": round(seconds / steps * 1e3, 3), "ms in kernels": round(total / steps / 1e3, 3)}
    about |= {"calls a step": sum(event.count for event in events) / steps, "steps": steps}
    publish("kernels", "Kernels of a step", rows, batch=run.params.batch_size, precision=run.precision, **about)


if __name__ == "__main__":
    typer.run(main)
