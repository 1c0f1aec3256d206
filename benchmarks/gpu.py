"""All that is to be seen on a GPU, in one go: ``python -m benchmarks.gpu data/idd-lite.tar.gz --out results``.

Same bytes twice, same bytes after a kill, seconds of each stage, the tests that want a card, and the other benchmarks.
It runs without DVC, in a copy of the checkout, and on a CPU too, as a rehearsal.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from benchmarks.report import publish

CODE = ("segcore", "stages", "benchmarks", "tests", "pyproject.toml", "data/sample.yaml", "data/random_start.yaml")
MODEL = Path("data/model/erfnet.safetensors")
CHECKPOINTS = Path("data/checkpoints")
WITH_GPU_TESTS = ("tests/test_device.py", "tests/test_training.py", "tests/test_resume.py")
SHORT = {"epochs": 3, "batch_size": 4, "ema": 0.9}  # for the runs that are only compared
Row = dict[str, Any]


def main(
    source: Annotated[Path, typer.Argument(exists=True, help="IDD-Lite's archive, or data/sample.yaml.")],
    out: Annotated[Path, typer.Option(help="A folder for the JSON of each benchmark.")],
    seconds: Annotated[int, typer.Option(help="What has not begun by then is left out.")] = 470,
    epochs: Annotated[int, typer.Option(help="Of the training that is timed.")] = 100,
    batch: Annotated[int, typer.Option(help="Of the training that is timed.")] = 32,
    lr: Annotated[float, typer.Option(help="Of the training that is timed.")] = 0.003,
    frames: Annotated[int, typer.Option(help="That each training of the other benchmarks takes in a round.")] = 1024,
) -> None:
    """Check and measure everything; exit with 1 if a check failed.

    Each line appears as soon as it is known. What cannot end in time is
    stopped, and the line says so.
    """
    deadline = time.monotonic() + seconds
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        copy = Copy(Path(name), source, deadline)
        rows = []
        for check in (
            lambda: timed_stages(copy, {"epochs": epochs, "batch_size": batch, "lr": lr}),
            lambda: same_bytes(copy),
            lambda: tests(copy),
            lambda: benchmark(copy, out, "throughput", batch, "--rounds", 3, "--frames", max(8, frames // 8)),
            lambda: benchmark(copy, out, "limits", batch, "--rounds", 3, "--frames", frames),
            lambda: benchmark(copy, out, "tricks", batch, "--rounds", 3, "--frames", frames, "--largest-batch", 128),
        ):
            for found in attempt(check):
                print(found, flush=True)
                rows.append(found)
            publish("gpu", "On a GPU", rows, folder=out, source=source.name)  # anew after each, whatever comes next
    failed = [found["check"] for found in rows if not found["passed"]]
    if failed:
        print("failed:", ", ".join(failed), file=sys.stderr)
        raise typer.Exit(1)


class Copy:
    """A copy of the checkout, its parameters, and its stages as processes that end by ``deadline``."""

    def __init__(self, root: Path, source: Path, deadline: float) -> None:
        self.root, self.deadline = root, deadline
        self.params = yaml.safe_load(Path("params.yaml").read_text())
        self.params["fetch"]["source"] = str(source.absolute())
        for name in CODE:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if Path(name).is_dir() else shutil.copyfile
            copy(name, root / name)
        self.set()

    def set(self, **changes: dict[str, Any]) -> None:
        """Set params.yaml to what the checkout has, but for ``changes`` of its sections."""
        sections = {name: section | changes.get(name, {}) for name, section in self.params.items()}
        (self.root / "params.yaml").write_text(yaml.safe_dump(sections))

    def run(self, *command: object, **environment: str) -> subprocess.CompletedProcess:
        """``python -m COMMAND``; what it says is shown, and its output is kept.

        Raises:
            subprocess.CalledProcessError: if it fails.
            subprocess.TimeoutExpired: if it does not end by the deadline.
        """
        return subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.root,
            env=os.environ | environment,
            timeout=max(0.0, self.deadline - time.monotonic()),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )

    def model(self) -> str:
        """The sha256 of the model that lies there."""
        return hashlib.sha256((self.root / MODEL).read_bytes()).hexdigest()


def attempt(check: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """The rows of a check; where a command of it fails or the time is up, one more that says so."""
    try:
        yield from check()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        command = " ".join(error.cmd[2:])
        problem = "the time is up" if isinstance(error, subprocess.TimeoutExpired) else f"exit code {error.returncode}"
        yield line(command, False, problem + (f": {error.stdout[-1000:]}" if error.stdout else ""))


def line(check: str, passed: bool, found: str) -> Row:
    """A line of the table."""
    return {"check": check, "passed": passed, "found": found}


def timed_stages(copy: Copy, train: dict[str, Any]) -> Iterator[Row]:
    """All stages, each in seconds with its start."""
    copy.set(train=train)
    whole = 0.0
    for stage in ("fetch", "preprocess", "describe", "train", "evaluate", "render", "card"):
        started = time.monotonic()
        copy.run(f"stages.{stage}")
        taken = time.monotonic() - started
        whole += taken
        yield line(f"{stage} {train}" if stage == "train" else stage, True, f"{taken:.1f} s")
    yield line("all stages", True, f"{whole:.1f} s")
    yield line("score", True, " ".join((copy.root / "metrics/evaluate.json").read_text().split()))


def same_bytes(copy: Copy) -> Iterator[Row]:
    """Train twice, and once more with a SIGKILL after a checkpoint: one model; for the encoder alone as well."""
    for encoder_only in (False, True):
        what = "encoder only" if encoder_only else "whole network"
        copy.set(train=SHORT, model={"encoder_only": encoder_only})
        copy.run("stages.train")
        expected = copy.model()
        copy.run("stages.train")
        yield line(f"{what}: same bytes twice", copy.model() == expected, expected[:12])
        went_on = kill_after_a_checkpoint(copy)
        copy.run("stages.train")
        yield line(f"{what}: same bytes after a kill", went_on and copy.model() == expected, f"went on: {went_on}")


def kill_after_a_checkpoint(copy: Copy) -> bool:
    """Kill a training that has saved once; whether it was killed before its end, and left a checkpoint."""
    environment = os.environ | {"SEGCORE_CHECKPOINT_SECONDS": "0.1"}
    process = subprocess.Popen([sys.executable, "-m", "stages.train"], cwd=copy.root, env=environment)
    folder = copy.root / CHECKPOINTS
    while process.poll() is None and not list(folder.glob("*/*.safetensors")) and time.monotonic() < copy.deadline:
        time.sleep(0.01)
    process.kill()
    return process.wait() < 0 and bool(list(folder.glob("*/*.safetensors")))


def tests(copy: Copy) -> Iterator[Row]:
    """The tests that want a card."""
    # What tests/conftest.py shares needs DVC, but for the number of threads.
    command = ("pytest", "--noconftest", "-o", "addopts=", "-q", "-m", "gpu", *WITH_GPU_TESTS)
    done = copy.run(*command, SEGCORE_THREADS="1")
    yield line("tests that want a card", True, done.stdout.strip().splitlines()[-1])


def benchmark(copy: Copy, out: Path, name: str, batch: int, *options: object) -> Iterator[Row]:
    """Another benchmark, whose JSON is kept in ``out``; ours with batches of ``batch``."""
    copy.set(train={"batch_size": batch})
    print(copy.run(f"benchmarks.{name}", *options).stdout, flush=True)
    shutil.copyfile(copy.root / f"benchmarks/results/{name}.json", out / f"{name}.json")
    yield line(name, True, f"{out / name}.json")


if __name__ == "__main__":
    typer.run(main)
