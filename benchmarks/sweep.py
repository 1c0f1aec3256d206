"""Train recipes × seeds without DVC, several at a time: ``python -m benchmarks.sweep ARCHIVE RECIPES --out FOLDER``.

RECIPES is a YAML file of what each recipe changes in params.yaml, the most promising first:

    default: {}
    no weights: {train: {class_weights: none, lr: 0.001}}

Each result is a line of FOLDER/results.jsonl as soon as it is known. When the time is up, the runs are stopped, and the
same command goes on from their checkpoints. A folder is for one state of the code, params.yaml and the data.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from benchmarks.checkout import DATASET, ROOT, Checkout
from segcore.files.model import MODEL
from segcore.files.scores import SCORES, read_scores
from segcore.network import device
from segcore.runtime.threads import thread_count

SECTIONS = {"train", "model", "augment"}  # of params.yaml, in which recipes may differ
INPUTS = ("raw", "native", "arrays")  # of train and evaluate, in data/


@dataclass(frozen=True)
class Run:
    """A recipe with a seed; ``changes`` are of params.yaml, by section."""

    recipe: str
    seed: int
    changes: dict[str, dict[str, Any]]


def main(
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The archive of the data set.")],
    recipes: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The YAML file of recipes.")],
    out: Annotated[Path, typer.Option(help="A folder for the results and the runs.")],
    seeds: Annotated[int, typer.Option(help="Each recipe with the seeds 1 to this.", min=1)] = 2,
    epochs: Annotated[int, typer.Option(help="Of recipes that do not say.", min=1)] = 12,
    height: Annotated[int, typer.Option(help="Height of the network's input; its width is twice that.")] = 80,
    validation: Annotated[Literal["holdout", "official"], typer.Option(help="The frames to score.")] = "holdout",
    jobs: Annotated[int, typer.Option(help="Runs at a time, which share the device.", min=1)] = 2,
    minutes: Annotated[float, typer.Option(help="Stop after this time.")] = 600,
) -> None:
    """Train and score each recipe with each seed, unless the results have it; exit with 1 if a run failed."""
    deadline = time.monotonic() + 60 * minutes
    preprocess = {"height": height, "width": 2 * height, "validation": validation}
    runs = []
    for recipe, changes in yaml.safe_load(recipes.read_text()).items():
        changes = changes or {}
        if unknown := sorted(changes.keys() - SECTIONS):
            raise typer.BadParameter(f"{recipes}: {recipe}: {unknown[0]} is none of {', '.join(sorted(SECTIONS))}")
        for seed in range(1, seeds + 1):
            train = {"epochs": epochs} | changes.get("train", {}) | {"seed": seed}
            runs.append(Run(recipe, seed, changes | {"preprocess": preprocess, "train": train}))
    claim(out, source)
    results = out / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = [Run(row["recipe"], row["seed"], row["changes"]) for row in rows]

    inputs = prepare(source, out / f"data-{height}-{validation}", preprocess)
    threads = max(1, thread_count() // jobs)
    failed = False
    pool = ThreadPoolExecutor(jobs)
    try:
        started = [
            pool.submit(train_and_score, run, source, inputs, out / "runs" / name(run), threads, deadline)
            for run in runs
            if run not in done
        ]
        for finished in as_completed(started):
            try:
                line = json.dumps(finished.result())
            except subprocess.TimeoutExpired:
                continue
            except Exception as error:  # the other runs go on
                print(error, file=sys.stderr)
                failed = True
                continue
            print(line, flush=True)
            with results.open("a") as file:
                file.write(line + "\n")
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C stops the trainings, too
    raise typer.Exit(failed)


def claim(out: Path, source: Path) -> None:
    """Record in ``out`` which code, parameters and data its results come from.

    Raises:
        typer.BadParameter: if they come from different code, parameters or data.
    """
    files = [
        ROOT / "params.yaml",
        source,
        ROOT / DATASET,
        *sorted((ROOT / "segcore").rglob("*.py")),
        *sorted((ROOT / "stages").glob("*.py")),
    ]
    origin = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    note = out / "origin"
    if note.exists() and note.read_text() != origin:
        raise typer.BadParameter(f"{out} has results of different code, parameters or data: name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(origin)


def name(run: Run) -> str:
    """Return the folder name of a run, a hash of its recipe and seed."""
    return hashlib.sha256(json.dumps(asdict(run), sort_keys=True).encode()).hexdigest()[:12]


def prepare(source: Path, root: Path, preprocess: dict[str, Any]) -> Path:
    """Fetch and preprocess at ``root``, unless that was done; return its data folder."""
    done = root / "done"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        checkout = Checkout(root, source)
        checkout.set(preprocess=preprocess)
        for stage in ("fetch", "preprocess"):
            subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=root, check=True)
        done.touch()
    return root / "data"


def train_and_score(run: Run, source: Path, data: Path, root: Path, threads: int, deadline: float) -> dict[str, Any]:
    """Train and evaluate a run at ``root``, from its last checkpoint if there is one; return its line of the results.

    Raises:
        subprocess.TimeoutExpired: if the deadline came first.
        subprocess.CalledProcessError: if a stage failed.
    """
    if time.monotonic() >= deadline:
        raise subprocess.TimeoutExpired("train", 0)
    done = root / "done"  # seconds of training so far
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        Checkout(root, source).set(**run.changes)
        for name in INPUTS:
            (root / "data" / name).symlink_to((data / name).absolute())
        done.write_text("0")
    # A finished training is not repeated, as the stage would, if only evaluate was stopped.
    for stage in ("train", "evaluate") if not (root / MODEL).exists() else ("evaluate",):
        started = time.monotonic()
        try:
            execute(stage, root, threads, deadline - started)
        finally:
            if stage == "train":
                done.write_text(str(float(done.read_text()) + time.monotonic() - started))
    scores = read_scores(root / SCORES)
    return asdict(run) | {
        "seconds": round(float(done.read_text())),
        "miou": scores.miou,
        "miou_flip": scores.miou_flip,
        "iou": scores.iou,
        "date": date.today().isoformat(),
        "processor": device.processor(),
        "device": device.name(device.find_device()),
        "threads": threads,
        "torch": version("torch"),
    }


def execute(stage: str, root: Path, threads: int, seconds: float) -> None:
    """Run a stage at ``root`` for at most ``seconds``, and then ask it to stop; what it says is in STAGE.log."""
    command = [sys.executable, "-m", f"stages.{stage}"]
    where = str(device.find_device())  # several runs share it
    environment = os.environ | {"SEGCORE_THREADS": str(threads), "SEGCORE_DEVICE": where}
    with (root / f"{stage}.log").open("a") as log:
        with subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log) as process:
            try:
                code = process.wait(max(0, seconds))
            except BaseException:
                process.terminate()
                raise
        if code:
            raise subprocess.CalledProcessError(code, f"{log.name}, the stage {stage}")


if __name__ == "__main__":
    # Under nohup, too, a stage stops when this process has ended: a handler is not inherited, an ignored signal is.
    signal.signal(signal.SIGHUP, lambda *_: None)
    typer.run(main)
