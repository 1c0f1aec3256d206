"""Seeds made by DVC's queue, compared and gated by the commands."""

import re
import subprocess

import pytest

from tests.support.queue_worker import queue_worker
from tests.support.running import assert_fails, wait_until
from tests.support.workspace import Workspace

pytestmark = pytest.mark.system

QUEUE = ("exp", "run", "--queue", "--set-param=train.seed=range(2,4)", "evaluate")  # seed 1 is what is committed


@pytest.fixture(scope="module")
def seeded(tmp_path_factory) -> Workspace:
    """A workspace with 12 validation frames; main and the branch `other`, with a different rate, have three seeds."""
    workspace = Workspace.create(tmp_path_factory.mktemp("seeded") / "workspace")
    workspace.set_sample(train=4, val=12, test=2)
    workspace.repro()
    workspace.commit("results")
    workspace.dvc(*QUEUE)
    workspace.git("switch", "--quiet", "--create=other")
    workspace.set_parameter("train.lr", 0.0125)
    workspace.repro()
    workspace.commit("other")
    workspace.dvc(*QUEUE)
    with queue_worker(workspace):
        wait_until(lambda: has_done(workspace, 4), seconds=280, pause=2)
    return workspace


def has_done(workspace: Workspace, number: int) -> bool:
    status = workspace.dvc("queue", "status")
    assert "Failed" not in status
    return status.count("Success") == number


def segcore(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("python", "-m", "segcore", *arguments)
    environment = workspace.environment | {"COLUMNS": "100"}
    return subprocess.run(command, cwd=workspace.root, env=environment, capture_output=True, text=True)


def test_the_seeds_of_both_sides_are_pooled_by_every_command(seeded):
    assert "mIoU by seed: 1: " in segcore(seeded, "scores", "--seeds").stdout
    compared = segcore(seeded, "compare", "main").stdout
    assert re.search(r"means over 3 seeds of main's recipe \(.*\) and 3 seeds of the workspace's \(", compared)

    gated = segcore(seeded, "gate", "--not-worse", "--margin=0.5", "main")
    up_to_date, answer = gated.stdout.splitlines()
    assert gated.returncode == 0
    assert up_to_date == "dvc.lock of HEAD is up to date"
    assert "main → HEAD: mean mIoU " in answer
    assert " over drives and 3 and 3 seeds " in answer
    assert ": not worse, as the interval does not go below -0.5" in answer

    assert segcore(seeded, "review", "main", "--without-pictures", "--margin=0.5").returncode == 0
    title, _, first = (seeded.root / "review/report.md").read_text().splitlines()[:3]
    assert title == "# Review: main → the workspace"
    assert first == f"**{answer.replace('HEAD', 'the workspace')}.**"


def test_moved_code_keeps_the_seeds(seeded, tmp_path):
    workspace = seeded.copy(tmp_path / "workspace")
    workspace.append("segcore/train/loss.py")
    workspace.append("segcore/network/iou.py")
    assert {"train", "evaluate"} <= {*workspace.repro()}
    workspace.commit("comments")
    assert "mIoU by seed: 1: " in segcore(workspace, "scores", "--seeds").stdout


def test_the_gate_fails_if_the_result_may_be_worse(workspace):
    said = segcore(workspace, "gate", "--not-worse", "HEAD")
    assert said.stdout.endswith("not worse, with the same metrics/frames.csv\n")
    workspace.set_parameter("train.lr", 0.0125)
    workspace.repro()
    said = segcore(workspace, "gate", "--workspace", "--not-worse", "HEAD")
    assert said.returncode == 1
    assert said.stdout == "dvc.lock of the workspace is up to date\n"
    assert re.fullmatch(r"error: HEAD → the workspace: mIoU .* may be worse, as fewer than 10 drives .*\n", said.stderr)
    assert segcore(workspace, "gate", "--not-worse", "HEAD").returncode == 0  # HEAD did not change
    workspace.git("commit", "--quiet", "--message=parameters", "--", "params.yaml")
    said = segcore(workspace, "gate", "--not-worse", "HEAD~1")
    assert "dvc.lock of HEAD is out of date" in said.stderr  # before anything is compared


@pytest.mark.parametrize("arguments", [("main",), ("--margin=0.01",), ("--workspace", "--margin=0.005")])
def test_what_belongs_to_not_worse_needs_it(arguments, finished):
    said = segcore(finished, "gate", *arguments)
    assert_fails(said, "error: BASE and --margin need --not-worse; with make, give MARGIN=0.005, too")


@pytest.mark.parametrize("margin", ["-0.1", "1.5", "five"])
def test_a_margin_that_is_no_share_is_refused(margin, finished):
    assert segcore(finished, "gate", "--not-worse", f"--margin={margin}").returncode == 2
