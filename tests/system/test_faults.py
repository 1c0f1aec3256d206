"""Stages that are killed, stopped or out of room lose nothing: each stage by hand, and under DVC.

``SOAK_ROUNDS=20 pytest tests/system/test_faults.py`` brings each fault on each stage 20 times or more.
"""

import dataclasses
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.running import start_stage, wait_until
from tests.support.small_disk import seen_by, small_disk

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "2"))


@pytest.fixture(scope="module")
def cases(finished, tmp_path_factory):
    return faults.make_cases(finished.root, tmp_path_factory.mktemp("cases"))


@pytest.fixture(params=faults.STAGES)
def case(request, cases):
    """A stage with its old outputs, and with inputs that will give others."""
    cases[request.param].again()
    return cases[request.param]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A small disk, and the process that holds it."""
    folder = tmp_path_factory.mktemp("disk")
    with small_disk(folder) as holder:
        if holder is None:
            pytest.skip("no tmpfs can be mounted here: user namespaces are off")
        yield seen_by(holder, folder), holder


@pytest.mark.parametrize("moment", faults.MOMENTS)
def test_a_kill_leaves_each_output_whole_and_the_next_run_gives_the_right_bytes(case, moment):
    rng = random.Random(f"{case.stage} {moment}")
    for _ in range(ROUNDS):  # also on top of what the last one left
        faults.kill(case, moment, rng)
    case.check_run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_old_or_new_outputs_and_no_debris(case, number):
    rng = random.Random(f"{case.stage} {number}")
    for moment in faults.MOMENTS[1:]:
        faults.stop(case, moment, number, rng)
    case.check_run()


def test_a_limit_on_file_size_leaves_the_old_outputs_and_no_debris(case):
    rng = random.Random(case.stage)
    for _ in range(2 * ROUNDS):
        faults.limit_files(case, rng)
    case.check_run()


def test_a_full_disk_leaves_the_old_outputs_and_no_debris(case, disk):
    rng = random.Random(case.stage)
    folder, holder = disk
    case = dataclasses.replace(case, folder=folder / case.stage)
    case.again()
    for _ in range(2 * ROUNDS):
        faults.fill_disk(case, holder, rng)
    case.check_run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", ["preprocess", "evaluate"])
def test_a_signal_during_the_imports_is_told_in_one_line(cases, stage, number):
    cases[stage].again()
    with start_stage(stage, cases[stage].folder) as process:
        wait_for(lambda: heeds(process.pid, number), process)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (128 + number, f"stopped by {number.name}: no output is left half-written\n")
    assert faults.read_tree(cases[stage].folder) == cases[stage].old


def heeds(pid, number):
    """Whether the process has handlers of these signals: Python itself has one of SIGINT, and none of SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
    return all(caught >> (each - 1) & 1 for each in (signal.SIGTERM, number))


def wait_for(condition, process):
    """Wait until the condition holds, which has to be before the process ends."""
    assert wait_until(lambda: "holds" if condition() else process.poll() is not None) == "holds"


def test_after_a_kill_under_dvc_a_checkout_brings_the_last_good_state_back(workspace, finished, tmp_path):
    change(workspace)
    process = subprocess.Popen(
        ["dvc", "repro", "preprocess"],
        cwd=workspace.root,
        env=workspace.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for((workspace.root / "data/.native.partial").exists, process)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL

    workspace.git("checkout", "--quiet", "params.yaml", "metrics")
    workspace.dvc("checkout")
    found = {name: data for name, data in workspace.outputs().items() if not faults.is_debris(name)}
    assert found == finished.outputs()
    assert workspace.status() == set()

    change(workspace)
    workspace.dvc("repro", "preprocess")
    undisturbed = finished.copy(tmp_path / "undisturbed" / "workspace")
    change(undisturbed)
    undisturbed.run("python", "-m", "stages.preprocess")
    assert workspace.outputs() == undisturbed.outputs()


def change(workspace):
    """So that there is something to do, and for a while."""
    workspace.set_parameter("preprocess.height", 512)
    workspace.set_parameter("preprocess.width", 1024)
