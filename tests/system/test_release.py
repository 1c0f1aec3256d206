"""The lines of docs/release.md, run in order: in a small repository with the artifacts of this one, and elsewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from tests.support.workspace import ROOT, Workspace

TEXT = (ROOT / "docs/release.md").read_text()
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
SERVER, BUCKET = "https://github.com/team/erfnet.git", "s3://bucket/models"  # as the document has them
WEIGHTS, ONNX = "data/model/erfnet.safetensors", "data/model/erfnet.onnx"


def lines(heading: str, language: str = "sh") -> list[str]:
    """The blocks of code below a heading."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


class Team:
    """A repository whose two models are made by hand, a bare one that stands for a server, and a folder elsewhere."""

    def __init__(self, root: Path) -> None:
        self.server, self.bucket = root / "server.git", root / "bucket"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.server)], check=True)
        self.here, self.elsewhere = (self._repository(root / name) for name in ("here", "elsewhere"))
        self.here.git("remote", "add", "origin", str(self.server))
        stages = {name: {"cmd": "true", "outs": [path]} for name, path in (("train", WEIGHTS), ("export", ONNX))}
        artifacts = {"stages": stages, "artifacts": PIPELINE["artifacts"]}
        (self.here.root / "dvc.yaml").write_text(yaml.safe_dump(artifacts))
        (self.here.root / "metrics").mkdir()
        (self.here.root / "data").mkdir()
        shutil.copyfile(ROOT / "data/.gitignore", self.here.root / "data/.gitignore")
        self.train(1)
        self.here.git("push", "--quiet", "--set-upstream", "origin", "main")

    def _repository(self, root: Path) -> Workspace:
        root.mkdir()
        workspace = Workspace(root)
        workspace.environment["PYTHONPATH"] = str(ROOT)
        workspace.git("init", "--quiet", "--initial-branch=main")
        workspace.sign()
        workspace.dvc("init", "--quiet")
        workspace.commit("DVC")
        return workspace

    def train(self, value: int) -> None:
        """Make the models anew, and commit them."""
        (self.here.root / "data/model").mkdir(parents=True, exist_ok=True)
        save_file({"weight": np.full(3, value)}, self.here.root / WEIGHTS)
        (self.here.root / ONNX).write_text(f"model {value}")
        (self.here.root / "metrics/model-card.md").write_text(f"card {value}\n")
        self.here.dvc("commit", "--quiet", "--force")
        self.here.commit(f"results {value}")

    def run(self, where: Workspace, text: str) -> str:
        """Run lines as they are but for the addresses, up to the first that fails."""
        return where.run("bash", "-ec", self._here(text))

    def run_python(self, where: Workspace, text: str) -> str:
        return where.run("python", "-c", self._here(text))

    def _here(self, text: str) -> str:
        return text.replace(SERVER, str(self.server)).replace(BUCKET, str(self.bucket))


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> Team:
    """A team that has released v1.0.0 by the document's lines, and then v1.1.0. A second remote has a relative path."""
    team = Team(tmp_path_factory.mktemp("team"))
    once, release = lines("Register a version")
    team.run(team.here, once)
    team.here.dvc("remote", "add", "relative", "../bucket")
    team.run(team.here, release)
    team.train(2)
    team.run(team.here, release.replace("v1.0.0", "v1.1.0"))
    return team


def weight(path: Path) -> list[int]:
    """The weight in a model file."""
    return load_file(path)["weight"].tolist()


def test_the_artifacts_are_outputs_of_stages():
    outs = [out for stage in PIPELINE["stages"].values() for out in stage.get("outs", [])]
    paths = [artifact["path"] for artifact in PIPELINE["artifacts"].values()]
    assert paths == [WEIGHTS, ONNX]
    assert [path for path in paths if path not in outs] == []


def test_the_remote_has_the_models_and_nothing_else(team):
    assert len([path for path in team.bucket.rglob("*") if path.is_file()]) == 4
    assert team.here.git("ls-remote", "--tags", "--refs", str(team.server)).split()[1::2] == [
        f"refs/tags/{name}@{version}" for name in ("erfnet-onnx", "erfnet") for version in ("v1.0.0", "v1.1.0")
    ]


def test_a_model_that_is_not_committed_is_not_registered(team):
    _, release = lines("Register a version")
    with team.here.restored("dvc.lock"):
        team.here.append("dvc.lock")
        with pytest.raises(AssertionError, match="another comment"):
            team.run(team.here, release.replace("v1.0.0", "v2.0.0"))
    assert "v2.0.0" not in team.here.git("tag")


def test_elsewhere_the_lines_get_the_models(team):
    download, in_dvc = lines("Use it elsewhere")
    said = team.run(team.elsewhere, download)
    root = team.elsewhere.root
    assert sorted(re.findall(r"(erfnet\S*) +│ (v\S+)", said)) == [("erfnet", "v1.1.0"), ("erfnet-onnx", "v1.1.0")]
    assert weight(root / "erfnet.safetensors") == [2, 2, 2]
    assert weight(root / "old.safetensors") == [1, 1, 1]
    assert (root / "erfnet.onnx").read_text() == "model 1"

    declare, *imports, update = "REPO=" + SERVER, *in_dvc.splitlines()
    team.run(team.elsewhere, "\n".join([declare, *imports]))
    assert weight(root / "data/erfnet.safetensors") == [1, 1, 1]
    team.run(team.elsewhere, update)
    assert weight(root / "data/erfnet.safetensors") == [2, 2, 2]
    team.elsewhere.commit("a model of theirs")
    colleague = team.elsewhere.clone(root.with_name("colleague"))
    colleague.dvc("pull")
    assert weight(colleague.root / "data/erfnet.safetensors") == [2, 2, 2]


def test_elsewhere_python_reads_the_model(team):
    [program] = lines("Use it elsewhere", "python")
    assert team.run_python(team.elsewhere, f"{program}\nprint(weights['weight'].tolist())") == "[1, 1, 1]\n"


def test_the_card_is_that_of_the_version(team):
    [show] = lines("What to pass on")
    team.run(team.here, show)
    assert (team.here.root / "data/model-card.md").read_text() == "card 1\n"
    assert team.here.git("status", "--porcelain") == ""


# What the document says of errors


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("artifacts get {} erfnet --rev 1.0.0 --remote models", "Unable to find artifact 'erfnet @ 1.0.0'"),
        ("artifacts get {} erfnet", "No storage files available: 'data/model/erfnet.safetensors'"),
        ("get {} data/model/erfnet.safetensors", "No storage files available: 'data/model/erfnet.safetensors'"),
    ],
)
def test_what_cannot_be_got_is_named(team, command, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        team.elsewhere.dvc(*command.format(team.server).split(), "--out=new")


def test_a_relative_remote_is_not_found_until_its_address_is_given(team):
    get = ("artifacts", "get", str(team.server), "erfnet", "--remote", "relative", "--out=relative")
    with pytest.raises(AssertionError, match="No storage files available"):
        team.elsewhere.dvc(*get)
    team.elsewhere.dvc(*get, "--remote-config", f"url={team.bucket}")
    assert weight(team.elsewhere.root / "relative") == [2, 2, 2]
