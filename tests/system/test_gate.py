"""Whether dvc.lock was made from this code: asked with DVC run for real, in a clone without data."""

import shutil
import subprocess

import pytest
import yaml

from tests.support.workspace import Workspace


@pytest.fixture
def clone(finished, tmp_path) -> Workspace:
    """A clone of the finished workspace, without data and cache."""
    finished.run("git", "clone", "--quiet", str(finished.root), str(tmp_path / "clone"))
    return Workspace(tmp_path / "clone")


def run_gate(workspace):
    command = "python", "-m", "segcore", "gate"
    return subprocess.run(command, cwd=workspace.root, env=workspace.environment, capture_output=True, text=True)


def test_it_passes_if_dvc_lock_is_up_to_date(finished, clone):
    for place in (finished, clone):
        done = run_gate(place)
        assert (done.returncode, done.stdout) == (0, "dvc.lock is up to date\n")


def test_it_passes_if_the_source_is_data_that_git_does_not_have(workspace, tmp_path):
    (workspace.root / "data/raw").rename(workspace.root / "data/frames")
    workspace.dvc("add", "data/frames")
    workspace.dvc("exp", "run", "--set-param=fetch.source=data/frames")
    workspace.commit("other frames")
    workspace.run("git", "clone", "--quiet", str(workspace.root), str(tmp_path / "without"))
    done = run_gate(Workspace(tmp_path / "without"))
    assert (done.returncode, done.stdout) == (0, "dvc.lock is up to date\n")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda clone: clone.set_parameter("evaluate.flip", False), ["evaluate: params.yaml evaluate modified"]),
        (lambda clone: clone.append("segcore/train/loss.py"), ["train: segcore/train modified"]),
        (lambda clone: (clone.root / "segcore/train/loss.py").unlink(), ["train: segcore/train modified"]),
        (lambda clone: shutil.rmtree(clone.root / "segcore/train"), ["train: segcore/train deleted"]),
        (
            lambda clone: (clone.root / "metrics/evaluate.json").write_text("{}"),
            ["evaluate: metrics/evaluate.json modified", "card: metrics/evaluate.json modified"],
        ),
        (
            lambda clone: (clone.root / "metrics/evaluate.json").unlink(),
            ["evaluate: metrics/evaluate.json deleted", "card: metrics/evaluate.json deleted"],
        ),
        (lambda clone: clone.append("metrics/model-card.md"), ["card: metrics/model-card.md modified"]),
    ],
)
def test_it_fails_by_exactly_what_differs_from_dvc_lock(clone, change, found):
    change(clone)
    before = clone.git("status", "--porcelain"), clone.git("diff")
    done = run_gate(clone)
    assert done.returncode == 1
    *said, _ = done.stderr.splitlines()  # and what to do
    assert said == ["error: dvc.lock is out of date:", *(f"  {line}" for line in found)]
    assert (clone.git("status", "--porcelain"), clone.git("diff")) == before


def test_a_comment_in_dvc_lock_does_not_matter(clone):
    clone.append("dvc.lock", "# a comment\n")
    done = run_gate(clone)
    assert (done.returncode, done.stdout) == (0, "dvc.lock is up to date\n")


def test_a_source_outside_of_the_folder_may_be_missing(workspace, tmp_path):
    shutil.copytree(workspace.root / "data/raw", workspace.root.parent / "frames")
    workspace.dvc("exp", "run", "--set-param=fetch.source=../frames")
    workspace.commit("frames from elsewhere")
    (tmp_path / "other").mkdir()
    workspace.run("git", "clone", "--quiet", str(workspace.root), str(tmp_path / "other/clone"))
    done = run_gate(Workspace(tmp_path / "other/clone"))
    assert (done.returncode, done.stdout) == (0, "dvc.lock is up to date\n")


def other_model(stages, stage, kind):
    """Let dvc.lock name a different model as what the stage read or made."""
    [model] = [file for file in stages[stage][kind] if file["path"].endswith(".safetensors")]
    model["md5"] = "0" * 32


@pytest.mark.parametrize(
    ("stage", "kind", "found"), [("train", "outs", ["evaluate", "card"]), ("evaluate", "deps", ["evaluate"])]
)
def test_it_fails_if_stages_disagree_on_missing_data(clone, stage, kind, found):
    path = clone.root / "dvc.lock"
    lock = yaml.safe_load(path.read_text())
    other_model(lock["stages"], stage, kind)
    path.write_text(yaml.safe_dump(lock, sort_keys=False))
    done = run_gate(clone)
    assert done.returncode == 1
    lines = [f"  {name}: data/model/erfnet.safetensors differs from the version that train recorded" for name in found]
    assert done.stderr.splitlines()[1:-1] == lines


def test_it_fails_if_git_has_different_data_than_the_run(workspace, tmp_path):
    (workspace.root / "data/raw").rename(workspace.root / "data/frames")
    workspace.dvc("add", "data/frames")
    workspace.dvc("exp", "run", "--set-param=fetch.source=data/frames")
    min((workspace.root / "data/frames").rglob("*.jpg")).unlink()
    workspace.dvc("add", "data/frames")
    workspace.commit("fewer frames, and the results of all")
    workspace.run("git", "clone", "--quiet", str(workspace.root), str(tmp_path / "without"))
    done = run_gate(Workspace(tmp_path / "without"))
    assert done.returncode == 1
    assert "  fetch: data/frames differs from the version that data/frames.dvc recorded" in done.stderr.splitlines()


def test_it_says_what_to_do_about_data_of_a_different_commit(workspace):
    model = workspace.root / "data/model/erfnet.safetensors"
    model.unlink()
    model.write_bytes(b"another")
    assert "of a different commit, run `dvc checkout`" in run_gate(workspace).stderr


@pytest.mark.parametrize("content", [None, "<<<<<<< ours", "[]"])
def test_it_fails_without_a_readable_dvc_lock(clone, content):
    lock = clone.root / "dvc.lock"
    lock.unlink() if content is None else lock.write_text(content)
    done = run_gate(clone)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "dvc.lock" in done.stderr
