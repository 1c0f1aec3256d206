"""Pictures a second of ``python -m segcore predict``, and of the network alone: ``python -m benchmarks.predict``.

Predicts the val frames in data/native, as they are and enlarged, with the model in data/model (run ``dvc repro
evaluate`` first). The network alone goes from frames in memory to scores on the device.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

from benchmarks.rates import Work, by_turns, ratio, wait
from benchmarks.report import publish
from segcore.dataset.frames import find_image, list_frames
from segcore.files.images import NATIVE, read_image
from segcore.files.model import MODEL
from segcore.inference.predictor import Predictor
from segcore.network import device
from segcore.predict.command import Options, predict

FACTORS = (1, 4)  # of the size of the frames


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How many times each is measured.")] = 5,
    frames: Annotated[int, typer.Option(min=1, help="Frames that each predicts in a round.")] = 96,
) -> None:
    """Measure in turns; the ratio is the median over the rounds of the command's rate to the network's."""
    with tempfile.TemporaryDirectory() as folder:
        makers: dict[str, Callable[[], Work]] = {"network alone": partial(network, frames)}
        for factor in FACTORS:
            name, pictures = f"frames × {factor}", Path(folder, str(factor))
            enlarge(pictures, frames, factor)
            makers[name] = partial(from_files, pictures)
        rates = by_turns(makers, rounds)
    rows = [
        {"pictures": name, "per second": round(median(rates[name]), 1)} | ratio(rates[name], rates["network alone"])
        for name in rates
    ]
    publish("predict", "From picture files to label and overlay files", rows, rounds=rounds, frames=frames)


def enlarge(folder: Path, count: int, factor: int) -> None:
    """Write ``count`` val frames to ``folder``, each side ``factor`` times as long; after the last, begin again."""
    folder.mkdir()
    found = list_frames(NATIVE, "val")
    for i in range(count):
        picture = read_image(find_image(NATIVE, found[i % len(found)]))
        picture.resize((picture.width * factor, picture.height * factor)).save(folder / f"{i}.jpg", quality=95)


def network(count: int) -> Work:
    """Return the work of the network on ``count`` frames."""
    predictor = make_predictor()
    images = [read_image(find_image(NATIVE, frame)) for frame in list_frames(NATIVE, "val")]
    frames = [np.asarray(image.resize(predictor.size[::-1])) for image in images]

    def work() -> float:
        for _ in predictor.scores(frames[i % len(frames)] for i in range(count)):
            pass
        wait(predictor.device)
        return count

    return work


def from_files(folder: Path) -> Work:
    """Return the work of the command on the pictures in ``folder``."""
    count = len(list(folder.iterdir()))

    def work() -> float:
        with tempfile.TemporaryDirectory() as out:
            predict([folder], Options(Path(out), MODEL, "", confidence=False, tile=False, force=False))
        return count

    return work


def make_predictor() -> Predictor:
    """Return the model in data/model on the device that a stage would use."""
    where = device.prepare()
    return Predictor(MODEL, where)


if __name__ == "__main__":
    typer.run(main)
