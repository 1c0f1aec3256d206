"""Checkpoints: the newest intact one is loaded, and old ones are removed."""

import errno
import os
import shutil
import time
from pathlib import Path

import pytest
import torch

from segcore.train.checkpoint import Checkpoints


def state(step: int) -> tuple[dict[str, torch.Tensor], dict]:
    return {"weight": torch.full((3,), float(step))}, {"step": step, "curves": [0.1]}


def save(checkpoints: Checkpoints, *steps: int) -> None:
    for step in steps:
        assert checkpoints.save(lambda step=step: state(step))


def load(folder: Path) -> tuple[float, dict] | None:
    """Return what the newest checkpoint holds."""
    loaded = Checkpoints(folder).load()
    return loaded and (loaded[0]["weight"].mean().item(), loaded[1])


def saved_steps(folder: Path) -> list[int]:
    return sorted(int(path.name[:9]) for path in folder.glob("*.safetensors"))


def test_the_newest_is_loaded_and_only_the_last_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load() is None
    save(checkpoints, 1, 30, 200)
    assert load(tmp_path) == (200, {"step": 200, "curves": [0.1]})
    assert saved_steps(tmp_path) == [30, 200]


def test_the_last_one_stays_with_the_digest_of_the_model_when_the_run_is_complete(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2)
    (tmp_path / "model").write_bytes(b"weights")
    checkpoints.finish(tmp_path / "model")
    assert saved_steps(tmp_path) == [2]
    assert (tmp_path / "model.md5").read_text() == "63f4f1e9b725370f459720575cd5f953"


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one_is_reported_and_the_one_before_is_used(tmp_path, capsys, damage):
    save(Checkpoints(tmp_path), 1, 2)
    older, newest = sorted(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes({"cut": data[:-1], "flipped": data, "empty": b""}[damage])
    assert load(tmp_path) == (1, {"step": 1, "curves": [0.1]})
    assert capsys.readouterr().err == f"{newest}: damaged, so it is not used\n"
    older.write_bytes(b"PK")
    assert load(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_one_that_cannot_be_read_is_not_used(tmp_path, capsys):
    save(Checkpoints(tmp_path), 1)
    (tmp_path / "000000002-abc.safetensors").mkdir()
    assert load(tmp_path)[1]["step"] == 1
    assert "000000002-abc.safetensors: damaged" in capsys.readouterr().err


def test_a_removed_folder_does_not_end_the_run(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path / "run")
    (tmp_path / "run").mkdir()
    save(checkpoints, 1)
    shutil.rmtree(tmp_path / "run")
    assert not checkpoints.save(lambda: state(2))
    (tmp_path / "model").touch()
    checkpoints.finish(tmp_path / "model")
    assert "no checkpoint could be written" in capsys.readouterr().err


def test_a_half_written_one_is_removed(tmp_path):
    save(Checkpoints(tmp_path), 1)
    (tmp_path / "000000002-abc.partial").write_bytes(b"half")
    assert load(tmp_path)[1]["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_does_not_end_the_run(tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    monkeypatch.setattr(os, "fsync", full)
    assert not checkpoints.save(lambda: state(2))
    assert "no checkpoint could be written: No space left on device" in capsys.readouterr().err
    assert saved_steps(tmp_path) == [1]


def test_they_are_due_after_a_time_that_grows_with_their_cost(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    checkpoints = Checkpoints(tmp_path)
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
