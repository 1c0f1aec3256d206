"""Training under DVC that is killed and started again: it goes on from its checkpoint and ends with the same bytes.

``SOAK_ROUNDS=20 pytest tests/system/test_resume_dvc.py -m system`` kills it at random moments in 4 × 20 runs,
20 of them in two processes.
"""

import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.queue_worker import has_succeeded, queue_worker
from tests.support.running import wait_until
from tests.support.tiny_training import saved_steps, started_at
from tests.support.workspace import Workspace

pytestmark = pytest.mark.system

EPOCHS, STEPS = 8, 24
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "1"))
# Parts of command lines: the processes that torchrun started; with torchrun; DVC; everything.
PROGRAMS = (b"-u\0-m\0stages.train", b"stages.train", b"repro", b"")
SETTING = f"--set-param=train.epochs={EPOCHS}"


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    workspace = finished.copy(tmp_path_factory.mktemp("undisturbed") / "workspace")
    workspace.dvc("exp", "run", SETTING, "train")
    return workspace


@pytest.fixture(scope="module")
def undisturbed_pair(finished, tmp_path_factory):
    workspace = finished.copy(tmp_path_factory.mktemp("undisturbed_pair") / "workspace")
    workspace.environment["SEGCORE_PROCESSES"] = "2"
    workspace.dvc("exp", "run", SETTING, "train")
    return workspace


@pytest.fixture
def interrupted(workspace):
    workspace.environment["SEGCORE_CHECKPOINT_SECONDS"] = "0"
    yield workspace
    kill(workspace, b"")  # what a failed test left


def processes(workspace: Workspace) -> Iterator[tuple[int, bytes]]:
    """Yield the process id and the command line of each process that works in the workspace."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, PermissionError, ProcessLookupError):
            if (folder / "cwd").readlink().is_relative_to(workspace.root):
                yield int(folder.name), (folder / "cmdline").read_bytes()


def kill(workspace: Workspace, program: bytes) -> None:
    """Send SIGKILL to the processes of the workspace with ``program`` in their command line."""
    for pid, command in processes(workspace):
        if program in command:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def run_and_kill(workspace: Workspace, *command: str, beyond: int = 3, program: bytes = b"") -> int:
    """Start a command, kill ``program`` (by default all) beyond a step of training, and return the last step saved."""
    process = subprocess.Popen(
        command,
        cwd=workspace.root,
        env=workspace.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: max(saved_steps(workspace.root), default=0) > beyond, seconds=120)
    kill(workspace, program)
    process.wait(60)
    wait_until(lambda: not list(processes(workspace)))  # without dvc, the trainer saves and ends
    step = saved_steps(workspace.root)[-1]
    assert step < STEPS
    return step


def run(workspace: Workspace, *command: str) -> str:
    """Run a command that has to succeed; return its stdout and stderr."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            command, cwd=workspace.root, env=workspace.environment, stdout=output, stderr=subprocess.STDOUT, timeout=300
        )
        output.seek(0)
        said = output.read()
    assert done.returncode == 0, said
    return said


def test_an_experiment_killed_in_the_workspace(interrupted, undisturbed):
    command = ["dvc", "exp", "run", SETTING, "train"]
    step = run_and_kill(interrupted, *command)
    assert started_at(run(interrupted, *command)) == step
    assert interrupted.outputs() == undisturbed.outputs()
    assert interrupted.lock() == undisturbed.lock()
    assert "train" not in interrupted.status()


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("program", [b"", b"stages.train", b"repro"], ids=["all", "trainer", "dvc"])
def test_killed_again_and_again_at_random_steps(interrupted, undisturbed, program, number):
    kill_again_and_again(interrupted, random.Random(f"{program} {number}"), program, most=3)
    assert interrupted.outputs() == undisturbed.outputs()
    assert interrupted.lock() == undisturbed.lock()


def kill_again_and_again(workspace: Workspace, rng: random.Random, program: bytes, most: int) -> None:
    """Kill ``program`` up to ``most`` times at random steps; then let it go on from the last checkpoint to the end."""
    workspace.set_parameter("train.epochs", EPOCHS)
    step = 0
    for _ in range(rng.randint(1, most)):
        step = run_and_kill(workspace, "dvc", "repro", "train", beyond=rng.randint(step, step + 5), program=program)
    assert started_at(run(workspace, "dvc", "repro", "train")) == step


@pytest.mark.parametrize("number", range(ROUNDS))
def test_two_processes_killed_again_and_again_at_random_steps(interrupted, undisturbed_pair, number):
    interrupted.environment["SEGCORE_PROCESSES"] = "2"
    program = PROGRAMS[number % len(PROGRAMS)]
    kill_again_and_again(interrupted, random.Random(f"pair {number}"), program, most=2)
    assert interrupted.outputs() == undisturbed_pair.outputs()


def test_killed_in_a_temporary_folder(interrupted, undisturbed):
    command = ["dvc", "exp", "run", "--temp", "--name=longer", SETTING, "train"]
    step = run_and_kill(interrupted, *command)
    assert started_at(run(interrupted, *command)) == step
    assert locked(interrupted, "longer") == locked(undisturbed)
    assert saved_steps(interrupted.root) == []


def test_killed_in_the_queue(interrupted, undisturbed):
    interrupted.dvc("exp", "run", "--queue", "--name=longer", SETTING, "train")
    step = run_and_kill(interrupted, "dvc", "queue", "start")
    interrupted.dvc("exp", "run", "--queue", "--name=again", SETTING, "train")
    with queue_worker(interrupted):
        wait_until(lambda: has_succeeded(interrupted, "again"), seconds=180, pause=2)
    assert started_at(interrupted.dvc("queue", "logs", "again")) == step
    assert locked(interrupted, "again") == locked(undisturbed)


def locked(workspace: Workspace, name: str | None = None) -> str:
    """Return the dvc.lock of an experiment, or of the workspace."""
    if name is None:
        return (workspace.root / "dvc.lock").read_text()
    # Not by way of `dvc exp show`, which lists what was killed in a temporary folder, too.
    [ref] = workspace.git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}").split()
    return workspace.git("show", f"{ref}:dvc.lock")
