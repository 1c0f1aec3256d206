"""Train ERFNet."""

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segcore import console, outputs, stopping

if TYPE_CHECKING:  # torch takes seconds to import, and --help should not
    from segcore.checkpoint import Checkpoints
    from segcore.training import Data, Training

ARRAYS = Path("data/arrays")
MODEL = Path("data/model/erfnet.safetensors")
METRICS = Path("metrics/train.json")
CURVES = Path("metrics/curves.tsv")
CHECKPOINTS = Path("data/checkpoints")  # below DVC's root, also for an experiment in a temporary folder


def main() -> None:
    """Train ERFNet on CUDA where there is a device, else on the CPU.

    Reads: the train and val arrays and stats.json of data/arrays, and the
    weights to start from, if `train.init` names some.

    Writes: data/model/erfnet.safetensors, metrics/train.json and
    metrics/curves.tsv; under DVC the curves appear anew after each epoch, so
    that `dvc plots show` works meanwhile.

    Parameters: sections `model`, `augment` and `train` of params.yaml.

    Checkpoints: in data/checkpoints. When it was stopped or killed, the same
    command goes on from the last one, and ends with the same bytes.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; all cores if unset;
    SEGCORE_CHECKPOINT_SECONDS=N, time between checkpoints; if unset 10, or
    more where they would take more than 1 % of the time.
    """
    with console.signals_held():  # an exception in the midst of torch's import can end in a crash
        from segcore import augment, checkpoint, confusion, device, erfnet, params, reporting, training, weights

    train = params.load("train", training.TrainParams)
    model = params.load("model", erfnet.ModelParams)
    augmentation = params.load("augment", augment.AugmentParams)
    where = device.find_device()
    device.prepare(where)
    with device.explain_out_of_memory("choose a smaller train.batch_size"), stopping.stop_requests() as stop_request:
        run = training.Training(train, model, augmentation, load_data(where), where)
        if run.precision != train.precision:
            run.notes.append(f"{where} has no {train.precision}: computing in {run.precision}")
        for note in run.notes:
            console.say(note)
        about = describe(run, model)
        name = checkpoint.fingerprint(about | {"val": digests("val_images.npy", "val_labels.npy")}, Path(__file__))
        # DVC removes what a stage makes before it runs it; without DVC old curves stand here until there are new ones.
        live = outputs.live_file(CURVES) if "DVC_STAGE" in os.environ else nullcontext(lambda text: None)
        with checkpoint.hold(Path(os.environ.get("DVC_ROOT", ".")) / CHECKPOINTS, name) as checkpoints:
            with (
                live as rewrite,
                outputs.new_outputs(MODEL, METRICS, CURVES) as [model_file, metrics_file, curves_file],
            ):
                train_to_the_end(run, checkpoints, stop_request, rewrite)
                weights.save_weights(model_file, run.network.state_dict(), about)
                last = run.curves[-1]
                metrics = {"loss": round(last.loss, 4), "val_miou": confusion.rounded(last.val_miou)}
                metrics_file.write_text(json.dumps(metrics, indent=2) + "\n")
                curves_file.write_text(reporting.curves_text(run.curves))
            checkpoints.remove()


def train_to_the_end(
    run: "Training",
    checkpoints: "Checkpoints",
    stop_request: Callable[[], int | None],
    rewrite: Callable[[str], None],
) -> None:
    """Train from the last checkpoint, where there is one; leave with one when asked to stop."""
    from segcore import reporting

    saved = checkpoints.load()
    if saved is not None:
        run.restore(*saved)
    console.say(f"{'starting' if saved is None else 'going on'} at step {run.step} of {run.steps}")
    with reporting.progress(run) as (advance, report):

        def tick(frames: int) -> None:
            stop = stop_request()
            if stop or checkpoints.due:
                is_saved = checkpoints.save(run.state)
            if stop:
                outcome = "saved, and the same command goes on from here" if is_saved else "not saved"
                console.say(f"stopped after step {run.step} of {run.steps}: {outcome}")
                raise console.Stopped(stop)
            advance(frames)

        for epoch in run.epochs(tick):
            report(epoch)
            rewrite(reporting.curves_text(run.curves))


def load_data(where: Any) -> "Data":
    """The train and val arrays, on the device where they fit, and the statistics of train."""
    from segcore import arrays, frames, training

    stores = [frames.FrameStore(*arrays.load_labelled(ARRAYS, split), where) for split in ("train", "val")]
    stats = arrays.read_stats(ARRAYS)
    return training.Data(*stores, mean=stats.mean, std=stats.std, share=list(stats.share.values()))


def describe(run: "Training", model: Any) -> dict[str, Any]:
    """What made the model, for its metadata: all that its bytes depend on, and nothing else, as a time or a path."""
    from segcore import labels, pretrained, records

    return {
        "classes": labels.CLASSES,
        "input_size": run.data.train.size,
        "mean": run.data.mean,
        "std": run.data.std,
        "params": {
            "train": run.params.model_dump(exclude={"init"}),
            "model": model.model_dump(),
            "augment": run.augmentation.model_dump(),
        },
        "init": pretrained.digest(run.params.init),
        **records.data_and_machine(run.device, run.precision),
    }


def digests(*names: str) -> dict[str, str]:
    """The md5 of files of data/arrays."""
    from segcore.digests import md5

    return {name: md5(ARRAYS / name) for name in names}


if __name__ == "__main__":
    console.run(main)
