"""Predict val and test, and score val."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from segcore import console

if TYPE_CHECKING:
    import numpy as np

    from segcore.arrays import Row
    from segcore.inference import Predictor

ARRAYS = Path("data/arrays")
MODEL = Path("data/model/erfnet.safetensors")
NATIVE = Path("data/native")
PREDICTIONS = Path("data/predictions")
METRICS = Path("metrics/evaluate.json")
CONFUSION = Path("metrics/confusion.json")
FRAMES = Path("metrics/frames.csv")


def main() -> None:
    """Predict val and test at native size, and score val by the IDD-Lite protocol.

    Reads: data/model/erfnet.safetensors, the val and test images and
    frames.csv of data/arrays, and the ground truth in data/native/gtFine/val.

    Writes: data/predictions, metrics/evaluate.json, metrics/confusion.json
    and metrics/frames.csv.

    Parameters: section `evaluate` of params.yaml; what the network needs is in
    the model's metadata.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; all cores if unset.
    """
    with console.signals_held():  # an exception in the midst of torch's import can end in a crash
        from segcore import device, evaluation, inference, outputs, params, pictures

    flip = params.load("evaluate", evaluation.EvaluateParams).flip
    where = device.find_device()
    device.prepare(where)
    predictor = inference.Predictor(MODEL, where)
    if predictor.precision != predictor.trained_in:
        print(f"{where} has no {predictor.trained_in}: computing in {predictor.precision}", file=sys.stderr)
    plain, flipped = evaluation.Evaluation(), evaluation.Evaluation()
    with (
        device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"),
        outputs.new_outputs(PREDICTIONS, METRICS, CONFUSION, FRAMES) as [folder, metrics, confusion, frames],
    ):
        for row, prediction, of_mean in predict(predictor, "val", flip):
            save(folder, row, prediction)
            truth = pictures.read_labels(NATIVE / row.frame.label, (row.width, row.height))
            plain.add(row.frame.drive, row.frame.name, truth, prediction)
            if of_mean is not None:
                flipped.add(row.frame.drive, row.frame.name, truth, of_mean)
        for row, prediction, _ in predict(predictor, "test", flip=False):
            save(folder, row, prediction)
        scores = plain.metrics()
        if flip:
            scores["miou_flip"] = flipped.metrics()["miou"]
        metrics.write_text(json.dumps(scores, indent=2) + "\n")
        confusion.write_text(json.dumps(plain.confusion(), indent=2) + "\n")
        plain.table().to_csv(frames, index=False)
    print(f"ground truth of val: {plain.valid:,} valid and {plain.pixels - plain.valid:,} void pixels")


def predict(
    predictor: "Predictor", split: str, flip: bool
) -> Iterator[tuple["Row", "np.ndarray", "np.ndarray | None"]]:
    """What :meth:`Predictor.predict` gives for the frames of a split, with progress."""
    from segcore import arrays

    rows = arrays.read_rows(ARRAYS, split)
    predicted = predictor.predict(arrays.load_images(ARRAYS, split), rows, flip)
    return console.progress(predicted, len(rows), f"evaluate {split}")


def save(folder: Path, row: "Row", prediction: "np.ndarray") -> None:
    """Write the predicted class ids of a frame where its label would stand."""
    from PIL import Image

    target = folder / row.frame.split / row.frame.drive / row.frame.label.name
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(prediction).save(target)


if __name__ == "__main__":
    console.run(main)
