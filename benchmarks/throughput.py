"""Frames per second of our training and of the article's loop, in turns: ``python -m benchmarks.throughput``.

Trains on what lies in data/ (run ``dvc repro preprocess`` first): ours on data/arrays, the article's loop on data/raw.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks import article
from benchmarks.rates import Work, by_turns, ratio, wait
from benchmarks.report import publish
from segcore.files.arrays import load_images
from segcore.files.images import RAW
from segcore.network import device
from segcore.network.tensors import to_float
from segcore.train.checkpoint import Checkpoints
from segcore.train.cuda_graph import Recording, can_record
from segcore.train.loop import Training
from segcore.train.recipe import Recipe
from stages.train import load_data


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 9,
    frames: Annotated[int, typer.Option(min=article.BATCH_SIZE, help="Frames that each trains on in a round.")] = 48,
) -> None:
    """Measure whole trainings (reading, augmentation, checkpoints), and single steps.

    A step is forward, loss, backward and optimizer, on a batch in memory. The
    ratio is the median over the rounds of ours to the article's.
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
    train = Recipe.load().train
    ours_is = f"batch {train.batch_size}, {train.precision} where the hardware has it, {train.optimizer}"
    publish("throughput", f"Training, {network_and_size()}", rows, rounds=rounds, frames=frames, ours=ours_is)


def network_and_size() -> str:
    """Return which network params.yaml trains, and height × width of data/arrays, for a title."""
    height, width = load_images("train").shape[1:3]
    return f"{'encoder only' if Recipe.load().model.encoder_only else 'full network'}, {height}×{width}"


def make_run(**changes: Any) -> Training:
    """Return a run on data/arrays with params.yaml and ``changes`` of section `train`."""
    where = device.prepare()
    recipe = Recipe.load()
    train = recipe.train.model_copy(update=changes)
    run = Training(recipe.model_copy(update={"train": train}), load_data(where), where)
    run.model.train()
    return run


def ours(frames: int, folder: str) -> Work:
    """Return our training, with checkpoints in ``folder``."""
    checkpoints = Checkpoints(Path(folder), interval=None)

    def save(run: Training) -> None:
        if checkpoints.due:
            checkpoints.save(run.state)

    return train_only(frames, each_step=save)


def train_only(
    frames: int,
    alter: Callable[[Training], None] = lambda run: None,
    each_step: Callable[[Training], None] = lambda run: None,
    **changes: Any,
) -> Work:
    """Return our training on random frames, altered by ``alter`` before it begins."""
    run = make_run(**changes)
    alter(run)
    batch = run.params.batch_size

    def step() -> None:
        run.train_step(torch.randint(len(run.data.train), (batch,)))
        run.step += 1
        each_step(run)

    return repeated(step, batch, frames, run.device)


def our_step(frames: int) -> Work:
    """Return our step on a batch that is normalised on the device."""
    run = make_run()
    images, labels = run.data.train.batch(torch.arange(run.params.batch_size))
    images = run.normalise(to_float(images))
    run.lr.fill_(run.params.lr)
    step = Recording(run.optimise, images, labels) if can_record(run.device) else run.optimise
    return repeated(lambda: step(images, labels), run.params.batch_size, frames, run.device)


def the_article(frames: int) -> Work:
    """Return the article's training; its workers have read ahead before the clock starts."""
    loop, batches = make_article()
    return repeated(lambda: loop.step(*next(batches)), article.BATCH_SIZE, frames, loop.device)


def the_articles_step(frames: int) -> Work:
    """Return the article's step on a batch in memory."""
    loop, batches = make_article()
    batch = [tensor.to(loop.device) for tensor in next(batches)]
    return repeated(lambda: loop.step(*batch), article.BATCH_SIZE, frames, loop.device)


def make_article() -> tuple[article.Loop, Iterator[tuple[Tensor, Tensor]]]:
    """Return the article's loop and its batches, with network, size, class weights and device of our training."""
    run = make_run()
    torch.set_deterministic_debug_mode("default")  # torch's own settings, not ours
    torch.backends.cudnn.allow_tf32 = True
    height, width = run.data.train.size
    loop = article.Loop(run.weights, run.recipe.model.encoder_only, run.device)
    return loop, article.batches(RAW, (width, height))


def repeated(step: Callable[[], object], batch: int, frames: int, where: torch.device) -> Work:
    """Return work that takes as many steps as ``frames`` frames need."""

    def work() -> float:
        for _ in range(max(1, frames // batch)):
            step()
        wait(where)
        return max(1, frames // batch) * batch

    return work


if __name__ == "__main__":
    typer.run(main)
