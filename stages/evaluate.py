"""Predict val and test, and score val."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segcore import console

if TYPE_CHECKING:  # torch takes seconds to import, and --help should not
    from numpy import ndarray

    from segcore.arrays import Row
    from segcore.evaluation import Evaluation
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
        from PIL import Image

        from segcore import arrays, device, evaluation, inference, outputs, params

    flip = params.load("evaluate", evaluation.EvaluateParams).flip
    where = device.find_device()
    device.prepare(where)
    predictor = inference.Predictor(MODEL, where)
    if predictor.precision != predictor.trained_in:
        print(f"{where} has no {predictor.trained_in}: computing in {predictor.precision}", file=sys.stderr)
    result = evaluation.Evaluation()
    with (
        device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"),
        outputs.new_outputs(PREDICTIONS, METRICS, CONFUSION, FRAMES) as [folder, metrics, confusion, frames],
    ):
        for split in ("val", "test"):
            images = arrays.load_images(ARRAYS, split)
            rows = arrays.read_rows(ARRAYS, split)
            predicted = predictor.predict(images, rows)
            for row, prediction in console.progress(predicted, len(rows), f"evaluate {split}"):
                target = folder / split / row.frame.drive / f"{row.frame.name}_label.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(prediction).save(target)
                if split == "val":
                    score_frame(result, row, prediction)
        scores = result.metrics()
        if flip:
            scores["miou_flip"] = score_flipped(predictor)
        metrics.write_text(json.dumps(scores, indent=2) + "\n")
        confusion.write_text(json.dumps(result.confusion(), indent=2) + "\n")
        result.table().to_csv(frames, index=False)
    print(f"ground truth of val: {result.valid:,} valid and {result.pixels - result.valid:,} void pixels")


def score_frame(result: "Evaluation", row: "Row", prediction: "ndarray") -> None:
    """Count the prediction of one val frame."""
    from segcore import pictures

    truth = pictures.read_labels(NATIVE / row.frame.label, (row.width, row.height))
    result.add(row.frame.drive, row.frame.name, truth, prediction)


def score_flipped(predictor: "Predictor") -> float | None:
    """The mean IoU of val when each frame and its mirror image are averaged; the protocol is the same."""
    from segcore import arrays, evaluation

    result = evaluation.Evaluation()
    rows = arrays.read_rows(ARRAYS, "val")
    predicted = predictor.predict(arrays.load_images(ARRAYS, "val"), rows, flip=True)
    for row, prediction in console.progress(predicted, len(rows), "evaluate val with flip"):
        score_frame(result, row, prediction)
    return result.metrics()["miou"]


if __name__ == "__main__":
    console.run(main)
