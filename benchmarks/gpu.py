"""All checks and measurements for a GPU in one go: ``python -m benchmarks.gpu data/idd-lite.tar.gz --out FOLDER``.

The seconds of each stage, the same bytes with and without a kill, the tests that need a GPU, and the other benchmarks.
It needs no DVC, works in a copy of the checkout, and also runs on a CPU, as a rehearsal (a test does that).
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.checkout import Checkout
from benchmarks.report import publish
from segcore.files.model import MODEL
from segcore.files.scores import SCORES

STAGES = ("fetch", "preprocess", "describe", "train", "evaluate", "export", "render", "card")
NEED_ONNX = ("export", "card")  # card has the scores of export
GPU_TESTS = (
    "tests/inference/test_predictor.py",
    "tests/network/test_device.py",
    "tests/train/test_loop.py",
    "tests/system/test_resume.py",
)
SHORT = {"epochs": 2, "batch_size": 4, "ema": 0.9}  # for the trainings that are only compared
Row = dict[str, Any]


def main(
    source: Annotated[Path, typer.Argument(exists=True, help="IDD-Lite's archive, or data/sample.tar.gz.")],
    out: Annotated[Path, typer.Option(help="A folder for the JSON of each benchmark.")],
    seconds: Annotated[int, typer.Option(help="Time for all; the rest is then stopped or left out.")] = 470,
    epochs: Annotated[int, typer.Option(help="Epochs of the training that is timed.")] = 100,
    batch: Annotated[int, typer.Option(help="Its batch size.")] = 32,
    lr: Annotated[float, typer.Option(help="Its learning rate.")] = 0.003,
    frames: Annotated[int, typer.Option(help="Frames of each training in a round of the other benchmarks.")] = 1024,
    benchmarks: Annotated[bool, typer.Option(help="Run the other benchmarks, too.")] = True,
    height: Annotated[int, typer.Option(help="Height of the network's input; its width is twice that.")] = 160,
) -> None:
    """Check and measure everything; exit with 1 if a check failed.

    Each line appears as soon as it is known, and says so where the time was
    up.
    """
    deadline = time.monotonic() + seconds
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        copy = Copy(Path(name), source, deadline)
        size = {"height": height, "width": 2 * height}
        timed = {"epochs": epochs, "batch_size": batch, "lr": lr}
        checks = [lambda: timed_stages(copy, size, timed), lambda: same_bytes(copy), lambda: tests(copy)]
        if benchmarks:
            each = ("--rounds", 3, "--frames")
            checks += [
                lambda: benchmark(copy, out, "throughput", batch, *each, max(2, frames // 8)),
                lambda: benchmark(copy, out, "limits", batch, *each, frames),
                lambda: benchmark(copy, out, "tricks", batch, *each, frames, "--largest-batch", 4 * batch),
            ]
        rows = []
        for check in checks:
            for found in attempt(check):
                print(found, flush=True)
                rows.append(found)
            # After each check, in case a later one ends this process.
            publish("gpu", "On a GPU", rows, folder=out, source=source.name)
    failed = [found["check"] for found in rows if not found["passed"]]
    if failed:
        print("failed:", ", ".join(failed), file=sys.stderr)
        raise typer.Exit(1)


class Copy(Checkout):
    """A copy of the checkout whose processes end by ``deadline``."""

    def __init__(self, root: Path, source: Path, deadline: float) -> None:
        super().__init__(root, source)
        self.deadline = deadline

    def run(self, *command: object, **environment: str) -> str:
        """Run ``python -m COMMAND`` and return its output.

        Raises:
            subprocess.CalledProcessError: if it fails.
            subprocess.TimeoutExpired: if it does not end by the deadline.
        """
        with self.start(*command, **environment) as process:
            try:
                said, _ = process.communicate(timeout=max(0.0, self.deadline - time.monotonic()))
            finally:
                process.kill()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, said)
        return said

    def model(self) -> str:
        """Return the SHA-256 of the model."""
        return hashlib.sha256((self.root / MODEL).read_bytes()).hexdigest()


def attempt(check: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """Yield the rows of a check, and one more if a command fails or the time is up."""
    try:
        yield from check()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        command = " ".join(error.cmd[2:])
        problem = "the time is up" if isinstance(error, subprocess.TimeoutExpired) else f"exit code {error.returncode}"
        yield line(command, False, problem + (f": {error.stdout[-1000:]}" if error.stdout else ""))


def line(check: str, passed: bool, found: str) -> Row:
    """Return a row of the table."""
    return {"check": check, "passed": passed, "found": found}


def timed_stages(copy: Copy, size: dict[str, int], train: dict[str, Any]) -> Iterator[Row]:
    """Run all stages; yield the seconds of each, from the start of its process to the end."""
    copy.set(preprocess=size, train=train)
    whole = 0.0
    for stage in STAGES:
        if stage in NEED_ONNX and find_spec("onnx") is None:
            yield line(stage, True, "left out, because onnx is not installed")
            continue
        started = time.monotonic()
        copy.run(f"stages.{stage}")
        taken = time.monotonic() - started
        whole += taken
        yield line(f"{stage} {train}" if stage == "train" else stage, True, f"{taken:.1f} s")
    yield line("all stages", True, f"{whole:.1f} s")
    yield line("score", True, " ".join((copy.root / SCORES).read_text().split()))


def same_bytes(copy: Copy) -> Iterator[Row]:
    """Compare the models of a training and of one that is killed after a checkpoint and goes on."""
    for encoder_only in (False, True):
        copy.set(train=SHORT, model={"encoder_only": encoder_only})
        went_on = kill_after_a_checkpoint(copy)
        copy.run("stages.train")
        model = copy.model()
        copy.run("stages.train")
        what = "encoder only" if encoder_only else "whole network"
        yield line(f"{what}: same bytes with and without a kill", went_on and copy.model() == model, model[:12])


def kill_after_a_checkpoint(copy: Copy) -> bool:
    """Kill a training after its first checkpoint; return whether it was killed before its end and left a checkpoint."""
    from segcore.train.run_folder import CHECKPOINTS

    def has_saved() -> bool:
        return any((copy.root / CHECKPOINTS).glob("*/*.safetensors"))

    with copy.start("stages.train", SEGCORE_CHECKPOINT_SECONDS="0") as process:
        while process.poll() is None and not has_saved() and time.monotonic() < copy.deadline:
            time.sleep(0.001)
        process.kill()
    return process.returncode < 0 and has_saved()


def tests(copy: Copy) -> Iterator[Row]:
    """Run the tests that need a GPU."""
    # Not in parallel on one GPU, and without tests/conftest.py, which needs DVC and sets the number of threads.
    command = ("pytest", "--noconftest", "-o", "addopts=--import-mode=importlib", "-q", "-m", "gpu", *GPU_TESTS)
    said = copy.run(*command, SEGCORE_THREADS="1")
    yield line("tests that need a GPU", True, said.strip().splitlines()[-1])


def benchmark(copy: Copy, out: Path, name: str, batch: int, *options: object) -> Iterator[Row]:
    """Run a different benchmark and keep its JSON in ``out``; our training has batches of ``batch``."""
    copy.set(train={"batch_size": batch})
    print(copy.run(f"benchmarks.{name}", *options), flush=True)
    shutil.copyfile(copy.root / f"benchmarks/results/{name}.json", out / f"{name}.json")
    yield line(name, True, f"{out / name}.json")


if __name__ == "__main__":
    typer.run(main)
