"""Train ERFNet."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from segcore import console, params

if TYPE_CHECKING:  # torch takes seconds to import, and --help should not
    from segcore.training import Data, Epoch, Training

ARRAYS = Path("data/arrays")
MODEL = Path("data/model/erfnet.safetensors")
METRICS = Path("metrics/train.json")
CURVES = Path("metrics/curves.tsv")


def main() -> None:
    """Train ERFNet on CUDA where there is a device, else on the CPU.

    Reads: the train and val arrays and stats.json of data/arrays.

    Writes: data/model/erfnet.safetensors, metrics/train.json and, anew after
    each epoch, metrics/curves.tsv: `dvc plots show` works meanwhile.

    Parameters: sections `model`, `augment` and `train` of params.yaml.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; all cores if unset.
    """
    from segcore import augment, confusion, device, erfnet, outputs, training, weights

    train = params.load("train", training.TrainParams)
    model = params.load("model", erfnet.ModelParams)
    augmentation = params.load("augment", augment.AugmentParams)
    where = device.find_device()
    device.prepare(where)
    with (
        device.explain_out_of_memory("choose a smaller train.batch_size"),
        outputs.live_file(CURVES) as rewrite,
        outputs.new_outputs(MODEL, METRICS) as [model_file, metrics_file],
    ):
        run = training.Training(train, model, augmentation, load_data(where), where)
        if run.precision != train.precision:
            typer.echo(f"{where} has no {train.precision}: computing in {run.precision}", err=True)
        curves = "epoch\tloss\tlr\tval_miou\n"
        with progress(run) as (tick, report):
            for epoch in run.epochs(tick):
                report(epoch)
                curves += curve_row(epoch)
                rewrite(curves)
        metrics = {"loss": round(epoch.loss, 4), "val_miou": confusion.rounded(epoch.val_miou)}
        metrics_file.write_text(json.dumps(metrics, indent=2) + "\n")
        weights.save_weights(model_file, run.network.state_dict(), describe(run, model))


def load_data(where: Any) -> "Data":
    """The train and val arrays, on the device where they fit, and the statistics of train."""
    from segcore import arrays, frames, labels, training

    stores = [frames.FrameStore(*arrays.load_labelled(ARRAYS, split), where) for split in ("train", "val")]
    path = ARRAYS / "stats.json"
    try:
        stats = json.loads(path.read_text())
        share = [stats["share"][name] for name in labels.CLASSES]
        return training.Data(*stores, mean=stats["mean"], std=stats["std"], share=share)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"not the statistics that preprocess writes ({error!r})"
        raise console.UserError(f"{path}: {reason}; run `dvc repro preprocess`") from None


def describe(run: "Training", model: Any) -> dict[str, Any]:
    """What made the model, for its metadata: all that its bytes depend on, and nothing else, as a time or a path."""
    import numpy as np
    import torch

    from segcore import device, labels

    inputs = [ARRAYS / name for name in ("train_images.npy", "train_labels.npy", "stats.json")]
    return {
        "classes": labels.CLASSES,
        "input_size": run.data.train.size,
        "mean": run.data.mean,
        "std": run.data.std,
        "params": {
            "train": run.params.model_dump(),
            "model": model.model_dump(),
            "augment": run.augmentation.model_dump(),
        },
        "md5": {path.name: md5(path) for path in inputs},
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "device": device.name(run.device),
        "precision": run.precision,
        "threads": torch.get_num_threads(),
    }


def md5(path: Path) -> str:
    """The digest that dvc.lock has for the file, too."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def curve_row(epoch: "Epoch") -> str:
    """One line of metrics/curves.tsv; validation is left empty where there was none."""
    validation = "" if epoch.val_miou is None else f"{epoch.val_miou:.4f}"
    return f"{epoch.number}\t{epoch.loss:.4f}\t{epoch.lr:.4g}\t{validation}\n"


@contextmanager
def progress(run: "Training") -> Iterator[tuple[Callable[[int], None], Callable[["Epoch"], None]]]:
    """Give ``tick(frames)`` and ``report(epoch)``: one line an epoch, on a terminal above a bar."""
    epochs = run.params.epochs

    def line(epoch: "Epoch") -> str:
        validation = "" if epoch.val_miou is None else f"  val mIoU {epoch.val_miou:.4f}"
        return (
            f"epoch {epoch.number}/{epochs}  loss {epoch.loss:.4f}  lr {epoch.lr:.2e}  "
            f"{epoch.frames_per_second:.0f} frames/s  {minutes(epoch.seconds_left)} left{validation}"
        )

    if not sys.stderr.isatty():
        yield lambda frames: None, lambda epoch: typer.echo(line(epoch), err=True)
        return

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=run.steps * run.params.batch_size)
        yield lambda frames: bar.advance(task, frames), lambda epoch: bar.console.out(line(epoch), highlight=False)


def minutes(seconds: float) -> str:
    """As 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


if __name__ == "__main__":
    console.run(main)
