"""Predict val and test, and score val."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from segcore.runtime import console, signals

if TYPE_CHECKING:  # torch takes seconds to import, and --help should not
    import numpy as np

    from segcore.evaluate.predictor import Predictor
    from segcore.files.arrays import Row


def main() -> None:
    """Predict val and test at native size, and score val by the IDD-Lite protocol.

    Reads: data/model/erfnet.safetensors, the val and test images and
    frames.csv of data/arrays, and the ground truth in data/native/gtFine/val.

    Writes: data/predictions, metrics/evaluate.json, metrics/confusion.json
    and metrics/frames.csv.

    Parameters: section `evaluate` of params.yaml. What the network needs is
    recorded in the model file.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; if unset, all cores, or
    the CPU quota of the container.
    """
    with signals.defer():  # an exception during torch's import can crash Python
        from segcore.evaluate.predictor import Predictor
        from segcore.evaluate.protocol import EvaluateParams, Evaluation
        from segcore.files import scores
        from segcore.files.images import NATIVE, PREDICTIONS, read_labels, write_labels
        from segcore.files.model import MODEL
        from segcore.files.params import load
        from segcore.network import device
        from segcore.runtime.outputs import new_outputs

    flip = load("evaluate", EvaluateParams).flip
    where = device.find_device()
    device.prepare(where)
    predictor = Predictor(MODEL, where)
    if predictor.precision != predictor.trained_in:
        console.say(f"{where} has no {predictor.trained_in}: computing in {predictor.precision}")
    plain, flipped = Evaluation(), Evaluation()
    outputs = PREDICTIONS, scores.SCORES, scores.CONFUSION, scores.COUNTS
    with (
        device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"),
        new_outputs(*outputs) as [predictions, scores_file, confusion_file, counts_file],
    ):
        for row, prediction, flip_prediction in predict(predictor, "val", flip):
            write_labels(predictions / row.frame.prediction, prediction)
            truth = read_labels(NATIVE / row.frame.label, (row.width, row.height))
            plain.add(row.frame, truth, prediction)
            if flip_prediction is not None:
                flipped.add(row.frame, truth, flip_prediction)
        for row, prediction, _ in predict(predictor, "test", flip=False):
            write_labels(predictions / row.frame.prediction, prediction)
        scores.write_scores(scores_file, plain.scores(**({"miou_flip": flipped.miou} if flip else {})))
        scores.write_confusion(confusion_file, plain.protocol)
        scores.write_counts(counts_file, plain.frames)
    print(plain.summary())


def predict(predictor: "Predictor", split: str, flip: bool) -> "Iterator[tuple[Row, np.ndarray, np.ndarray | None]]":
    """Yield what :meth:`Predictor.predict` gives for the frames of a split, with a progress bar."""
    from segcore.files.arrays import load_images, read_rows

    rows = read_rows(split)
    return console.progress(predictor.predict(load_images(split), rows, flip), len(rows), f"evaluate {split}")


if __name__ == "__main__":
    console.run(main)
