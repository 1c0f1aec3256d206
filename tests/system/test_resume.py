"""The train stage, killed, stopped, damaged, and started again: the same bytes as from an undisturbed run."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from segcore.train.run_folder import CHECKPOINTS
from tests.support.running import ROOT, assert_fails, heed_signals, start_stage, wait_until
from tests.support.tiny_training import ENVIRONMENT, results, saved_steps, stage, started_at, write_inputs, write_params

EPOCHS, STEPS = 6, 12
ALWAYS = {"SEGCORE_CHECKPOINT_SECONDS": "0"}  # a checkpoint after every step
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'stages.train'])"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    write_inputs(root)
    write_params(root, epochs=EPOCHS, batch_size=2, validate_every=2)
    return root


@pytest.fixture(scope="module")
def uninterrupted(inputs, tmp_path_factory):
    root = tmp_path_factory.mktemp("uninterrupted") / "root"
    shutil.copytree(inputs, root)
    assert stage(root).returncode == 0
    return results(root)


@pytest.fixture
def root(inputs, tmp_path):
    shutil.copytree(inputs, tmp_path / "root")
    return tmp_path / "root"


def start(root: Path, **options) -> subprocess.Popen:
    return start_stage("train", root, **(ENVIRONMENT | ALWAYS | options))


def wait_for_step(process: subprocess.Popen, root: Path, step: int) -> None:
    """Wait until there is a checkpoint of ``step``; the run must not be over by then."""
    wait_until(lambda: max(saved_steps(root), default=0) >= step or process.poll() is not None)
    assert process.poll() is None, process.communicate()


def test_killed_again_and_again_it_ends_with_the_same_bytes(root, uninterrupted):
    going_on = []
    for step, while_writing in ((1, True), (4, False), (8, True)):
        with start(root) as process:
            wait_for_step(process, root, step)
            if while_writing:
                wait_until(lambda: list((root / CHECKPOINTS).glob("*/*.partial")) or process.poll() is not None)
            process.kill()
            going_on.append(started_at(process.communicate()[1]))
    done = stage(root, **ALWAYS)
    assert done.returncode == 0, done.stderr
    assert going_on[0] == 0 < started_at(done.stderr)
    assert going_on == sorted(going_on)
    assert results(root) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_saves_and_says_so(root, uninterrupted, number):
    before = results(root)
    with start(root, SEGCORE_CHECKPOINT_SECONDS="1000") as process:
        wait_until(lambda: list((root / CHECKPOINTS).glob("*.lock")))
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert f"{number.name}: stopping after this step" in said
    [step] = re.findall(rf"stopped after step (\d+) of {STEPS}: saved, and the same command goes on from here", said)
    assert "Traceback" not in said
    assert saved_steps(root) == [int(step)]
    assert results(root) == before
    if number == signal.SIGTERM:  # one handler serves all three
        done = stage(root)
        assert started_at(done.stderr) == int(step)
        assert results(root) == uninterrupted


@pytest.mark.parametrize("variable", ["DVC_ROOT", "OUTSIDE_OF_DVC"])
def test_it_stops_when_the_process_that_started_it_is_gone(root, uninterrupted, variable):
    environment = os.environ | ENVIRONMENT | ALWAYS | {"PYTHONPATH": str(ROOT), variable: str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    ) as parent:
        wait_for_step(parent, root, 2)
        parent.kill()
        said = parent.stderr.read()  # until the stage has closed it, too
    assert "the process that started this one has ended: stopping" in said
    assert "saved, and the same command goes on from here" in said
    steps = saved_steps(root)
    assert steps[-1] < STEPS
    if variable == "DVC_ROOT":
        assert started_at(stage(root).stderr) == steps[-1]
        assert results(root) == uninterrupted


def test_a_second_process_is_refused_and_told_of_the_first(root, uninterrupted):
    with start(root) as first:
        wait_for_step(first, root, 1)
        first.send_signal(signal.SIGSTOP)  # like one that takes long
        before = results(root)
        done = stage(root)
        assert_fails(done, f"process {first.pid} is training the same run;")
        assert results(root) == before
        first.send_signal(signal.SIGCONT)
        said = first.communicate(timeout=60)[1]
    assert first.returncode == 0, said
    assert results(root) == uninterrupted


@pytest.fixture(scope="module")
def killed(inputs, tmp_path_factory):
    """A run that was killed after at least two checkpoints."""
    root = tmp_path_factory.mktemp("killed") / "root"
    shutil.copytree(inputs, root)
    with start(root) as process:
        wait_for_step(process, root, 3)
        process.kill()
    return root


@pytest.mark.parametrize("change", ["params", "train data", "val data", "threads", "code"])
def test_a_checkpoint_of_a_different_run_is_never_used(killed, tmp_path, change):
    root, code = tmp_path / "root", tmp_path / "code"
    shutil.copytree(killed, root)
    environment = {}
    if change == "params":
        write_params(root, epochs=EPOCHS, batch_size=2, validate_every=2, weight_decay=0.2)
    elif change == "threads":
        environment["SEGCORE_THREADS"] = "2"
    elif change == "code":
        for package in ("segcore", "stages"):
            shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
        with (code / "segcore/network/confusion.py").open("a") as file:
            file.write("# another comment\n")
        environment["PYTHONPATH"] = str(code)
    elif change.endswith("data"):
        path = root / f"data/arrays/{change.split()[0]}_labels.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"\x06")
    done = stage(root, **environment)
    assert done.returncode == 0, done.stderr
    assert started_at(done.stderr) == 0
    named = {
        "threads": "differs in threads (1, here 2)",
        "code": "differs in segcore.network.confusion",
        "val data": "differs in val_labels.npy",
    }
    assert done.stderr.count("checkpoints of the same parameters and data are not used") == (change in named)
    assert named.get(change, "") in done.stderr


def test_a_complete_run_whose_model_was_lost_is_not_trained_again(root, uninterrupted):
    assert stage(root).returncode == 0
    for name in uninterrupted.keys() - {"params.yaml"}:
        if not name.startswith(("data/arrays", "data/random_start")):
            (root / name).unlink()
    done = stage(root)
    assert started_at(done.stderr) == STEPS
    assert "epoch" not in done.stderr.split("going on")[1]
    assert results(root) == uninterrupted


@pytest.mark.parametrize("damaged", ["newest", "all"])
def test_damaged_checkpoints_cost_only_time(killed, tmp_path, uninterrupted, damaged):
    root = tmp_path / "root"
    shutil.copytree(killed, root)
    *older, newest = sorted((root / CHECKPOINTS).glob("*/*.safetensors"))
    steps = saved_steps(root)
    for path in [newest] if damaged == "newest" else [*older, newest]:
        path.write_bytes(path.read_bytes()[:-1000])
    done = stage(root)
    assert done.stderr.count("damaged, so it is not used") == (1 if damaged == "newest" else len(steps))
    assert started_at(done.stderr) == (steps[-2] if damaged == "newest" else 0)
    assert results(root) == uninterrupted


def test_without_room_for_checkpoints_it_trains_on(root, uninterrupted):
    """A model takes 8 MB, a checkpoint 17."""
    done = stage(root, file_limit=12_000_000, **ALWAYS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no checkpoint could be written: File too large") >= STEPS
    assert results(root) == uninterrupted


def test_asked_to_stop_without_room_it_says_that_nothing_was_saved(root):
    before = results(root)
    with start(root, file_limit=12_000_000) as run:
        wait_until(lambda: "no checkpoint" in run.stderr.readline())
        run.terminate()
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 128 + signal.SIGTERM
    assert re.search(r"stopped after step \d+ of 12: not saved", said)
    assert results(root) == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_on_cuda_a_killed_run_ends_with_the_same_bytes(root):
    assert stage(root, SEGCORE_DEVICE="cuda:0").returncode == 0
    expected = results(root)
    with start(root, SEGCORE_DEVICE="cuda:0") as process:
        wait_for_step(process, root, 4)
        process.kill()
    done = stage(root, SEGCORE_DEVICE="cuda:0")
    assert started_at(done.stderr) >= 4
    assert results(root) == expected
