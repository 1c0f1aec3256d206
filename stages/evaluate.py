"""Predict val and test, and score val."""

from itertools import repeat

from segcore.runtime import console, signals
from segcore.runtime.typed import Strict


class EvaluateParams(Strict):
    """Section `evaluate`. With ``flip``, predictions averaged over each frame and its mirror image are scored, too."""

    flip: bool


def main() -> None:
    """Predict val and test at native size, and score val by the data set's protocol.

    Reads: data/model/erfnet.safetensors, the val and test images and
    frames.csv of data/arrays, the ground truth in data/native/gtFine/val, and
    data/raw/dataset.json.

    Writes: data/predictions, and evaluate.json, confusion.json, frames.csv
    and calibration.csv in metrics.

    Parameters: section `evaluate` of params.yaml. What the network needs is
    recorded in the model file.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; if unset, all cores, or
    the CPU quota of the container.
    """
    with signals.defer():  # an exception during torch's import can crash Python
        from segcore.evaluate.calibration import Calibration
        from segcore.files import scores as metrics
        from segcore.files.arrays import load_split
        from segcore.files.dataset import read_dataset
        from segcore.files.images import NATIVE, PREDICTIONS, read_labels, write_labels
        from segcore.files.model import MODEL
        from segcore.files.params import load
        from segcore.inference.predictor import Predictor, check_classes, confidence, to_native
        from segcore.inference.protocol import Evaluation
        from segcore.network import device
        from segcore.runtime.outputs import new_outputs

    flip = load("evaluate", EvaluateParams).flip
    where = device.find_device()
    device.prepare(where)
    predictor = Predictor(MODEL, where)
    if predictor.precision != predictor.wanted:
        console.say(f"{where} has no {predictor.wanted}: computing in {predictor.precision}")
    dataset, classes = read_dataset(), predictor.classes
    check_classes(MODEL, classes, dataset)
    plain, flipped = (Evaluation(classes, dataset.protocol) for _ in range(2))
    calibration = Calibration()
    outputs = PREDICTIONS, metrics.SCORES, metrics.CONFUSION, metrics.COUNTS, metrics.CALIBRATION
    with (
        device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"),
        new_outputs(*outputs) as [predictions, scores_file, confusion_file, counts_file, calibration_file],
    ):
        rows, images = load_split("val")
        mirror_images = predictor.scores(images, mirrored=True) if flip else repeat(None)
        predicted = zip(rows, predictor.scores(images), mirror_images)  # noqa: B905 - repeat has no end
        for row, scores, mirrored in console.progress(predicted, len(rows), "evaluate val"):
            size = (row.height, row.width)
            prediction = to_native(scores, size).cpu().numpy()
            write_labels(predictions / row.frame.prediction, prediction)
            truth = read_labels(NATIVE / row.frame.label, (row.width, row.height), len(classes))
            plain.add(row.frame, truth, prediction)
            calibration.add(truth, prediction, confidence(scores, size).cpu().numpy())
            if mirrored is not None:
                mean = scores.softmax(0) + mirrored.softmax(0)
                flipped.add(row.frame, truth, to_native(mean, size).cpu().numpy())
        rows, images = load_split("test")
        predicted = zip(rows, predictor.scores(images), strict=True)
        for row, scores in console.progress(predicted, len(rows), "evaluate test"):
            prediction = to_native(scores, (row.height, row.width)).cpu().numpy()
            write_labels(predictions / row.frame.prediction, prediction)
        more = {"miou_flip": flipped.miou} if flip else {}
        metrics.write_scores(scores_file, plain.scores(**more, ece=calibration.error))
        metrics.write_confusion(confusion_file, plain.confusion, classes)
        metrics.write_counts(counts_file, plain.frames, classes)
        metrics.write_calibration(calibration_file, calibration.rows())
    print(plain.summary())


if __name__ == "__main__":
    console.run(main)
