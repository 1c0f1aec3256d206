"""Training under DVC, killed with all that belongs to it and asked for again: the same bytes, not from the start."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.queue_worker import has_succeeded, queue_worker
from tests.running import wait_until
from tests.tiny_training import saved_steps, started_at
from tests.workspace import Workspace

EPOCHS, STEPS = 8, 24
SETTING = f"--set-param=train.epochs={EPOCHS}"


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    workspace = finished.copy(tmp_path_factory.mktemp("undisturbed") / "workspace")
    workspace.dvc("exp", "run", SETTING)
    return workspace


@pytest.fixture
def interrupted(workspace):
    workspace.environment["SEGCORE_CHECKPOINT_SECONDS"] = "0"
    yield workspace
    kill_all(workspace)  # whatever a failed test left


def kill_all(workspace: Workspace) -> None:
    """SIGKILL for every process that works in the workspace, as when the power fails."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").readlink().is_relative_to(workspace.root):
                os.kill(int(folder.name), signal.SIGKILL)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue


def run_and_kill(workspace: Workspace, *command: str) -> int:
    """Start a command, kill it and all that it started in the midst of training, and give the last step saved."""
    process = subprocess.Popen(
        command,
        cwd=workspace.root,
        env=workspace.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: max(saved_steps(workspace.root), default=0) > 3, seconds=120)
    kill_all(workspace)
    process.wait(60)
    step = saved_steps(workspace.root)[-1]
    assert step < STEPS
    return step


def run(workspace: Workspace, *command: str) -> str:
    """What a command says that has to succeed, on stdout and on stderr."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            command, cwd=workspace.root, env=workspace.environment, stdout=output, stderr=subprocess.STDOUT, timeout=300
        )
        output.seek(0)
        said = output.read()
    assert done.returncode == 0, said
    return said


@pytest.mark.parametrize("command", [["repro"], ["exp", "run", SETTING]])
def test_killed_in_the_workspace(interrupted, undisturbed, command):
    if command == ["repro"]:
        interrupted.set_parameter("train.epochs", EPOCHS)
    step = run_and_kill(interrupted, "dvc", *command)
    assert started_at(run(interrupted, "dvc", *command)) == step
    assert interrupted.outputs() == undisturbed.outputs()
    assert interrupted.lock() == undisturbed.lock()
    assert interrupted.status() == set()


def test_killed_in_a_temporary_folder(interrupted, undisturbed):
    command = ["dvc", "exp", "run", "--temp", "--name=longer", SETTING]
    step = run_and_kill(interrupted, *command)
    assert started_at(run(interrupted, *command)) == step
    assert locked(interrupted, "longer") == locked(undisturbed)
    assert saved_steps(interrupted.root) == []


def test_killed_in_the_queue(interrupted, undisturbed):
    interrupted.dvc("exp", "run", "--queue", "--name=longer", SETTING)
    step = run_and_kill(interrupted, "dvc", "queue", "start")
    interrupted.dvc("exp", "run", "--queue", "--name=again", SETTING)
    with queue_worker(interrupted):
        wait_until(lambda: has_succeeded(interrupted, "again"), seconds=180, pause=2)
    assert started_at(interrupted.dvc("queue", "logs", "again")) == step
    assert locked(interrupted, "again") == locked(undisturbed)


def locked(workspace: Workspace, name: str | None = None) -> str:
    """The dvc.lock of an experiment, or of the workspace."""
    if name is None:
        return (workspace.root / "dvc.lock").read_text()
    # Not by way of `dvc exp show`, which lists what was killed in a temporary folder, too.
    [ref] = workspace.git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}").split()
    return workspace.git("show", f"{ref}:dvc.lock")
