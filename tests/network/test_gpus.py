"""GPUs are reserved by one training each, and given back; the GPUs here are names."""

import json
import os
import subprocess
import sys
import uuid

import pytest

from segcore.network import gpus
from segcore.runtime.errors import UserError
from tests.support.running import ROOT

PROGRAM = """
import json, os, sys, time
from segcore.network import gpus
gpus.visible = lambda: [f"{os.environ['GPUS']} {letter}" for letter in "abc"]
gpus.PAUSE = 0.05
gpus.reserve(int(sys.argv[1]))
print(json.dumps([os.environ.get(name) for name in ("SEGCORE_DEVICE", "CUDA_VISIBLE_DEVICES")]), flush=True)
sys.stdin.read()
"""


class Training:
    """A process that reserves GPUs, and holds them until its stdin ends."""

    def __init__(self, name, count):
        environment = {name: value for name, value in os.environ.items() if name != "SEGCORE_DEVICE"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(count)],
            env=environment | {"PYTHONPATH": str(ROOT), "GPUS": name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def reserved(self):
        """Wait until it has its GPUs; return its default device and the GPUs that its processes would see."""
        return json.loads(self.process.stdout.readline())

    def waits(self):
        """Wait until it says that it waits for GPUs."""
        return self.process.stderr.readline()

    def end(self):
        self.process.communicate()


@pytest.fixture
def start():
    started = []

    def start(count):
        started.append(Training(start.gpus, count))
        return started[-1]

    start.gpus = f"GPU {uuid.uuid4()}"  # of this test alone, on this machine
    yield start
    for training in started:
        training.process.kill()
        training.process.wait()


def test_each_training_has_its_own(start):
    trainings = [start(1) for _ in range(3)]
    assert sorted(training.reserved()[0] for training in trainings) == ["cuda:0", "cuda:1", "cuda:2"]


def test_several_processes_see_only_theirs(start):
    assert start(1).reserved() == ["cuda:0", None]
    assert start(2).reserved() == [None, f"{start.gpus} b,{start.gpus} c"]


@pytest.mark.parametrize("how", ["end", "kill"])
def test_one_waits_until_enough_are_free(start, how):
    holder = start(2)
    holder.reserved()
    waiting = start(2)
    assert waiting.waits() == "waiting until 2 of the 3 GPUs here are free\n"
    passing = start(1)  # the third is still free: one that waits holds none
    assert passing.reserved() == ["cuda:2", None]
    getattr(holder if how == "end" else holder.process, how)()
    assert waiting.reserved() == [None, f"{start.gpus} a,{start.gpus} b"]


def test_one_that_waits_stops_when_its_parent_has_ended(monkeypatch):
    monkeypatch.setattr(gpus, "visible", lambda: ["GPU-a"])
    monkeypatch.setattr(gpus, "_take", lambda *_: [])
    monkeypatch.setattr(gpus, "PAUSE", 0.01)
    monkeypatch.setattr(gpus.signals, "PARENT", -1)
    monkeypatch.setenv("DVC_ROOT", "here")
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    with pytest.raises(gpus.signals.Stopped):
        gpus.reserve(1)


def test_more_than_there_are(monkeypatch):
    monkeypatch.setattr(gpus, "visible", lambda: ["GPU-a"])
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    with pytest.raises(UserError, match="SEGCORE_PROCESSES=2: each process needs a GPU of its own, and torch sees 1"):
        gpus.reserve(2)


def test_where_nothing_can_be_reserved_the_run_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(gpus, "visible", lambda: ["GPU-" + "a" * 200])  # longer than the name of a socket may be
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    gpus.reserve(1)
    assert "GPUs cannot be reserved here" in capsys.readouterr().err
    assert "SEGCORE_DEVICE" not in os.environ


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_a_device_that_is_named_is_not_reserved(monkeypatch, device):
    monkeypatch.setattr(gpus, "visible", lambda: pytest.fail("asked"))
    monkeypatch.setenv("SEGCORE_DEVICE", device)
    gpus.reserve(1)
    assert os.environ["SEGCORE_DEVICE"] == device


def test_without_a_gpu_nothing_is_reserved(monkeypatch):
    monkeypatch.setattr(gpus, "visible", list)
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    gpus.reserve(4)
    assert "SEGCORE_DEVICE" not in os.environ
