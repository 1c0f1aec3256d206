"""Kill a real `dvc repro` while it trains, again and again, and see that it always ends with the same bytes.

`python -m benchmarks.kill_resume --rounds 50`: each round starts from the same workspace, kills what runs one to three
times by SIGKILL (all of it, the trainer, or dvc alone), and then lets it end.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import typer

from stages.train import CHECKPOINTS
from tests.workspace import Workspace

EPOCHS, STEPS = 40, 120
INTERVAL = "0.2"  # seconds between checkpoints: more of them than in earnest
TARGETS = ("dvc and trainer", "trainer", "dvc")
LIMIT = 300  # seconds that a run may take


@dataclass
class Kill:
    """One kill: of what, whether a checkpoint lay there, and whether the trainer was killed while it wrote one."""

    target: str
    had_checkpoint: bool
    while_writing: bool


@dataclass
class Round:
    """What happened in one round; ``resumed`` has the step that each run after a kill went on from."""

    kills: list[Kill] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main(rounds: int = 50, seed: int = 1) -> None:
    """Kill, go on, compare; exit with 1 if one round ends otherwise than an undisturbed run."""
    folder = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    base = Workspace.create(folder / "base" / "workspace")
    base.set_parameter("train.epochs", EPOCHS)
    base.environment["SEGCORE_CHECKPOINT_SECONDS"] = INTERVAL
    base.dvc("repro", "preprocess")
    undisturbed = base.copy(folder / "undisturbed" / "workspace")
    undisturbed.environment = base.environment
    undisturbed.repro()
    expected = result(undisturbed)
    rng = random.Random(seed)
    results = []
    for number in range(1, rounds + 1):
        root = folder / f"round-{number}" / "workspace"
        workspace = base.copy(root)
        workspace.environment = base.environment
        done = one_round(workspace, rng, expected)
        results.append(done)
        kills = ", ".join(f"{kill.target}{' while writing' if kill.while_writing else ''}" for kill in done.kills)
        outcome = "; ".join(done.problems) or "same bytes"
        print(f"{number}/{rounds}: killed {kills}; then began at step {done.resumed} of {STEPS}: {outcome}", flush=True)
        if not done.problems:
            shutil.rmtree(root.parent)
    report(results)
    if any(done.problems for done in results):
        print(f"the workspaces of what went wrong are in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


def one_round(workspace: Workspace, rng: random.Random, expected: dict[str, bytes]) -> Round:
    """Kill one to three times, then let it end, and compare."""
    done = Round()
    for _ in range(rng.choice((1, 1, 2, 3))):
        said, kill = run_and_kill(workspace, rng)
        note_start(done, said)
        if kill is None:  # it had ended before
            break
        done.kills.append(kill)
    code, said = run_to_the_end(workspace)
    note_start(done, said)
    if code != 0:
        done.problems.append(f"the last run ended with exit code {code}: {said[-500:]}")
    elif result(workspace) != expected:
        done.problems.append("other bytes")
    if list((workspace.root / CHECKPOINTS).glob("*")):
        done.problems.append("checkpoints are left")
    if any(not name.startswith(str(CHECKPOINTS)) and ".partial" in name for name in workspace.outputs()):
        done.problems.append("half-written outputs are left")
    return done


def note_start(done: Round, said: str) -> None:
    """Note where a run after a kill began, if it got as far as that; where a checkpoint was left not at the start."""
    found = re.search(rf"(?:starting|going on) at step (\d+) of {STEPS}", said)
    if done.kills and found:
        done.resumed.append(int(found[1]))
        if any(kill.had_checkpoint for kill in done.kills) and done.resumed[-1] == 0:
            done.problems.append("there was a checkpoint, and it began at the start")


def run_and_kill(workspace: Workspace, rng: random.Random) -> tuple[str, Kill | None]:
    """Start `dvc repro` and kill at a random moment of training, or while a checkpoint is being written."""
    checkpoints = workspace.root / CHECKPOINTS
    left = set(checkpoints.glob("*/*.partial"))  # by the kill before
    with tempfile.TemporaryFile("w+") as output:
        process = start(workspace, output)
        trainer = wait_for(lambda: trainer_of(process), process)
        wait_for(lambda: list(checkpoints.glob("*.lock")), process)
        if rng.random() < 0.4:
            for _ in range(rng.randint(1, 8)):
                wait_for(lambda: not list(checkpoints.glob("*/*.partial")), process)
                wait_for(lambda: list(checkpoints.glob("*/*.partial")), process)
        else:
            time.sleep(rng.uniform(0, 8))
        target = rng.choice(TARGETS)
        running = process.poll() is None and trainer is not None and is_alive(trainer)
        if running:
            kill(process, trainer, target)
        process.wait(LIMIT)
        had_checkpoint = any(checkpoints.glob("*/*.safetensors"))
        # When dvc alone was killed, the trainer writes to the end.
        while_writing = target != "dvc" and bool(set(checkpoints.glob("*/*.partial")) - left)
        output.seek(0)
        said = output.read()
    return said, Kill(target, had_checkpoint, while_writing) if running else None


def kill(process: subprocess.Popen, trainer: int, target: str) -> None:
    if target == "dvc and trainer":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        os.kill(trainer if target == "trainer" else process.pid, signal.SIGKILL)


def run_to_the_end(workspace: Workspace) -> tuple[int, str]:
    with tempfile.TemporaryFile("w+") as output:
        code = start(workspace, output).wait(LIMIT)
        output.seek(0)
        return code, output.read()


def start(workspace: Workspace, output) -> subprocess.Popen:
    return subprocess.Popen(
        ["dvc", "repro"],
        cwd=workspace.root,
        env=workspace.environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def trainer_of(process: subprocess.Popen) -> int | None:
    """The process that runs the train stage for dvc."""
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"stages.train" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    return None


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, process: subprocess.Popen):
    """What ``condition`` gives as soon as that is true; None if the process ends before."""
    while process.poll() is None:
        try:
            if found := condition():
                return found
        except FileNotFoundError:
            pass
        time.sleep(0.001)
    return None


def result(workspace: Workspace) -> dict[str, bytes]:
    """All outputs and dvc.lock; without what may be left of checkpoints, which is judged apart."""
    outputs = {name: data for name, data in workspace.outputs().items() if not name.startswith(str(CHECKPOINTS))}
    return outputs | {"dvc.lock": (workspace.root / "dvc.lock").read_bytes()}


def report(results: list[Round]) -> None:
    """The table: kills by target, and how many rounds ended as they should."""
    kills = [kill for done in results for kill in done.kills]
    print(f"\n{'killed':<18}{'kills':>6}{'after a checkpoint':>20}{'while writing one':>19}")
    for target in (*TARGETS, "all"):
        of = [kill for kill in kills if target in (kill.target, "all")]
        had, writing = sum(kill.had_checkpoint for kill in of), sum(kill.while_writing for kill in of)
        print(f"{target:<18}{len(of):>6}{had:>20}{writing:>19}")
    rounds = Counter("same bytes" if not done.problems else "; ".join(done.problems) for done in results)
    after = sum(any(kill.had_checkpoint for kill in done.kills) for done in results)
    writing = sum(any(kill.while_writing for kill in done.kills) for done in results)
    print(f"rounds: {len(results)}, killed after a checkpoint {after}, while writing one {writing}; {dict(rounds)}")
    steps = sorted(step for done in results for step in done.resumed)
    beyond = sum(step > 0 for step in steps)
    print(f"after a kill {beyond} of {len(steps)} runs began beyond step 0 of {STEPS}, median {steps[len(steps) // 2]}")


if __name__ == "__main__":
    typer.run(main)
