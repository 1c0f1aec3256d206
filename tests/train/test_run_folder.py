"""Folders of training runs: one for each set of inputs, held by one process, kept as long as it may be of use."""

import errno
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from segcore.files.model import MODEL
from segcore.runtime.errors import UserError
from segcore.train import run_folder
from segcore.train.checkpoint import Checkpoints
from tests.support.running import ROOT, heed_signals, wait_until

HOLDER = "import sys, time; from pathlib import Path; from segcore.train import run_folder\n"
HOLDER += "with run_folder.hold({'about': 'run'}, Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def hold(root: Path, about: object = "run"):
    return run_folder.hold({"about": about}, root)


def save(checkpoints: Checkpoints, step: int = 1) -> None:
    assert checkpoints.save(lambda: ({"weight": torch.zeros(1)}, {"step": step}))


def complete(root: Path, about: object = "run", model: bytes = b"weights") -> Path:
    """Let a run save a checkpoint, and be complete with this model; return its folder."""
    with hold(root, about) as checkpoints:
        save(checkpoints)
        (root / "model").write_bytes(model)
        checkpoints.finish(root / "model")
        return checkpoints.folder


def loaded_step(root: Path, about: object = "run") -> int | None:
    """Return the step of the checkpoint that a run would go on from."""
    with hold(root, about) as checkpoints:
        loaded = checkpoints.load()
    return loaded and loaded[1]["step"]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Make the working folder one without DVC."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(run_folder, "_cache", lambda: None)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "checkpoints"


def test_a_different_run_does_not_load_them(root):
    with hold(root) as checkpoints:
        save(checkpoints)
    assert loaded_step(root, "other") is None
    assert loaded_step(root) == 1


def test_nothing_is_left_by_a_run_that_saved_nothing(root):
    with hold(root):
        pass
    assert list(root.iterdir()) == []


# Complete runs


def test_the_last_state_of_a_complete_run_is_used_if_its_model_is_nowhere(root):
    complete(root)
    assert loaded_step(root) == 1


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of a cache as DVC would name it."""
    monkeypatch.setattr(run_folder, "_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def store(cache: Path, model: bytes) -> None:
    md5 = hashlib.md5(model).hexdigest()
    (cache / "files/md5" / md5[:2]).mkdir(parents=True)
    (cache / "files/md5" / md5[:2] / md5[2:]).write_bytes(model)


def test_a_run_whose_model_dvc_has_in_its_cache_starts_anew(root, cache):
    complete(root)
    assert loaded_step(root) == 1
    store(cache, b"weights")
    assert loaded_step(root) is None


def test_a_run_whose_model_is_in_place_starts_anew(root):
    complete(root)
    MODEL.parent.mkdir(parents=True)
    MODEL.write_bytes(b"other")
    assert loaded_step(root) == 1
    MODEL.write_bytes(b"weights")
    assert loaded_step(root) is None


@pytest.mark.parametrize(("seconds", "step"), [(5, None), (-5, 1)])
def test_a_dvc_lock_with_the_model_counts_only_if_it_was_written_after_the_run(root, seconds, step):
    """In a fresh clone dvc.lock may name the model before it is made."""
    complete(root)
    Path("dvc.lock").write_text(hashlib.md5(b"weights").hexdigest())
    os.utime("dvc.lock", times=(time.time() + seconds,) * 2)
    assert loaded_step(root) == step


def test_stored_runs_are_removed_by_the_next_and_others_stay(root, cache):
    stored, lost = complete(root, "stored", b"1"), complete(root, "lost", b"2")
    store(cache, b"1")
    with hold(root):
        assert not stored.exists()
        assert lost.exists()


# Similar runs


def about(**changes: object) -> dict[str, object]:
    return {"params": {"lr": 1}, "md5": {"x": "a"}, "init": None, "threads": 2} | changes


def similar(root: Path, inputs: dict[str, object]) -> list[str]:
    with run_folder.hold(inputs, root) as checkpoints:
        return list(run_folder.describe_similar(checkpoints))


def test_interrupted_runs_that_differ_in_the_machine_or_the_code_are_named(root):
    with run_folder.hold({"about": about(), "code": {"segcore.x": "a" * 64}}, root) as checkpoints:
        save(checkpoints)
    [line] = similar(root, {"about": about(threads=4), "code": {"segcore.x": "b" * 64}})
    assert line.startswith(f"{checkpoints.folder}: checkpoints of the same parameters and data are not used")
    assert line.endswith("differs in threads (2, here 4), segcore.x")


@pytest.mark.parametrize("change", [{"params": {"lr": 2}}, {"md5": {"x": "b"}}, {"init": "weights"}])
def test_runs_of_other_parameters_or_data_are_not_named(root, change):
    with run_folder.hold({"about": about()}, root) as checkpoints:
        save(checkpoints)
    assert similar(root, {"about": about(**change)}) == []


def test_complete_runs_are_not_named(root):
    complete(root, about())
    assert similar(root, {"about": about(threads=4)}) == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"about": 1}', b"{}"])
def test_a_damaged_description_of_a_run_is_passed_over(root, content):
    with run_folder.hold({"about": about()}, root) as checkpoints:
        save(checkpoints)
        (checkpoints.folder / "inputs.json").write_bytes(content)
    assert similar(root, {"about": about(threads=4)}) == []


# Locks


@pytest.mark.parametrize("wanted", ["", "soon", "-1", "inf", "nan"])
def test_an_interval_that_is_no_time_is_refused(root, monkeypatch, wanted):
    monkeypatch.setenv("SEGCORE_CHECKPOINT_SECONDS", wanted)
    with pytest.raises(UserError, match="SEGCORE_CHECKPOINT_SECONDS: a number of seconds"):
        loaded_step(root)


@contextmanager
def holder(root: Path) -> Iterator[subprocess.Popen]:
    """Start a different process that holds the run's checkpoints, and kill it afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, root], cwd=ROOT, stdout=subprocess.PIPE, preexec_fn=heed_signals
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_holds(process: subprocess.Popen) -> None:
    assert process.stdout.readline() == b"held\n"


@pytest.mark.slow
def test_one_process_holds_them_until_it_ends_in_any_way(root, monkeypatch):
    monkeypatch.setattr(run_folder, "LOCK_TIMEOUT", 0.2)
    with holder(root) as other:
        assert_holds(other)
        with pytest.raises(UserError, match=f"process {other.pid} is training the same run; wait for it"):
            loaded_step(root)
        with hold(root, "other"):
            pass
    assert loaded_step(root) is None


@pytest.mark.slow
def test_a_process_that_waits_gets_them_when_the_holder_ends(root):
    """The holder removes the lock that the second process waits for."""
    with holder(root) as first:
        assert_holds(first)
        [lock] = root.glob("*.lock")
        with holder(root) as second:
            wait_until(lambda: has_open(second, lock))
            first.send_signal(signal.SIGINT)  # it cleans up
            assert_holds(second)


def has_open(process: subprocess.Popen, path: Path) -> bool:
    try:
        return any(link.readlink() == path for link in Path(f"/proc/{process.pid}/fd").iterdir())
    except FileNotFoundError:  # it has just closed it
        return False


def test_a_lock_that_vanishes_is_passed_over(root):
    root.mkdir()
    (root / "gone.lock").symlink_to("nowhere")
    with hold(root):
        pass


@pytest.mark.slow
def test_those_not_written_for_a_week_are_removed_unless_a_process_holds_them(root):
    old, new = complete(root, "old"), complete(root, "new")
    with holder(root) as other:
        assert_holds(other)
        held = {path for path in root.iterdir() if not path.name.startswith((old.name, new.name, "model"))}
        (root / "orphan.lock").touch()
        for path in (*held, old, old.with_name(f"{old.name}.lock"), root / "orphan.lock"):
            os.utime(path, (0, time.time() - 8 * 24 * 3600))
        with hold(root, "third"):
            pass
        assert set(root.iterdir()) == {*held, new, new.with_name(f"{new.name}.lock"), root / "model"}


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_no_reason_to_stop(root, monkeypatch, capsys, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    complete(root, "other")
    capsys.readouterr()
    complete(root)
    said = capsys.readouterr().err
    assert said.count("this file system has no locks") == 1
    assert said.endswith("do not start the same run twice at the same time\n")
    assert loaded_step(root) == 1


def test_other_errors_of_a_lock_are_raised(root, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"):
        loaded_step(root)


def test_the_inputs_differ_for_a_different_run_or_machine(monkeypatch):
    def inputs(lr: float) -> str:
        return str(run_folder.run_inputs({"lr": lr}, Path(__file__)))

    found = [inputs(1), inputs(2)]
    assert inputs(1) == found[0]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found.append(inputs(1))
    monkeypatch.setattr("segcore.network.device.processor", lambda: "other")
    found.append(inputs(1))
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    found.append(inputs(1))
    assert len(set(found)) == 5


@pytest.mark.parametrize(("part", "name"), [("about", "md5"), ("code", "segcore.train.loop")])
def test_processes_with_different_parameters_data_or_code_do_not_train_together(part, name):
    first = {"about": {"md5": "a"}, "code": {"segcore.train.loop": "a"}, "processor": "one"}
    other = first | {part: {name: "b"}, "processor": "two"}
    run_folder.check_same([first, first | {"processor": "two"}])
    with pytest.raises(UserError, match=f"process 2 differs from process 0 in {name} "):
        run_folder.check_same([first, first, other])
