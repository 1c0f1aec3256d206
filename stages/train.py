"""Train ERFNet."""

from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

from segcore.parallel import launch
from segcore.runtime import console, processes, signals

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

    Several processes: with SEGCORE_PROCESSES=N this starts itself N times with
    torchrun, and each process takes a part of every batch. Torchrun can also
    start it: docs/cluster.md.

    Environment: SEGCORE_DEVICE=cpu|cuda|cuda:N, the device; if unset, a free
    GPU, or, without GPUs, the CPU; SEGCORE_THREADS=N, CPU threads of
    each process; if unset, its share of the cores, or of the CPU quota of the
    container; SEGCORE_PROCESSES=N, processes; if unset, 1;
    SEGCORE_CHECKPOINT_SECONDS=N, time between checkpoints; if unset 10, or
    longer, so that they take at most 1 % of the time.
    """
    if launch.start("stages.train"):
        return
    with signals.defer():  # an exception during torch's import can crash Python
        from segcore.files.arrays import ARRAYS
        from segcore.network import device, gpus
        from segcore.parallel import group
        from segcore.train import run_folder
        from segcore.train.loop import Training
        from segcore.train.recipe import Recipe
        from segcore.train.record import VALIDATED_ON, make_record, md5

    recipe = Recipe.load()
    gpus.reserve(1)
    where = device.prepare()
    with device.explain_out_of_memory("choose a smaller train.batch_size"):
        run = Training(recipe, load_data(where), where)
        record = make_record(run)
        about = record | {"val": {name: md5(ARRAYS / name) for name in VALIDATED_ON}}
        inputs = run_folder.run_inputs(about, Path(__file__))
        group.join(where)
        run_folder.check_same(group.gather(inputs))
        seconds = run.time_step() if where.type == "cpu" else 0.0
        if not processes.is_first():
            group.wait_for_first()  # for its call in `train`; not deferred, so that a signal can end it
        with signals.defer(announce=True) as arrived:
            if processes.is_first():
                make_outputs(run, record, inputs, arrived, seconds)
            else:
                follow(run, arrived)
            arrived.clear()  # ignore signals that came after the last epoch: the model is complete
        group.leave()


def make_outputs(
    run: "Training", record: dict[str, Any], inputs: dict[str, Any], arrived: list[Signals], seconds: float
) -> None:
    """Train, and write the model with its ``record``, the curves and the metrics.

    Args:
        inputs: all that the result depends on, for the checkpoints.
        arrived: the deferred stop signals.
        seconds: that a step takes on the CPU.
    """
    from segcore.files.model import MODEL, save_weights
    from segcore.runtime.outputs import new_outputs
    from segcore.train import curves, run_folder

    with (
        run_folder.hold(inputs) as checkpoints,
        curves.live_curves() as rewrite_curves,
        new_outputs(MODEL, curves.METRICS, curves.CURVES) as [model_file, metrics_file, curves_file],
    ):
        train(run, checkpoints, arrived, rewrite_curves, seconds)
        save_weights(model_file, run.model.state_dict(), record)
        checkpoints.finish(model_file)
        curves.write_metrics(metrics_file, run.curves[-1])
        curves.write_curves(curves_file, run.curves)


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
    seconds: float,
) -> None:
    """Train from the last checkpoint, if there is one, to the end of the schedule.

    Args:
        arrived: the deferred stop signals.
        rewrite_curves: called after each epoch.
        seconds: that a step takes on the CPU.

    Raises:
        Stopped: if a signal asked to stop, or the parent has ended; a checkpoint is saved first.
    """
    from segcore.parallel import group
    from segcore.train.curves import Epoch
    from segcore.train.progress import Report, cpu_warning
    from segcore.train.run_folder import describe_similar

    saved = checkpoints.load()
    if saved is not None:
        run.restore(*saved)
    group.wait_for_first()
    run.synchronise()
    if run.device.type == "cpu":
        console.say(cpu_warning(run, seconds))
    for line in (*run.notes, *(describe_similar(checkpoints) if saved is None else ())):
        console.say(line)
    console.say(f"{'starting' if saved is None else 'going on'} at step {run.step} of {run.steps}")
    with Report(run) as report:
        for event in run.events():
            report.show(event)
            if isinstance(event, Epoch):
                rewrite_curves(run.curves)
            stop = group.stop_requested(arrived)
            if stop or checkpoints.due:
                is_saved = checkpoints.save(run.state)
                if stop:
                    outcome = "saved, and the same command goes on from here" if is_saved else "not saved"
                    console.say(f"stopped after step {run.step} of {run.steps}: {outcome}")
                    raise signals.Stopped(stop)
    checkpoints.save(run.state)


def follow(run: "Training", arrived: list[Signals]) -> None:
    """Train along with the first process, which alone reads and writes checkpoints and outputs.

    Args:
        arrived: the deferred stop signals.

    Raises:
        Stopped: if a signal asked any of the processes to stop, or a parent has ended.
    """
    from segcore.parallel import group

    run.synchronise()
    for _ in run.events():  # the same exchanges as in `train`
        if stop := group.stop_requested(arrived):
            raise signals.Stopped(stop)


if __name__ == "__main__":
    console.run(main)
