"""A training that is complete when DVC fails: the next run takes its result, unless DVC has stored the model."""

import hashlib
import shutil
import subprocess

import pytest
import zc.lockfile

from segcore.files.model import MODEL
from tests.support.small_disk import seen_by, small_disk
from tests.support.tiny_training import started_at
from tests.support.workspace import Workspace

pytestmark = pytest.mark.system

EPOCHS, STEPS = 3, 9


@pytest.fixture
def longer(workspace):
    """The finished workspace, with something to train."""
    workspace.set_parameter("train.epochs", EPOCHS)
    return workspace


def repro(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc repro train`; its output is in stdout."""
    return subprocess.run(
        ["dvc", "repro", "train", *arguments], cwd=workspace.root, env=workspace.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip


def model_md5(workspace: Workspace) -> str:
    return hashlib.md5((workspace.root / MODEL).read_bytes()).hexdigest()


def locked_md5(workspace: Workspace) -> str:
    [out] = [out for out in workspace.lock()["train"]["outs"] if out["path"] == str(MODEL)]
    return out["md5"]


def test_a_lock_that_is_taken_when_training_ends_costs_no_training(longer):
    with subprocess.Popen(
        ["dvc", "repro", "train"], cwd=longer.root, env=longer.environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr
        said = ""
        while "starting at step 0" not in said:
            said += (line := process.stderr.readline())
            assert line, said
        lock = zc.lockfile.LockFile(str(longer.root / ".dvc/tmp/lock"))  # free while a stage runs
        said += process.stderr.read()  # DVC waits 3 s for it
        lock.close()
    assert process.returncode != 0
    assert "Unable to acquire lock" in said
    made = model_md5(longer)
    done = repro(longer)
    assert done.returncode == 0, done.stdout
    assert started_at(done.stdout) == STEPS
    assert locked_md5(longer) == model_md5(longer) == made
    assert "train" not in longer.status()


def test_a_cache_without_room_costs_no_training(longer, tmp_path):
    with small_disk(tmp_path) as holder:
        if holder is None:
            pytest.skip("no tmpfs can be mounted here: user namespaces are off")
        disk = seen_by(holder, tmp_path)
        longer.dvc("config", "--local", "cache.dir", str(disk / "cache"))
        room = shutil.disk_usage(disk).free
        (disk / "full").write_bytes(bytes(room - (4 << 20)))  # the model has 8 MB
        failed = repro(longer)
        assert failed.returncode != 0
        assert "No space left on device" in failed.stdout
        assert started_at(failed.stdout) == 0
        (disk / "full").unlink()
        done = repro(longer)
        assert done.returncode == 0, done.stdout
        assert started_at(done.stdout) == STEPS
        assert locked_md5(longer) == model_md5(longer)


@pytest.mark.parametrize("commit", [True, False])
def test_with_force_it_trains_again(longer, commit):
    assert started_at(repro(longer, *([] if commit else ["--no-commit"])).stdout) == 0
    first = model_md5(longer)
    again = repro(longer, "--force", "--single-item", *([] if commit else ["--no-commit"]))
    assert again.returncode == 0, again.stdout
    assert started_at(again.stdout) == 0
    assert model_md5(longer) == first
