"""Compare ``--tile`` with resizing: ``python -m benchmarks.tiles``.

Predicts the val frames in data/native with the model in data/model (run ``dvc repro evaluate`` first): as they are,
enlarged, as from a camera with more pixels, and several side by side, as in a picture with a wider view.
"""

from collections.abc import Iterator

import numpy as np
import typer
from PIL import Image

from benchmarks.predict import make_predictor
from benchmarks.report import publish
from segcore.dataset.frames import Frame, find_image, list_frames
from segcore.files.images import NATIVE, read_image, read_labels
from segcore.inference.protocol import Evaluation
from segcore.predict.engine import NetworkEngine, Prepared

Scene = tuple[Image.Image, np.ndarray]  # a picture, and class ids h×w; its sides may be multiples of theirs


def main() -> None:
    """Measure mIoU over all pixels of the frames at their own size."""
    predictor = make_predictor()
    classes = predictor.classes
    engines = {name: NetworkEngine(predictor, name == "tiled", False) for name in ("resized", "tiled")}
    rows = []
    for factor in (1, 2, 4):
        row = {name: miou(engine, enlarged(factor, classes), classes) for name, engine in engines.items()}
        rows.append({"pictures": "frames" if factor == 1 else f"frames, {factor} times as large"} | row)
    for side in (2, 4):
        row = {name: miou(engine, mosaics(side, classes), classes) for name, engine in engines.items()}
        rows.append({"pictures": f"{side}×{side} frames in one picture"} | row)
    publish("tiles", f"mIoU at native size, val, input size {predictor.size[1]}×{predictor.size[0]}", rows)


def enlarged(factor: int, classes: list[str]) -> Iterator[Scene]:
    """Yield the val frames, each side ``factor`` times as long."""
    for frame in list_frames(NATIVE, "val"):
        picture = read_image(find_image(NATIVE, frame))
        size = (picture.width * factor, picture.height * factor)
        labels = read_labels(NATIVE / frame.label, picture.size, len(classes))
        yield picture.resize(size, Image.Resampling.BICUBIC), labels


def mosaics(side: int, classes: list[str]) -> Iterator[Scene]:
    """Yield pictures of ``side`` × ``side`` val frames; frames that do not fill one are left out."""
    scenes = list(enlarged(1, classes))
    for start in range(0, len(scenes) - side**2 + 1, side**2):
        pictures, labels = zip(*scenes[start : start + side**2], strict=True)
        yield Image.fromarray(_grid([np.asarray(picture) for picture in pictures], side)), _grid(labels, side)


def _grid(parts: tuple[np.ndarray, ...] | list[np.ndarray], side: int) -> np.ndarray:
    return np.concatenate([np.concatenate(parts[at : at + side], 1) for at in range(0, len(parts), side)])


def miou(engine: NetworkEngine, scenes: Iterator[Scene], classes: list[str]) -> float | None:
    """Return mIoU over all pixels, with predictions resized to the size of the class ids by nearest neighbour."""
    evaluation = Evaluation(classes, "native")
    prepared = (Prepared(labels, picture, engine.prepare(picture)) for picture, labels in scenes)
    for labels, _, ids, _ in engine.predict(prepared):
        small = Image.fromarray(ids).resize((labels.shape[1], labels.shape[0]), Image.Resampling.NEAREST)
        evaluation.add(Frame("val", "any", "frame"), labels, np.asarray(small))
    return evaluation.miou


if __name__ == "__main__":
    typer.run(main)
