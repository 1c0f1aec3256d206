"""Train ERFNet."""

from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING

from segcore.runtime import console, signals

if TYPE_CHECKING:  # torch takes seconds to import, and --help should not
    from collections.abc import Callable

    import torch

    from segcore.train.checkpoint import Checkpoints
    from segcore.train.curves import Epoch
    from segcore.train.loop import Data, Training


def main() -> None:
    """Train ERFNet on CUDA where there is a device, else on the CPU.

    An NVIDIA GPU that torch cannot use is an error.

    Reads: the train and val arrays and stats.json of data/arrays, and the
    weights to start from, if `train.init` names some.

    Writes: data/model/erfnet.safetensors, metrics/train.json and
    metrics/curves.tsv. Under DVC the curves are rewritten after each epoch, so
    that `dvc plots show` works during training.

    Parameters: sections `model`, `augment` and `train` of params.yaml.

    Checkpoints: in data/checkpoints. After the stage was stopped or killed,
    the same command goes on from the last one, and ends with the same bytes.
    The last one is kept until DVC has stored the model.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device;
    SEGCORE_THREADS=N, threads that compute on the CPU; if unset, all cores, or
    the CPU quota of the container;
    SEGCORE_CHECKPOINT_SECONDS=N, time between checkpoints; if unset 10, or
    longer, so that they take at most 1 % of the time.
    """
    with signals.defer():  # an exception during torch's import can crash Python
        from segcore.files.arrays import ARRAYS
        from segcore.files.model import MODEL, save_weights
        from segcore.network import device
        from segcore.runtime.outputs import new_outputs
        from segcore.train import curves, run_folder
        from segcore.train.loop import Training
        from segcore.train.recipe import Recipe
        from segcore.train.record import VALIDATED_ON, make_record, md5

    recipe = Recipe.load()
    where = device.find_device()
    device.prepare(where)
    with device.explain_out_of_memory("choose a smaller train.batch_size"):
        run = Training(recipe, load_data(where), where)
        record = make_record(run)
        about = record | {"val": {name: md5(ARRAYS / name) for name in VALIDATED_ON}}
        inputs = run_folder.run_inputs(about, Path(__file__))
        with signals.defer(announce=True) as arrived, run_folder.hold(inputs) as checkpoints:
            with (
                curves.live_curves() as rewrite_curves,
                new_outputs(MODEL, curves.METRICS, curves.CURVES) as [model_file, metrics_file, curves_file],
            ):
                train(run, checkpoints, arrived, rewrite_curves)
                save_weights(model_file, run.model.state_dict(), record)
                checkpoints.finish(model_file)
                curves.write_metrics(metrics_file, run.curves[-1])
                curves.write_curves(curves_file, run.curves)
            arrived.clear()  # ignore signals that came after the last step: the model is complete


def load_data(where: "torch.device") -> "Data":
    """Load the train and val arrays, on the device where they fit, and the statistics of train."""
    from segcore.files.arrays import load_labelled, read_stats
    from segcore.network.tensors import FrameStore
    from segcore.train.loop import Data

    stats = read_stats()
    train, val = (FrameStore(*load_labelled(split, len(stats.classes)), where) for split in ("train", "val"))
    return Data(train, val, stats.classes, mean=stats.mean, std=stats.std, share=list(stats.share.values()))


def train(
    run: "Training",
    checkpoints: "Checkpoints",
    arrived: list[Signals],
    rewrite_curves: "Callable[[list[Epoch]], None]",
) -> None:
    """Train from the last checkpoint, if there is one, to the end of the schedule.

    Args:
        arrived: the deferred stop signals.
        rewrite_curves: called after each epoch.

    Raises:
        Stopped: if a signal asked to stop, or the parent has ended; a checkpoint is saved first.
    """
    from segcore.train.curves import Epoch
    from segcore.train.progress import Report, cpu_warning
    from segcore.train.run_folder import describe_similar

    saved = checkpoints.load()
    if saved is not None:
        run.restore(*saved)
    if run.device.type == "cpu":
        console.say(cpu_warning(run))
    for line in (*run.notes, *(describe_similar(checkpoints) if saved is None else ())):
        console.say(line)
    console.say(f"{'starting' if saved is None else 'going on'} at step {run.step} of {run.steps}")
    with Report(run) as report:
        for event in run.events():
            report.show(event)
            if isinstance(event, Epoch):
                rewrite_curves(run.curves)
            stop = signals.stop_requested(arrived)
            if stop or checkpoints.due:
                is_saved = checkpoints.save(run.state)
                if stop:
                    outcome = "saved, and the same command goes on from here" if is_saved else "not saved"
                    console.say(f"stopped after step {run.step} of {run.steps}: {outcome}")
                    raise signals.Stopped(stop)
    checkpoints.save(run.state)


if __name__ == "__main__":
    console.run(main)
