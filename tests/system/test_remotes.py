"""A team shares data, models and experiments by remotes on real servers: S3, WebDAV and SSH."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.servers import SERVERS, Server, add_remote
from tests.support.workspace import Workspace, stages_run

pytestmark = pytest.mark.system

MODEL = "data/model/erfnet.onnx"
OTHER = "export.precision=fp32"  # what the experiment "other" changes; the model in the commit is int8
MORE = ("render.frames", 2)  # what the experiment "more" changes
ONE_KIND = pytest.mark.parametrize("kind", ["s3"], indirect=True, scope="module")  # for what DVC does with all alike


@dataclass(frozen=True)
class Team:
    """A workspace with an experiment, whose data is on a server, and a bare repository."""

    here: Workspace
    server: Server
    origin: Path

    def colleague(self, root: Path) -> Workspace:
        """Return a clone of the bare repository, with the keys for the server."""
        self.here.git("clone", "--quiet", str(self.origin), str(root))
        clone = Workspace(root)
        clone.sign()
        add_remote(clone, self.server)
        assert clone.git("status", "--porcelain") == ""  # git has the address already
        return clone


@pytest.fixture(scope="module")
def with_experiment(finished, tmp_path_factory) -> Workspace:
    """A finished workspace that also has two experiments, which are not applied."""
    workspace = finished.copy(tmp_path_factory.mktemp("experiment") / "workspace")
    for name, setting in (("other", OTHER), ("more", f"{MORE[0]}={MORE[1]}")):
        workspace.dvc("exp", "run", f"--name={name}", f"--set-param={setting}")
        workspace.git("checkout", "--quiet", ".")
        workspace.dvc("checkout")
    return workspace


@pytest.fixture(scope="module")
def team(kind, with_experiment, tmp_path_factory) -> Iterator[Team]:
    """A team that has pushed the commit, its data and its run cache; no test changes what is on the server."""
    root = tmp_path_factory.mktemp(kind)
    with SERVERS[kind](root / "server") as server:
        here = with_experiment.copy(root / "here" / "workspace")
        add_remote(here, server)
        here.commit("our remote")
        origin = root / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
        here.git("remote", "add", "origin", str(origin))
        here.git("push", "--quiet", "--set-upstream", "origin", "main")
        here.dvc("push", "--run-cache")
        here.dvc("exp", "push", "origin", "other", "more")
        yield Team(here, server, origin)


@pytest.fixture
def colleague(team, tmp_path) -> Workspace:
    return team.colleague(tmp_path / "colleague")


def test_a_colleague_pulls_the_same_files_and_nothing_is_to_be_run(team, colleague):
    colleague.dvc("pull")
    assert colleague.outputs() == team.here.outputs()
    assert colleague.status() == set()
    assert colleague.repro() == []
    assert "up to date" in colleague.dvc("push")


@ONE_KIND
def test_a_late_change_pulls_only_the_data_of_the_stage_that_runs(colleague):
    colleague.set_parameter("render.frames", 3)
    assert stages_run(colleague.dvc("repro", "--pull", "--allow-missing")) == ["render"]
    pulled = {path.relative_to(colleague.root / "data").parts[0] for path in colleague.root.glob("data/**/*.*g*")}
    assert {"native", "predictions", "renders"} <= pulled
    assert not (colleague.root / "data/arrays").exists() and not (colleague.root / "data/model").exists()


@ONE_KIND
def test_without_allow_missing_all_data_is_pulled(team, colleague):
    colleague.set_parameter("render.frames", 3)
    assert stages_run(colleague.dvc("repro", "--pull")) == ["render"]
    assert colleague.outputs().keys() == team.here.outputs().keys()


@ONE_KIND
def test_a_run_that_a_colleague_did_comes_from_the_run_cache(colleague):
    colleague.set_parameter(*MORE)
    said = colleague.dvc("repro", "--pull")
    assert "Stage 'render' is cached - skipping run" in said
    assert stages_run(said) == []


@ONE_KIND
def test_the_run_cache_on_a_server_has_no_stage_with_metrics_in_git(colleague):
    # DVC does not push such metrics with the run cache, so the stage runs again, to the same bytes.
    section, value = OTHER.split("=")
    colleague.set_parameter(section, value)
    assert stages_run(colleague.dvc("repro", "--pull")) == ["export", "card"]


def test_a_colleague_has_the_experiment_with_its_model(team, colleague):
    colleague.dvc("exp", "pull", "origin", "other")
    colleague.dvc("exp", "apply", "other")
    assert (colleague.root / MODEL).read_bytes() == cached_model(team.here, "other") != cached_model(team.here, "HEAD")
    assert colleague.status() == set()
    assert "HEAD → other" in colleague.run("python", "-m", "segcore", "compare", "HEAD", "other")


def test_gc_removes_from_the_server_what_nothing_names(team, tmp_path):
    here, server = team.here.copy(tmp_path / "here" / "workspace"), team.server
    before = set(server.files())
    (here.root / "unnamed").write_text("of no commit")
    here.dvc("add", "unnamed")
    here.dvc("push", "unnamed.dvc")
    assert len(set(server.files()) - before) == 1
    here.git("reset", "--quiet", "--hard")
    here.dvc("gc", "--cloud", "--force", "--workspace", "--all-commits", "--all-experiments")
    assert set(server.files()) == before
    assert cached_model(here, "other") == cached_model(team.here, "other")


def test_the_data_of_an_experiment_from_before_the_remote_need_a_remote_in_the_local_file(with_experiment, tmp_path):
    here, folder = with_experiment.copy(tmp_path / "here" / "workspace"), tmp_path / "folder"
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin.git")], check=True)
    here.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    here.dvc("remote", "add", "--default", "team", str(folder))
    here.commit("our remote")
    here.dvc("exp", "push", "origin", "other")
    assert not folder.exists()  # DVC takes the default remote from the commit of the experiment, and says nothing
    here.dvc("remote", "add", "--local", "--default", "team", str(folder))
    here.dvc("exp", "push", "origin", "other")
    assert cached_model(here, "other") in [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def cached_model(workspace: Workspace, revision: str) -> bytes:
    """Return the model of HEAD or of an experiment from DVC's cache."""
    references = workspace.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    [reference] = [name for name in [*references, "HEAD"] if name.split("/")[-1] == revision]
    lock = yaml.safe_load(workspace.git("show", f"{reference}:dvc.lock"))
    [md5] = [out["md5"] for out in lock["stages"]["export"]["outs"] if out["path"] == MODEL]
    return (workspace.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).read_bytes()
