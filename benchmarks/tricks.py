"""The gain of each trick of the training: ``python -m benchmarks.tricks`` measures with and without it, in turns.

Trains on data/arrays (run ``dvc repro preprocess`` first).
"""

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Annotated, Any

import torch
import typer

from benchmarks.rates import Work, by_turns, ratio
from benchmarks.report import publish
from benchmarks.throughput import make_run, train_only
from segcore.network import tensors
from segcore.train import loop
from segcore.train.loop import Training

BATCH_SIZES = (2, 4, 8, 16, 32, 64, 128)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 9,
    frames: Annotated[int, typer.Option(min=8, help="Frames that are trained on in a round.")] = 32,
    largest_batch: Annotated[int, typer.Option(help="Larger batches are not tried.")] = 16,
) -> None:
    """Measure training as it is, without one trick at a time, and with other batch sizes.

    The ratio is the median over the rounds: above 1, training as it is is
    faster. What makes it repeatable is measured, too.
    """
    run = make_run()
    works = {"as it is": partial(train_only, frames)}
    works |= {f"no {name}": partial(altered, frames, name) for name, trick in TRICKS.items() if trick.is_in(run)}
    sizes = [size for size in BATCH_SIZES if size <= largest_batch and size != run.params.batch_size]
    works |= {f"batch {size}": partial(train_only, frames, batch_size=size) for size in sizes}
    rates = by_turns(works, rounds)
    rows = [
        {"training": name, "frames/s": round(median(measured), 2)} | ratio(rates["as it is"], measured)
        for name, measured in rates.items()
    ]
    publish(
        "tricks", "What each trick gains", rows, rounds=rounds, batch=run.params.batch_size, precision=run.precision
    )


class Trick:
    """How to run without a trick: other parameters of section `train`, or an alteration of the run."""

    def __init__(
        self, alter: Callable[[Training], None] = lambda run: None, only_cuda: bool = False, **changes: Any
    ) -> None:
        self.alter, self.only_cuda, self.changes = alter, only_cuda, changes

    def is_in(self, run: Training) -> bool:
        """Return whether ``run`` has this trick."""
        now = run.params.model_dump() | {"precision": run.precision}
        changed = any(now[name] != value for name, value in self.changes.items()) or not self.changes
        return changed and (run.device.type == "cuda" or not self.only_cuda)


def altered(frames: int, name: str) -> Work:
    """Return our training without this trick."""
    return train_only(frames, TRICKS[name].alter, **TRICKS[name].changes)


def unrecorded(run: Training) -> None:
    """Start the kernels of each step one by one."""
    loop.can_record = lambda device: False


def waiting_uploads(run: Training) -> None:
    """Wait for the device at each upload."""
    loop.upload = tensors.upload = lambda tensor, device: tensor.to(device)


def any_kernels(run: Training) -> None:
    """Allow kernels that are not deterministic."""
    torch.set_deterministic_debug_mode("default")


def channels_first(run: Training) -> None:
    """Order weights and frames in memory as torch does by default."""
    normalise = run.normalise
    run.normalise = lambda images: normalise(images).contiguous()
    for parameter in run.model.parameters():
        parameter.data = parameter.data.contiguous()
    for optimizer in run.optimizers:
        for values in optimizer.state.values():
            values |= {name: value.contiguous() for name, value in values.items()}


def unfused(run: Training) -> None:
    """Use the optimizer's default: one kernel for many weights on CUDA, and weight by weight on a CPU."""
    fused = run.optimizers[0]
    [group] = fused.param_groups
    settings = {key: group[key] for key in ("lr", "weight_decay", "capturable")}
    run.optimizers[0] = type(fused)(group["params"], **settings)
    run.optimizers[0].state = fused.state


TRICKS = {
    "recording": Trick(unrecorded, only_cuda=True),
    "asynchronous uploads": Trick(waiting_uploads, only_cuda=True),
    "bf16": Trick(precision="fp32"),
    "channels last": Trick(channels_first),
    "fused optimizer": Trick(unfused),
    "deterministic kernels": Trick(any_kernels),
    "orthogonal steps": Trick(optimizer="adamw"),
}

if __name__ == "__main__":
    typer.run(main)
