"""Predict val and test, and score val."""

from contextlib import nullcontext
from datetime import timedelta

from segcore.parallel import launch
from segcore.runtime import console, processes, signals
from segcore.runtime.errors import UserError
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

    Several processes: with SEGCORE_PROCESSES=N this starts itself N times with
    torchrun, and the processes take the batches in turn.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device; if unset, a free
    GPU, or, without GPUs, the CPU; SEGCORE_THREADS=N, CPU threads of
    each process; if unset, its share of the cores, or of the CPU quota of the
    container; SEGCORE_PROCESSES=N, processes; if unset, 1.
    """
    if launch.start("stages.evaluate"):
        return
    with signals.defer():  # an exception during torch's import can crash Python
        from segcore.evaluate.batches import Scorer, batches
        from segcore.files import scores as metrics
        from segcore.files.arrays import load_split
        from segcore.files.dataset import read_dataset
        from segcore.files.images import PREDICTIONS
        from segcore.files.model import MODEL
        from segcore.files.params import load
        from segcore.inference.predictor import Predictor, check_classes
        from segcore.network import device, gpus
        from segcore.parallel import group
        from segcore.runtime.outputs import new_outputs

    flip = load("evaluate", EvaluateParams).flip
    gpus.reserve(1)
    where = device.prepare()
    predictor = Predictor(MODEL, where)
    dataset, classes = read_dataset(), predictor.classes
    check_classes(MODEL, classes, dataset)
    outputs = PREDICTIONS, metrics.SCORES, metrics.CONFUSION, metrics.COUNTS, metrics.CALIBRATION
    if processes.count() != processes.local_count():
        raise UserError("evaluate runs on one machine, as its processes write into one folder; use SEGCORE_PROCESSES")
    group.join(where, answer=timedelta(minutes=10))  # for a batch of large frames
    with (
        device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"),
        new_outputs(*outputs) if processes.is_first() else nullcontext([]) as files,
    ):
        predictions, *files = group.from_first(files)
        scorer = Scorer(predictor, dataset, flip, predictions)
        val, test = (load_split(split) for split in ("val", "test"))
        total = scorer.nothing()
        for frame in console.progress(group.in_turn(scorer.score, batches(*val)), len(val[0]), "evaluate val"):
            total.merge(frame)
        for _ in console.progress(group.in_turn(scorer.predict, batches(*test)), len(test[0]), "evaluate test"):
            pass
        if processes.is_first():
            scores_file, confusion_file, counts_file, calibration_file = files
            more = {"miou_flip": total.flipped.miou} if flip else {}
            metrics.write_scores(scores_file, total.plain.scores(**more, ece=total.calibration.error))
            metrics.write_confusion(confusion_file, total.plain.confusion, classes)
            metrics.write_counts(counts_file, total.plain.frames, classes)
            metrics.write_calibration(calibration_file, total.calibration.rows())
    group.leave()
    if processes.is_first():
        print(total.plain.summary())


if __name__ == "__main__":
    console.run(main)
