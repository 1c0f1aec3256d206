"""Checkpoints: the newest intact one is loaded, by one process at a time, and old ones are removed."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from segcore.runtime.errors import UserError
from segcore.train import checkpoint
from tests.support.running import heed_signals, wait_until

HOLDER = "import sys, time; from pathlib import Path; from segcore.train import checkpoint\n"
HOLDER += "with checkpoint.hold('run', Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def state(step: int) -> tuple[dict[str, torch.Tensor], dict]:
    return {"weight": torch.full((3,), float(step))}, {"step": step, "curves": [0.1]}


def save(checkpoints: checkpoint.Checkpoints, *steps: int) -> None:
    for step in steps:
        assert checkpoints.save(lambda step=step: state(step))


def load(root: Path) -> tuple[float, dict] | None:
    """Return what the newest checkpoint of the run holds."""
    with checkpoint.hold("run", root) as checkpoints:
        loaded = checkpoints.load()
    return loaded and (loaded[0]["weight"].mean().item(), loaded[1])


def files(root: Path) -> list[Path]:
    return sorted((root / "run").iterdir())


def test_the_newest_is_loaded_and_only_the_last_two_are_kept(tmp_path):
    with checkpoint.hold("run", tmp_path) as checkpoints:
        assert checkpoints.load() is None
        save(checkpoints, 1, 30, 200)
    assert load(tmp_path) == (200, {"step": 200, "curves": [0.1]})
    assert [int(path.name[:9]) for path in files(tmp_path)] == [30, 200]


def test_a_different_run_does_not_load_them(tmp_path):
    with checkpoint.hold("run", tmp_path) as checkpoints:
        save(checkpoints, 1)
    with checkpoint.hold("other", tmp_path) as checkpoints:
        assert checkpoints.load() is None


def test_nothing_is_left_by_a_run_that_is_complete_or_saved_none(tmp_path):
    with checkpoint.hold("run", tmp_path) as checkpoints:
        save(checkpoints, 1, 2)
        checkpoints.remove()
    with checkpoint.hold("run", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one_is_reported_and_the_one_before_is_used(tmp_path, capsys, damage):
    with checkpoint.hold("run", tmp_path) as checkpoints:
        save(checkpoints, 1, 2)
    newest = files(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes({"cut": data[:-1], "flipped": data, "empty": b""}[damage])
    assert load(tmp_path) == (1, {"step": 1, "curves": [0.1]})
    assert capsys.readouterr().err == f"{newest}: damaged, so it is not used\n"
    files(tmp_path)[0].write_bytes(b"PK")
    assert load(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_one_that_cannot_be_read_is_not_used(tmp_path, capsys):
    with checkpoint.hold("run", tmp_path) as checkpoints:
        save(checkpoints, 1)
    (tmp_path / "run/000000002-abc.safetensors").mkdir()
    assert load(tmp_path)[1]["step"] == 1
    assert "000000002-abc.safetensors: damaged" in capsys.readouterr().err


def test_a_removed_folder_does_not_end_the_run(tmp_path, capsys):
    root = tmp_path / "checkpoints"
    with checkpoint.hold("run", root) as checkpoints:
        save(checkpoints, 1)
        shutil.rmtree(root)
        assert not checkpoints.save(lambda: state(2))
        checkpoints.remove()
    assert "no checkpoint could be written" in capsys.readouterr().err


def test_a_half_written_one_is_removed(tmp_path):
    with checkpoint.hold("run", tmp_path) as checkpoints:
        save(checkpoints, 1)
    (tmp_path / "run/000000002-abc.partial").write_bytes(b"half")
    assert load(tmp_path)[1]["step"] == 1
    assert len(files(tmp_path)) == 1


def test_a_full_disk_does_not_end_the_run(tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with checkpoint.hold("run", tmp_path) as checkpoints:
        save(checkpoints, 1)
        monkeypatch.setattr(os, "fsync", full)
        assert not checkpoints.save(lambda: state(2))
        assert "no checkpoint could be written: No space left on device" in capsys.readouterr().err
        assert [int(path.name[:9]) for path in files(tmp_path)] == [1]


def test_they_are_due_after_a_time_that_grows_with_their_cost(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with checkpoint.hold("run", tmp_path) as checkpoints:
        now += 9.9
        assert not checkpoints.due
        now += 0.1
        assert checkpoints.due

        def slow_state():
            nonlocal now
            now += 0.5
            return state(1)

        assert checkpoints.save(slow_state)
        now += 49.9  # 0.5 s are 1 % of 50 s
        assert not checkpoints.due
        now += 0.1
        assert checkpoints.due


@pytest.mark.parametrize("wanted", ["", "soon", "-1", "inf", "nan"])
def test_an_interval_that_is_no_time_is_refused(tmp_path, monkeypatch, wanted):
    monkeypatch.setenv("SEGCORE_CHECKPOINT_SECONDS", wanted)
    with pytest.raises(UserError, match="SEGCORE_CHECKPOINT_SECONDS: a number of seconds"):
        load(tmp_path)


@contextmanager
def holder(root: Path) -> Iterator[subprocess.Popen]:
    """Start another process that holds the run's checkpoints, and kill it afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, root], stdout=subprocess.PIPE, preexec_fn=heed_signals
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_holds(process: subprocess.Popen) -> None:
    assert process.stdout.readline() == b"held\n"


@pytest.mark.slow
def test_one_process_holds_them_until_it_ends_in_any_way(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "LOCK_TIMEOUT", 0.2)
    with holder(tmp_path) as other:
        assert_holds(other)
        with pytest.raises(UserError, match=f"process {other.pid} is training the same run; wait for it"):
            load(tmp_path)
        with checkpoint.hold("other", tmp_path):  # a different run
            pass
    assert load(tmp_path) is None


@pytest.mark.slow
def test_a_process_that_waits_gets_them_when_the_holder_ends(tmp_path):
    """The holder removes the lock that the second process waits for."""
    with holder(tmp_path) as first:
        assert_holds(first)
        with holder(tmp_path) as second:
            wait_until(lambda: has_open(second, tmp_path / "run.lock"))
            first.send_signal(signal.SIGINT)  # it cleans up
            assert_holds(second)


def has_open(process: subprocess.Popen, path: Path) -> bool:
    try:
        return any(link.readlink() == path for link in Path(f"/proc/{process.pid}/fd").iterdir())
    except FileNotFoundError:  # it has just closed it
        return False


@pytest.mark.slow
def test_those_not_written_for_a_week_are_removed_unless_a_process_holds_them(tmp_path):
    for name in ("old", "new"):
        with checkpoint.hold(name, tmp_path) as checkpoints:
            save(checkpoints, 1)
    with holder(tmp_path) as other:
        assert_holds(other)
        (tmp_path / "orphan.lock").touch()
        for name in ("old", "old.lock", "run", "run.lock", "orphan.lock"):
            os.utime(tmp_path / name, (0, time.time() - 8 * 24 * 3600))
        with checkpoint.hold("third", tmp_path):
            pass
        assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new.lock", "run", "run.lock"]


def test_the_fingerprint_differs_for_a_different_run_or_machine(monkeypatch):
    def fingerprint(lr: float) -> str:
        return checkpoint.fingerprint({"lr": lr}, Path(__file__))

    names = [fingerprint(1), fingerprint(2)]
    assert fingerprint(1) == names[0]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    names.append(fingerprint(1))
    monkeypatch.setattr("segcore.network.device.processor", lambda: "other")
    names.append(fingerprint(1))
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    names.append(fingerprint(1))
    assert len(set(names)) == 5
