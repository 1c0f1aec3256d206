"""Frames per second of our training and of the article's loop, by turns: ``python -m benchmarks.throughput``.

Trains on what lies in data/ (run ``dvc repro preprocess`` first): ours on data/arrays, the article's loop on data/raw.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer

from benchmarks import article
from benchmarks.rates import Work, by_turns, ratio
from benchmarks.report import publish
from segcore import augment, checkpoint, device, erfnet, params, training
from segcore.frames import to_float
from segcore.replay import Recording, can_record
from stages.train import load_data

RAW = Path("data/raw")
EMA = 0.999  # the whole of what training can do is measured, whatever params.yaml asks for


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 9,
    frames: Annotated[int, typer.Option(min=8, help="Frames that each trains on in a round.")] = 48,
) -> None:
    """Measure both with their data (reading, augmentation, average of the weights, checkpoints) and from memory.

    From memory only a step is measured: forward, loss, backward, optimizer. The
    ratio is that of the same round, and its median over the rounds is given.
    """
    with tempfile.TemporaryDirectory() as folder:
        makers = {
            "ours": partial(ours, frames, folder),
            "article": partial(the_article, frames),
            "ours, step": partial(our_step, frames),
            "article, step": partial(the_articles_step, frames),
        }
        rates = by_turns(makers, rounds)
    rows = []
    for what, suffix in (("with their data", ""), ("step only", ", step")):
        mine, theirs = rates["ours" + suffix], rates["article" + suffix]
        about = {"ours, frames/s": round(median(mine), 2), "article, frames/s": round(median(theirs), 2)}
        rows.append({"measured": what} | about | ratio(mine, theirs))
    run = make_run()
    ours_is = f"batch {run.params.batch_size}, {run.precision}, ema {run.params.ema}"
    publish("throughput", "Training, full network, 160×320", rows, rounds=rounds, frames=frames, ours=ours_is)


def make_run(**changes: Any) -> training.Training:
    """A training run on data/arrays by params.yaml, with the average of the weights, and ``changes`` of `train`."""
    where = device.find_device()
    device.prepare(where)
    train = params.load("train", training.TrainParams).model_copy(update={"ema": EMA} | changes)
    sections = params.load("model", erfnet.ModelParams), params.load("augment", augment.AugmentParams)
    run = training.Training(train, *sections, load_data(where), where)
    run.model.train()
    return run


def ours(frames: int, folder: str) -> Work:
    """Our training, with checkpoints in ``folder``."""
    checkpoints = checkpoint.Checkpoints(Path(folder), interval=None)

    def save(run: training.Training) -> None:
        if checkpoints.due:
            checkpoints.save(run.state)

    return train_only(frames, each_step=save)


def train_only(
    frames: int,
    alter: Callable[[training.Training], None] = lambda run: None,
    each_step: Callable[[training.Training], None] = lambda run: None,
    **changes: Any,
) -> Work:
    """Our training on frames in a random order, altered by ``alter`` before it begins."""
    run = make_run(**changes)
    alter(run)
    batch = run.params.batch_size

    def step() -> None:
        run.train_on(torch.randint(len(run.data.train), (batch,)))
        run.step += 1
        each_step(run)

    return repeated(step, batch, frames, run.device)


def our_step(frames: int) -> Work:
    """Our step on a batch that lies normalised on the device."""
    run = make_run(ema=0.0)
    images, labels = run.data.train.batch(torch.arange(run.params.batch_size))
    images, lr = run.normalise(to_float(images)), torch.tensor(run.params.lr, device=run.device)
    step = Recording(run.optimise, images, labels, lr) if can_record(run.device) else run.optimise
    return repeated(lambda: step(images, labels, lr), run.params.batch_size, frames, run.device)


def the_article(frames: int) -> Work:
    """The article's training; its workers have read ahead as far as they do before the clock starts."""
    loop, batches = make_loop(), article.batches(RAW)
    return repeated(lambda: loop.step(*next(batches)), article.BATCH_SIZE, frames, loop.device)


def the_articles_step(frames: int) -> Work:
    """The article's step on a batch in memory."""
    loop = make_loop()
    batch = [tensor.to(loop.device) for tensor in next(article.batches(RAW))]
    return repeated(lambda: loop.step(*batch), article.BATCH_SIZE, frames, loop.device)


def make_loop() -> article.Loop:
    """The article's loop, with the class weights and on the device of ours."""
    run = make_run()
    torch.set_deterministic_debug_mode("default")  # torch as it is without our settings
    torch.backends.cudnn.allow_tf32 = True
    return article.Loop(run.weights, run.device)


def repeated(step: Callable[[], object], batch: int, frames: int, where: torch.device) -> Work:
    """``step`` as often as ``frames`` frames take."""

    def work() -> float:
        for _ in range(max(1, frames // batch)):
            step()
        wait(where)
        return max(1, frames // batch) * batch

    return work


def wait(where: torch.device) -> None:
    """Wait until ``where`` has computed all that it was given."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


if __name__ == "__main__":
    typer.run(main)
