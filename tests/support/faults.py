"""Faults brought on a stage, a kill, a signal or a full disk, and the judgement of what it leaves behind.

Stages run in processes forked from one that has imported what they import, so that a fault at a random moment meets
their work, and not the seconds before it.
"""

import multiprocessing
import os
import random
import resource
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import yaml

from segcore.files import model
from segcore.files.dataset import DATASET, read_dataset, write_dataset
from tests.support import tiny
from tests.support.running import ROOT
from tests.support.small_disk import enter

STAGES = ("fetch", "preprocess", "describe", "evaluate", "export", "render", "card")
MOMENTS = ("at any moment", "while it writes", "while it replaces")
PAGE = 4096

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(
    [
        f"segcore.{name}"
        for name in (
            "card.card",
            "describe.report",
            "export.comparison",
            "export.model",
            "export.quantise",
            "inference.predictor",
            "inference.protocol",
            "fetch.check",
            "preprocess.resize",
            "render.panels",
        )
    ]
)

Tree = dict[str, bytes | None]  # each file below a folder, and None for each folder


@dataclass(frozen=True)
class Case:
    """A stage in a folder that has its inputs, and the outputs of an earlier run on others."""

    stage: str
    folder: Path
    outputs: tuple[str, ...]
    old: Tree
    new: Tree  # after a run without a fault
    seconds: float  # that it took

    def again(self) -> None:
        """Make the folder what it was before any fault."""
        write_tree(self.folder, self.old)

    def state(self) -> str:
        """Return what the outputs are: ``old``, ``new``, or ``mixed``. Each must be whole, and all else as it was.

        A folder may also be missing, after a kill in the moment between two renames.
        """
        found = read_tree(self.folder)
        states = set()
        for output in self.outputs:
            if not Path(output).suffix and not below(found, output):
                states.add("missing")
                continue
            whole = [state for state in ("old", "new") if below(getattr(self, state), output) == below(found, output)]
            assert whole, f"{output} is neither the old nor the new output"
            states |= set(whole)
        others = {name: data for name, data in found.items() if not (self.made(name) or is_debris(name))}
        assert others == {name: data for name, data in self.old.items() if not self.made(name)}, "more has changed"
        return "mixed" if "missing" in states or len(states) > 1 else states.pop()

    def made(self, name: str) -> bool:
        """Whether the stage makes this file or folder."""
        return any(Path(name).is_relative_to(output) for output in self.outputs)

    def check_clean(self) -> None:
        """Nothing half-written is left."""
        left = [name for name in read_tree(self.folder) if is_debris(name)]
        assert left == [], f"left behind: {left}"

    def check_run(self) -> None:
        """Run without a fault, whatever was before: the right bytes, and nothing else."""
        code, said = finish(start(self))
        assert code == 0, said
        found = read_tree(self.folder)
        different = {name for name in found | self.new if found.get(name, 0) != self.new.get(name, 0)}
        assert different == set(), f"after another run: {sorted(different)}"


def make_cases(finished: Path, folder: Path) -> dict[str, Case]:
    """The stages of :data:`STAGES`, each in a folder of its own, from a workspace where all have run."""
    cases = {}
    for stage in STAGES:
        home = folder / stage
        for name in ("data", "metrics"):
            shutil.copytree(finished / name, home / name, ignore=shutil.ignore_patterns("checkpoints"))
        shutil.copy(finished / "params.yaml", home)
        change_inputs(home, stage)
        case = Case(stage, home, outputs_of(stage), read_tree(home), {}, 0)
        started = time.monotonic()
        code, said = finish(start(case))
        assert code == 0, said
        case = Case(stage, home, case.outputs, case.old, read_tree(home), time.monotonic() - started)
        for output in case.outputs:
            assert below(case.old, output) != below(case.new, output), f"{stage}: the fault would not show in {output}"
        cases[stage] = case
    return cases


def outputs_of(stage: str) -> tuple[str, ...]:
    """The outputs that dvc.yaml names."""
    entry = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    named = [each for kind in ("outs", "metrics", "plots") for each in entry.get(kind, [])]
    return tuple(each if isinstance(each, str) else next(iter(each)) for each in named)


def change_inputs(folder: Path, stage: str) -> None:
    """Change what the stage reads, so that each of its outputs becomes another."""
    parameters = yaml.safe_load((folder / "params.yaml").read_text())
    if stage == "fetch":
        tiny.write_tar(folder / "source.tar.gz", tiny.published())
        parameters["fetch"]["source"] = "source.tar.gz"
    elif stage == "preprocess":
        parameters["preprocess"] = {"height": 64, "width": 128, "validation": "holdout"}
    elif stage == "describe":
        path = folder / "data/arrays/val_images.npy"
        np.save(path, 255 - np.load(path))
    elif stage == "card":
        path = folder / DATASET
        write_dataset(path, read_dataset(path).model_copy(update={"name": "a different data set"}))
    elif stage in ("evaluate", "export"):
        path = folder / "data/model/erfnet.safetensors"
        state, about = model.load_weights(path)
        model.save_weights(path, {name: value.flip(0) for name, value in state.items()}, about)
    else:
        parameters["render"] = {"frames": 2, "test_frames": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters))


# Processes


@dataclass(frozen=True)
class Run:
    """A stage that runs, and the pipe with what it says."""

    process: multiprocessing.process.BaseProcess
    said: Connection


def start(case: Case, file_limit: int | None = None, namespace: int | None = None) -> Run:
    """Start the stage, with files limited to so many bytes, or in the namespaces of the process ``namespace``."""
    said, writer = FORK.Pipe(duplex=False)
    process = FORK.Process(target=run_stage, args=(case.stage, case.folder, writer, file_limit, namespace), daemon=True)
    process.start()
    writer.close()
    return Run(process, said)


def finish(run: Run) -> tuple[int, str]:
    """Wait for the end: its exit code, and what it said."""
    run.process.join(120)
    assert run.process.exitcode is not None, "it does not end"
    with run.said, os.fdopen(os.dup(run.said.fileno())) as said:
        return run.process.exitcode, said.read()


def run_stage(stage: str, folder: Path, said: Connection, file_limit: int | None, namespace: int | None) -> None:
    """In the process of its own: as ``python -m stages.STAGE`` in ``folder``."""
    if namespace is not None:
        enter(namespace)
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
    os.chdir(folder)
    os.environ |= {"SEGCORE_DEVICE": "cpu", "SEGCORE_THREADS": "2"}
    sys.argv = ["stage"]
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    runpy.run_module(f"stages.{stage}", run_name="__main__")


# Faults


def strike(case: Case, moment: str, number: int, rng: random.Random) -> tuple[int, str]:
    """Run the stage and send it a signal at such a moment."""
    first = case.folder / case.outputs[0]
    before = first.stat().st_ino
    run = start(case)
    partials = [(case.folder / output).with_name(f".{Path(output).name}.partial") for output in case.outputs]
    if moment == "at any moment":
        run.process.join(rng.uniform(0, case.seconds))
    elif moment == "while it writes":
        poll(run, lambda: any(partial.exists() for partial in partials))
        run.process.join(rng.uniform(0, 0.7 * case.seconds))
    else:
        poll(run, lambda: inode(first) not in (None, before))
    if run.process.is_alive():
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(run.process.pid, number)
    return finish(run)


def poll(run: Run, condition: Callable[[], bool]) -> None:
    """Wait until the condition holds or the process has ended."""
    until = time.monotonic() + 120
    while not condition() and run.process.is_alive():
        assert time.monotonic() < until


def inode(path: Path) -> int | None:
    """Which file or folder it is; None if there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def kill(case: Case, moment: str, rng: random.Random) -> str:
    """Kill it; each output is whole. Give their state."""
    code, said = strike(case, moment, signal.SIGKILL, rng)
    assert code in (0, -signal.SIGKILL), said
    return case.state()


def stop(case: Case, moment: str, number: signal.Signals, rng: random.Random) -> str:
    """Ask it to stop: it says so, and clears up. Give the state of the outputs."""
    code, said = strike(case, moment, number, rng)
    case.check_clean()
    state = case.state()
    assert state != "mixed"
    if code != 0:  # 0: it was too late
        assert (code, said.count(f"stopped by {number.name}: ")) == (128 + number, 1), f"exit code {code}: {said}"
        assert "Traceback" not in said, said
    return state


def limit_files(case: Case, rng: random.Random) -> str:
    """Let it write no file beyond a random size that is too small for one of them. Give the state of the outputs."""
    largest = max(len(data or b"") for output in case.outputs for data in below(case.new, output).values())
    return check_failed(case, start(case, file_limit=rng.randrange(largest)), "File too large; raise the limit")


def fill_disk(case: Case, holder: int, rng: random.Random) -> str:
    """Leave a random room that is too small for the outputs, on the disk of :mod:`tests.support.small_disk`."""
    sizes = [len(data) for output in case.outputs for data in below(case.new, output).values() if data]
    room = PAGE * rng.randrange(sum(-(-size // PAGE) for size in sizes))
    disk = os.statvfs(case.folder)
    filler = case.folder.parent / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - room)
    try:
        return check_failed(case, start(case, namespace=holder), "No space left on device; free some space and run")
    finally:
        filler.unlink()


def check_failed(case: Case, run: Run, message: str) -> str:
    """It ended with the message and exit code 1, and left all as it was. Give the state of the outputs."""
    code, said = finish(run)
    assert code == 1, f"exit code {code}: {said}"
    assert message in said, said
    assert "Traceback" not in said, said
    case.check_clean()
    state = case.state()
    assert state == "old"
    return state


# Trees


def read_tree(folder: Path) -> Tree:
    """All that is below a folder, hidden or not."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")
    }


def write_tree(folder: Path, tree: Tree) -> None:
    """Make the folder hold this and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in sorted(tree.items()):
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)


def below(tree: Tree, name: str) -> Tree:
    """That file or folder of the tree with all below it."""
    return {path: data for path, data in tree.items() if Path(path).is_relative_to(name)}


def is_debris(name: str) -> bool:
    """Whether it is, or is in, something half-written or set aside."""
    return any(part.startswith(".") and part.endswith((".partial", ".old")) for part in Path(name).parts)
