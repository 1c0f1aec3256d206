"""Sources of data: unpacked below data/, where git must not add them, and at paths that Hydra takes only in quotes."""

import pytest

from tests.support import tiny
from tests.support.workspace import ROOT, Workspace, stages_run

pytestmark = pytest.mark.system

UNPACKED = "data/idd20k_lite"


@pytest.fixture
def unpacked(workspace) -> Workspace:
    """A workspace with a data set unpacked in data/, once in a folder and once without, and its archives."""
    files = tiny.scenes(6, 2, 2)  # those of the workspace, so that only fetch and card run again
    tiny.write_folder(workspace.root / UNPACKED, files)
    tiny.write_folder(workspace.root / "data", files)
    tiny.write_tar(workspace.root / "data/idd-lite.tar.gz", files)
    tiny.write_zip(workspace.root / "data/other.zip", files)
    return workspace


def test_git_adds_nothing_of_a_data_set_in_data(unpacked):
    unpacked.git("add", "--all")
    assert unpacked.git("status", "--porcelain") == ""


def test_git_adds_what_describes_data(unpacked):
    unpacked.dvc("add", "data/idd-lite.tar.gz", UNPACKED)
    tiny.write_folder(unpacked.root / "data/sets", {"idd.yaml": b"name: idd\n"})
    unpacked.git("add", "--all")
    added = unpacked.git("diff", "--cached", "--name-only").split()
    assert added == ["data/idd-lite.tar.gz.dvc", f"{UNPACKED}.dvc", "data/sets/idd.yaml"]


def test_an_unpacked_data_set_is_a_source_and_is_not_needed_by_the_gate(unpacked, tmp_path):
    said = unpacked.dvc("exp", "run", f"--set-param=fetch.source={UNPACKED}")
    # Unpacked, the sample is no longer known as such, which dataset.json says to all stages but train.
    assert stages_run(said) == ["fetch", "preprocess", "describe", "evaluate", "export", "render", "card"]
    assert len(list((unpacked.root / "data/raw").rglob("*.jpg"))) == 10
    unpacked.commit("IDD-Lite, unpacked")
    assert unpacked.git("status", "--porcelain") == ""
    unpacked.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    assert "is up to date" in Workspace(tmp_path / "clone").run("python", "-m", "segcore", "gate")


def test_a_run_changes_no_gitignore(finished):
    assert (finished.root / "data/.gitignore").read_text() == (ROOT / "data/.gitignore").read_text()
    assert [path for path in (finished.root / "data").rglob(".gitignore") if path.parent.name != "data"] == []


def test_a_path_in_inner_quotes(workspace, tmp_path):
    path = tmp_path / "größe (1)/~it's, a=b #2 & $x [3].zip"
    path.parent.mkdir()
    tiny.write_zip(path, tiny.scenes(4, 2, 1))
    workspace.dvc("exp", "run", "--single-item", "fetch", "--set-param", f'fetch.source="{path}"')
    assert workspace.parameters()["fetch"]["source"] == str(path)
    assert len(list((workspace.root / "data/raw").rglob("*.jpg"))) == 7


@pytest.mark.parametrize("source", ["../idd.zip", UNPACKED])
def test_only_an_absolute_path_is_found_from_a_temporary_folder(unpacked, source):
    """Unless DVC has the data. If a relative path works one day, docs/experiments.md need not say so."""
    tiny.write_zip(unpacked.root.parent / "idd.zip", tiny.scenes(4, 2, 1))
    command = ["dvc", "exp", "run", "--temp", "--single-item", "fetch", "--set-param"]
    done = unpacked.attempt(*command, f"fetch.source={source}")
    assert done.returncode != 0
    assert "failed to reproduce 'fetch': [Errno 2] No such file or directory: '" in done.stderr
    unpacked.run(*command, f"fetch.source={(unpacked.root / source).resolve()}")
