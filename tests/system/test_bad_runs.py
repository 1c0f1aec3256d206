"""User errors under `dvc repro`: it fails, our message is above DVC's, and dvc.lock does not change."""

import subprocess

import pytest

from tests.support import tiny
from tests.support.workspace import Workspace


def failing_repro(workspace: Workspace) -> str:
    """Return the output of a `dvc repro` that has to fail and must not change dvc.lock."""
    lock = (workspace.root / "dvc.lock").read_bytes()
    done = subprocess.run(
        ["dvc", "repro"],
        cwd=workspace.root,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert (workspace.root / "dvc.lock").read_bytes() == lock
    return done.stdout


def assert_above_dvcs(said: str, stage: str, ours: str) -> None:
    assert f"error: {ours}" in said
    assert said.index(f"error: {ours}") < said.index(f"ERROR: failed to reproduce '{stage}'")


@pytest.mark.parametrize(
    ("parameter", "value", "stage", "ours"),
    [
        ("train.epochs", "abc", "train", "params.yaml: train.epochs: "),
        ("render.frames", 0, "render", "params.yaml: render.frames: "),
    ],
)
def test_a_wrong_parameter(workspace, parameter, value, stage, ours):
    workspace.set_parameter(parameter, value)
    assert_above_dvcs(failing_repro(workspace), stage, ours)


def test_a_cuda_device_that_does_not_exist(workspace):
    workspace.set_parameter("train.seed", 9)
    workspace.environment["SEGCORE_DEVICE"] = "cuda:77"
    assert_above_dvcs(failing_repro(workspace), "train", "SEGCORE_DEVICE=cuda:77: torch sees ")


def test_a_wrong_checksum(workspace):
    tiny.write_tar(workspace.root / "data/idd-lite.tar.gz", tiny.published())
    workspace.set_parameter("fetch.source", "data/idd-lite.tar.gz")
    workspace.set_parameter("fetch.sha256", "0" * 64)
    ours = "data/idd-lite.tar.gz: not the file that fetch.sha256 pins"
    assert_above_dvcs(failing_repro(workspace), "fetch", ours)


def test_a_missing_source(workspace):
    """DVC checks that before the stage runs, so the message is DVC's; it names the path."""
    workspace.set_parameter("fetch.source", "data/idd-lite.tar.gz")
    said = failing_repro(workspace)
    assert "data/idd-lite.tar.gz" in said


def test_after_a_damaged_archive_a_checkout_restores_the_last_good_state(workspace):
    before = workspace.outputs()
    path = tiny.write_tar(workspace.root / "data/broken.tar.gz", tiny.published())
    path.write_bytes(path.read_bytes()[:-100])
    params = (workspace.root / "params.yaml").read_bytes()
    workspace.set_parameter("fetch.source", "data/broken.tar.gz")
    assert_above_dvcs(failing_repro(workspace), "fetch", "data/broken.tar.gz: corrupt or truncated archive")
    (workspace.root / "params.yaml").write_bytes(params)
    workspace.dvc("checkout")
    path.unlink()
    assert workspace.outputs() == before
    assert workspace.status() == set()
