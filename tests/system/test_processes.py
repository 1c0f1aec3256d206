"""The train stage in several processes that torchrun starts: what they make, and how they fail and stop."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from segcore.files.model import MODEL, read_record
from tests.support.running import ROOT, assert_fails, start_stage, wait_until
from tests.support.tiny_training import ENVIRONMENT, results, saved_steps, stage, started_at, write_inputs, write_params

pytestmark = pytest.mark.system

TWO = {"SEGCORE_PROCESSES": "2"}
ALWAYS = {"SEGCORE_CHECKPOINT_SECONDS": "0"}
EPOCHS, STEPS = 6, 12


@pytest.fixture
def root(tmp_path):
    write_inputs(tmp_path)
    write_params(tmp_path, epochs=EPOCHS, batch_size=2, validate_every=2)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    write_inputs(root)
    write_params(root, epochs=EPOCHS, batch_size=2, validate_every=2)
    done = stage(root, **TWO)
    assert done.returncode == 0, done.stderr
    assert read_record(root / MODEL)["processes"] == 2
    return results(root)


class Run:
    """A training in two processes that has saved its first steps."""

    def __init__(self, root: Path) -> None:
        self.process = start_stage("train", root, **ENVIRONMENT, **TWO, **ALWAYS)
        wait_until(lambda: max(saved_steps(root), default=0) >= 2 or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        self.workers = {int(child.environ().get("RANK", -1)): child for child in self.children}

    def end(self) -> tuple[int, list[str]]:
        """Wait for the end of all processes; return the exit code and the lines about it."""
        try:
            _, said = self.process.communicate(timeout=120)
            assert not psutil.wait_procs(self.children, timeout=60)[1]
        finally:
            for child in self.children:
                if child.is_running():
                    child.kill()
        usual = ("training", "starting", "epoch")
        return self.process.returncode, [line for line in said.splitlines() if not line.startswith(usual)]


def test_one_process_is_not_recorded(root):
    assert stage(root, SEGCORE_PROCESSES="1").returncode == 0
    assert "processes" not in read_record(root / MODEL)


@pytest.mark.parametrize("count", ["0", "two", "-1", ""])
def test_a_number_of_processes_that_is_none(root, count):
    assert_fails(stage(root, SEGCORE_PROCESSES=count), "SEGCORE_PROCESSES: a whole number of at least 1 was expected")


def goes_on(root: Path, undisturbed: dict[str, bytes]) -> None:
    """Assert that the same command goes on from the last checkpoint, to the same bytes."""
    step = saved_steps(root)[-1]
    assert 2 <= step < STEPS
    done = stage(root, **TWO)
    assert done.returncode == 0, done.stderr
    assert started_at(done.stderr) == step
    assert results(root) == undisturbed


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process(root, undisturbed, rank):
    run = Run(root)
    run.workers[rank].kill()
    code, lines = run.end()
    assert code == 1
    assert f"number {rank} of 2, was ended by SIGKILL; run the same command again" in lines[-1]
    assert sum(line.startswith("error: ") for line in lines) == 1
    if rank == 1:
        goes_on(root, undisturbed)


def test_a_signal_to_the_stage(root, undisturbed):
    run = Run(root)
    run.process.terminate()
    code, lines = run.end()
    assert code == 128 + signal.SIGTERM
    assert lines[-1] == "stopped by SIGTERM: no output is left half-written"
    assert lines[-2].endswith("saved, and the same command goes on from here")
    assert len(lines) == 3
    goes_on(root, undisturbed)


def test_a_signal_to_one_process_stops_all_at_the_same_step(root):
    run = Run(root)
    run.workers[1].terminate()
    code, lines = run.end()
    assert code == 128 + signal.SIGTERM
    assert lines[-2].endswith("saved, and the same command goes on from here")
    assert lines[-1] == "stopped by SIGTERM: no output is left half-written"


def test_torchrun_is_killed(root):
    run = Run(root)
    run.process.kill()
    _, lines = run.end()
    assert lines[-1].endswith("saved, and the same command goes on from here")


def test_a_process_that_does_not_answer(root):
    run = Run(root)
    started = time.monotonic()
    run.workers[1].suspend()
    code, [line] = run.end()
    assert time.monotonic() - started < 90  # a minute where nothing else runs
    assert code == 1
    assert "a different process of this stage has ended or does not answer" in line


def test_a_loss_that_is_not_finite(root):
    done = faulty(root, "self.model.decoder.output_conv.bias.data.fill_(torch.inf)")
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert "error: the loss is nan in epoch 2, step 1 of 2" in done.stderr


def test_frames_that_do_not_divide(root):
    write_params(root, batch_size=3)
    done = stage(root, **TWO)
    assert_fails(done, "train.batch_size: 2 processes cannot take equal parts of 3 frames")
    assert done.stderr.count("error:") == 1


def faulty(root: Path, fault: str, *options: str) -> subprocess.CompletedProcess:
    """Train by torchrun in two processes; at its third step the second one has a ``fault``, a statement."""
    program = f"""
import torch
from segcore.runtime import console, processes
from segcore.train.loop import Training
from stages.train import main
step = Training.train_step
def train_step(self, *arguments):
    if self.step == 2 and processes.rank() == 1:
        {fault}
    return step(self, *arguments)
Training.train_step = train_step
console.run(main)
"""
    (root / "faulty.py").write_text(program)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *options]
    environment = os.environ | ENVIRONMENT | ALWAYS | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, str(root / "faulty.py")], cwd=root, env=environment, capture_output=True, text=True, timeout=90
    )


def test_one_process_out_of_memory(root):
    done = faulty(root, "raise torch.OutOfMemoryError")
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert "error: the device is out of memory: choose a smaller train.batch_size" in done.stderr


def test_torchrun_starts_them_again(root, undisturbed):
    once = "import os; os.environ['TORCHELASTIC_RESTART_COUNT'] == '0' and os._exit(9)"
    done = faulty(root, once, "--max-restarts=1")
    assert done.returncode == 0, done.stderr
    (root / "faulty.py").unlink()
    assert results(root) == undisturbed


@pytest.fixture
def port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_machines(root, undisturbed, port, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(root, other, dirs_exist_ok=True)
    nodes = [node(folder, number, port) for number, folder in enumerate((root, other))]
    for process in nodes:
        _, said = process.communicate(timeout=90)
        assert process.returncode == 0, said
    assert results(root) == undisturbed
    assert not (other / MODEL).exists()


def node(folder: Path, number: int, port: int) -> subprocess.Popen:
    """Start torchrun as on one of two machines, with one process each."""
    me = ["--nnodes=2", f"--node-rank={number}", "--nproc-per-node=1"]
    first = ["--master-addr=127.0.0.1", f"--master-port={port}"]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *me, *first, "-m", "stages.train"],
        cwd=folder,
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
