"""All checks and measurements for a GPU in one go: ``python -m benchmarks.gpu data/idd-lite.tar.gz --out FOLDER``.

The most important ones come first. Each has a time limit of its own, and each result is in FOLDER/gpu.json as soon as
it is known. It needs no DVC, works in a copy of the checkout, and also runs on a CPU, as a rehearsal; a test does that.
"""

import hashlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from benchmarks.checkout import Checkout
from benchmarks.report import show, write
from segcore.files.arrays import ARRAYS, FRAMES
from segcore.files.model import MODEL
from segcore.files.scores import read_scores

STAGES = ("fetch", "preprocess", "describe", "train", "evaluate", "export", "render", "card")
MAKE_DATA = ("fetch", "preprocess")
NEED_ONNX = ("export", "card")  # card has the scores of export
GPU_TESTS = (
    "tests/inference/test_predictor.py",
    "tests/network/test_device.py",
    "tests/train/test_loop.py",
    "tests/system/test_resume.py",
)
Row = dict[str, Any]


class Copy(Checkout):
    """A copy of the checkout; its processes write to gpu.log in :attr:`out`, and end by :attr:`deadline`."""

    def __init__(self, root: Path, source: Path, out: Path, epochs: int, height: int) -> None:
        super().__init__(root, source, train={"epochs": epochs}, preprocess={"height": height, "width": 2 * height})
        self.out, self.deadline = out, 0.0
        self.training = 0.0  # seconds of the first training

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - time.monotonic())

    def run(self, *command: object, **environment: str) -> str:
        """Run ``python -m COMMAND`` and return its output.

        Raises:
            subprocess.CalledProcessError: if it fails.
            subprocess.TimeoutExpired: if it does not end by the deadline.
        """
        with self.logged(*command, **environment) as (process, log):
            try:
                code = process.wait(self.left)
            finally:
                kill(process)
            said = log.read().strip()
        if code:
            raise subprocess.CalledProcessError(code, process.args, said)
        return said

    @contextmanager
    def logged(self, *command: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
        """Start ``python -m COMMAND``; yield its process, and what it says as a file to read."""
        path = self.out / "gpu.log"
        # Two files, because a position in one would move with what the process writes.
        with path.open("a") as log, path.open() as reader:
            reader.seek(0, os.SEEK_END)
            with self.start(*command, log=log, **environment) as process:
                yield process, reader

    def model(self) -> str:
        """Return the SHA-256 of the model."""
        return hashlib.sha256((self.root / MODEL).read_bytes()).hexdigest()


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it has started, which would compute beside the next check."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def passed(check: str, found: str) -> Row:
    """Return the row of a check that passed."""
    return {"check": check, "passed": True, "found": found}


def all_stages(copy: Copy) -> Iterator[Row]:
    """Run all stages with the default recipe; yield the seconds of each, from the start of its process to the end."""
    copy.set()
    whole = 0.0
    for stage in STAGES:
        if stage in NEED_ONNX and find_spec("onnx") is None:
            yield passed(stage, "left out, because onnx is not installed")
            continue
        started = time.monotonic()
        said = copy.run(f"stages.{stage}")
        taken = time.monotonic() - started
        whole += taken
        yield passed(stage, f"{taken:.1f} s")
        if stage == "train":
            copy.training = taken
            yield passed("last epoch", last_line(said))
        if stage == "evaluate":
            yield passed("score", scores(copy))
    yield passed("all stages", f"{whole:.1f} s")


def last_line(said: str) -> str:
    """Return the last line of an output."""
    return said.rpartition("\n")[2]


def scores(copy: Copy) -> str:
    """Return mIoU and the IoU of each class."""
    found = read_scores(copy.root / "metrics/evaluate.json")
    return f"mIoU {found.miou}, with flip {found.miou_flip}, {found.iou}"


def same_bytes(copy: Copy) -> Iterator[Row]:
    """Compare the models of a training that is killed in its second epoch and goes on, and of one that is not."""
    for what in ("whole network", "encoder only"):
        copy.set(train={"epochs": 2}, model={"encoder_only": what == "encoder only"})
        kill_in_the_second_epoch(copy)
        went_on = re.search(r"going on at step \d+", copy.run("stages.train"))
        model = copy.model()
        copy.run("stages.train")
        found = f"{went_on and went_on[0]}; {model[:12]} and {copy.model()[:12]}"
        yield {"check": f"{what}: same bytes", "passed": bool(went_on) and copy.model() == model, "found": found}


def kill_in_the_second_epoch(copy: Copy) -> None:
    """Start a training that saves after each step, and kill it."""
    from segcore.train.run_folder import CHECKPOINTS

    shutil.rmtree(copy.root / CHECKPOINTS, ignore_errors=True)
    with copy.logged("stages.train", SEGCORE_CHECKPOINT_SECONDS="0") as (process, log):
        said = ""
        while "epoch 1/2" not in said and process.poll() is None and copy.left:
            time.sleep(0.001)
            said += log.read()
        kill(process)


def marked_tests(copy: Copy) -> Iterator[Row]:
    """Run the tests that need a GPU. If there is one, none may skip."""
    import torch

    copy.set()
    # Not in parallel on one GPU, and without tests/conftest.py, which needs DVC and sets the number of threads.
    command = ("pytest", "--noconftest", "-o", "addopts=--import-mode=importlib", "-q", "-m", "gpu", *GPU_TESTS)
    found = last_line(copy.run(*command, SEGCORE_THREADS="1"))
    skipped = torch.cuda.is_available() and "skipped" in found
    yield {"check": "tests that need a GPU", "passed": not skipped, "found": found}


def benchmark(name: str, *options: object) -> Callable[[Copy], Iterator[Row]]:
    """Return the check that runs a different benchmark and keeps its JSON."""

    def run(copy: Copy) -> Iterator[Row]:
        copy.set()
        copy.run(f"benchmarks.{name}", *options)
        shutil.copyfile(copy.root / f"benchmarks/results/{name}.json", copy.out / f"{name}.json")
        yield passed(name, f"{copy.out / name}.json")

    return run


def more_training(**train: Any) -> Callable[[Copy], Iterator[Row]]:
    """Return the check that trains and evaluates with these changes of section `train`."""

    def run(copy: Copy) -> Iterator[Row]:
        if copy.left < copy.training:
            yield passed(str(train), f"left out: {copy.left:.0f} s were left")
            return
        copy.set(train=train)
        started = time.monotonic()
        said = copy.run("stages.train")
        taken = time.monotonic() - started
        copy.run("stages.evaluate")
        yield passed(str(train), f"{taken:.1f} s; {last_line(said)}; {scores(copy)}")

    return run


def batch(size: int) -> Callable[[Copy], Iterator[Row]]:
    """Return the check that trains with larger batches, at a rate that grows with their root (Malladi et al. 2022)."""
    return more_training(batch_size=size, lr=round(0.002 * math.sqrt(size / 4), 5))


# The checks and the seconds that each may take. Trainings that may be left out come last.
CHECKS: dict[str, tuple[Callable[[Copy], Iterator[Row]], int]] = {
    "stages": (all_stages, 330),
    "bytes": (same_bytes, 150),
    "tests": (marked_tests, 120),
    "kernels": (benchmark("kernels"), 60),
    "limits": (benchmark("limits", "--rounds", 2, "--frames", 1024), 60),
    "article": (benchmark("throughput", "--rounds", 3, "--frames", 200), 60),  # 300 batches of the article's loop
    "seed-2": (more_training(seed=2), 240),
    "batch-32": (batch(32), 240),
    "batch-16": (batch(16), 240),
    "batch-8": (batch(8), 240),
    "seed-3": (more_training(seed=3), 240),
}


def main(
    source: Annotated[Path, typer.Argument(exists=True, help="IDD-Lite's archive, or data/sample.tar.gz.")],
    out: Annotated[Path, typer.Option(help="A folder for the results.")],
    seconds: Annotated[int, typer.Option(help="Time for all; the rest is then stopped or left out.")] = 470,
    epochs: Annotated[int, typer.Option(help="Epochs of the trainings that are scored.")] = 100,
    height: Annotated[int, typer.Option(help="Height of the network's input; its width is twice that.")] = 160,
    slower: Annotated[float, typer.Option(help="Give each check this many times its time, to rehearse on a CPU.")] = 1,
    check: Annotated[list[str], typer.Option(help=f"Only these, of {' '.join(CHECKS)}.")] = list(CHECKS),  # noqa: B006
) -> None:
    """Check and measure everything; exit with 1 if a check failed."""
    if unknown := sorted(set(check) - CHECKS.keys()):
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(CHECKS)}", param_hint="--check")
    end = time.monotonic() + seconds
    out.mkdir(parents=True, exist_ok=True)
    rows = [passed("driver", driver())]
    with tempfile.TemporaryDirectory() as name:
        copy = Copy(Path(name), source, out, epochs, height)
        for one in check:
            function, limit = CHECKS[one]
            copy.deadline = min(end, time.monotonic() + limit * slower)
            for row in attempt(function, copy):
                print(row, flush=True)
                rows.append(row)
                # After each row, in case a later check ends this process.
                measured = write("gpu", rows, folder=out, source=source.name)
    show("On a GPU", rows, measured)
    failed = [row["check"] for row in rows if not row["passed"]]
    if failed:
        print("failed:", ", ".join(failed), file=sys.stderr)
        raise typer.Exit(1)


def attempt(check: Callable[[Copy], Iterator[Row]], copy: Copy) -> Iterator[Row]:
    """Yield the rows of a check, and one more if it fails or the time is up. Make its data first, if no check has."""
    try:
        if check is not all_stages and not (copy.root / ARRAYS / FRAMES).exists():
            copy.set()
            for stage in MAKE_DATA:
                copy.run(f"stages.{stage}")
        yield from check(copy)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        command = " ".join(error.cmd[2:])
        problem = "the time is up" if isinstance(error, subprocess.TimeoutExpired) else f"exit code {error.returncode}"
        said = f": {error.stdout[-2000:]}" if error.stdout else ""
        yield {"check": command, "passed": False, "found": problem + said}
    except Exception as error:  # the next checks go on
        yield {"check": "a check", "passed": False, "found": repr(error)}


def driver() -> str:
    """Return name, driver and memory of the GPUs, as nvidia-smi says them."""
    if not shutil.which("nvidia-smi"):
        return "no nvidia-smi"
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    typer.run(main)
