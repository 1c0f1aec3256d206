"""Whether dvc.lock is of this code: asked of real DVC, in a clone without data."""

import shutil
import subprocess

import pytest
import yaml

from tests.workspace import Workspace


@pytest.fixture
def clone(finished, tmp_path) -> Workspace:
    """What git has of the finished workspace: no data, no cache."""
    finished.run("git", "clone", "--quiet", str(finished.root), str(tmp_path / "clone"))
    return Workspace(tmp_path / "clone")


def run_gate(workspace):
    command = "python", "-m", "segcore.gate"
    return subprocess.run(command, cwd=workspace.root, env=workspace.environment, capture_output=True, text=True)


def test_it_is_open_where_dvc_lock_is_of_this_code(finished, clone):
    for place in (finished, clone):
        done = run_gate(place)
        assert (done.returncode, done.stdout) == (0, "dvc.lock is up to date\n")


def test_it_is_open_where_the_source_is_data_that_git_does_not_have(workspace, tmp_path):
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
        (lambda clone: clone.append("segcore/loss.py"), ["train: segcore/loss.py modified"]),
        (lambda clone: (clone.root / "segcore/loss.py").unlink(), ["train: segcore/loss.py deleted"]),
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
def test_it_is_shut_by_what_is_not_as_dvc_lock_says_and_by_nothing_else(clone, change, found):
    change(clone)
    before = clone.git("status", "--porcelain"), clone.git("diff")
    done = run_gate(clone)
    assert done.returncode == 1
    *said, _ = done.stderr.splitlines()  # and what to do
    assert said == ["error: dvc.lock is out of date:", *(f"  {line}" for line in found)]
    assert (clone.git("status", "--porcelain"), clone.git("diff")) == before


def test_it_is_open_where_dvc_lock_has_other_text_of_the_same_meaning(clone):
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
    """Let dvc.lock name another model as what the stage read or made."""
    [model] = [file for file in stages[stage][kind] if file["path"].endswith(".safetensors")]
    model["md5"] = "0" * 32


@pytest.mark.parametrize(
    ("stage", "kind", "found"), [("train", "outs", ["evaluate", "card"]), ("evaluate", "deps", ["evaluate"])]
)
def test_it_is_shut_where_stages_disagree_on_data_that_is_not_here(clone, stage, kind, found):
    path = clone.root / "dvc.lock"
    lock = yaml.safe_load(path.read_text())
    other_model(lock["stages"], stage, kind)
    path.write_text(yaml.safe_dump(lock, sort_keys=False))
    done = run_gate(clone)
    assert done.returncode == 1
    lines = [f"  {name}: data/model/erfnet.safetensors is another one where it comes from" for name in found]
    assert done.stderr.splitlines()[1:-1] == lines


def test_it_is_shut_where_git_has_other_data_than_was_run_on(workspace, tmp_path):
    (workspace.root / "data/raw").rename(workspace.root / "data/frames")
    workspace.dvc("add", "data/frames")
    workspace.dvc("exp", "run", "--set-param=fetch.source=data/frames")
    min((workspace.root / "data/frames").rglob("*.jpg")).unlink()
    workspace.dvc("add", "data/frames")
    workspace.commit("fewer frames, and the results of all")
    workspace.run("git", "clone", "--quiet", str(workspace.root), str(tmp_path / "without"))
    done = run_gate(Workspace(tmp_path / "without"))
    assert done.returncode == 1
    assert "  fetch: data/frames is another one where it comes from" in done.stderr.splitlines()


def test_data_of_another_commit_is_told_from_another_result(workspace):
    model = workspace.root / "data/model/erfnet.safetensors"
    model.unlink()
    model.write_bytes(b"another")
    assert "of another commit, run `dvc checkout`" in run_gate(workspace).stderr


@pytest.mark.parametrize("content", [None, "<<<<<<< ours", "[]"])
def test_without_a_dvc_lock_it_is_shut(clone, content):
    lock = clone.root / "dvc.lock"
    lock.unlink() if content is None else lock.write_text(content)
    done = run_gate(clone)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "dvc.lock" in done.stderr
