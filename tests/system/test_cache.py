"""DVC's cache with links in place of copies, elsewhere than in the project, and in clones without the old files."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import tiny
from tests.support.workspace import Workspace, stages_run

STAGES = ["fetch", "preprocess", "describe", "train", "evaluate", "export", "render", "card"]
SOURCE = "data/unpacked"
GROUP = 4100
MODEL = "data/model/erfnet.safetensors"


def use_cache(workspace: Workspace, kind: str, folder: Path) -> None:
    """Have the cache in a folder, with this kind of links to it."""
    shutil.move(workspace.root / ".dvc/cache", folder)
    workspace.dvc("config", "cache.type", kind)
    workspace.dvc("config", "--local", "cache.dir", str(folder))


def add_folder(workspace: Workspace) -> None:
    """Put a folder with frames under DVC, and make it the source."""
    tiny.write_folder(workspace.root / SOURCE, tiny.scenes(6, 2, 2))
    workspace.dvc("add", SOURCE)
    workspace.set_parameter("fetch.source", SOURCE)


def damaged(cache: Path) -> list[str]:
    """The files of a cache whose name is not their digest."""
    files = [file for file in (cache / "files/md5").rglob("*") if file.is_file()]
    assert files
    digests = {file: hashlib.md5(file.read_bytes()).hexdigest() for file in files}
    return [str(file) for file, md5 in digests.items() if md5 != file.parent.name + file.name.removesuffix(".dir")]


def is_linked(path: Path, kind: str) -> bool:
    return path.is_symlink() if kind == "symlink" else path.stat().st_nlink > 1


@pytest.mark.system
@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_links_to_the_cache(workspace, tmp_path, kind):
    """All stages read through links, and none writes through one, not even if DVC has not removed the old outputs."""
    cache = tmp_path / "elsewhere/cache"
    cache.parent.mkdir()
    use_cache(workspace, kind, cache)
    add_folder(workspace)
    workspace.set_parameter("train.seed", 5)
    assert workspace.repro() == STAGES
    assert is_linked(workspace.root / MODEL, kind)
    workspace.commit("first")
    first = workspace.outputs()
    workspace.set_parameter("preprocess.height", 24)
    assert workspace.repro() == STAGES[1:]
    workspace.commit("second")
    assert damaged(cache) == []

    workspace.git("checkout", "--quiet", "HEAD~1")
    workspace.dvc("checkout")
    assert workspace.status() == set()
    assert workspace.outputs() == first
    workspace.dvc("repro", "--force", "--single-item", "preprocess")
    assert workspace.outputs() == first
    workspace.set_parameter("preprocess.height", 32)  # so that what is written differs from what is in the cache
    for stage in STAGES:
        workspace.run("python", "-m", f"stages.{stage}")
    assert damaged(cache) == []


def test_several_kinds_of_links(workspace, tmp_path):
    """DVC takes the first that the file system has: a reflink, or else a hard link."""
    cache = tmp_path / "cache"
    use_cache(workspace, "reflink,hardlink,copy", cache)
    workspace.set_parameter("preprocess.height", 24)
    workspace.dvc("repro", "preprocess")
    workspace.set_parameter("preprocess.height", 32)
    for stage in STAGES[:2]:
        workspace.run("python", "-m", f"stages.{stage}")
    assert damaged(cache) == []


def test_commands_read_through_links(workspace, tmp_path):
    use_cache(workspace, "symlink", tmp_path / "cache")
    workspace.dvc("checkout", "--relink")
    assert (workspace.root / MODEL).is_symlink()
    frame = next((workspace.root / "data/raw").rglob("*.jpg"))
    assert frame.is_symlink()
    workspace.run("python", "-m", "segcore", "predict", str(frame), "--out", "predictions")
    assert len(list((workspace.root / "predictions").rglob("*.png"))) > 0
    workspace.run("python", "-m", "segcore", "review", "main")
    assert "data:image" in (workspace.root / "review/report.html").read_text()
    assert "train" in workspace.run("python", "-m", "segcore", "provenance", MODEL)
    assert damaged(tmp_path / "cache") == []


def test_a_linked_source_in_a_temporary_folder(workspace):
    """The cache is then that of the workspace."""
    workspace.dvc("config", "cache.type", "symlink")
    add_folder(workspace)
    workspace.commit("a folder under DVC")
    workspace.dvc("exp", "run", "--temp", "--single-item", "fetch", "--name", "temporary")
    workspace.dvc("exp", "apply", "temporary")
    assert len(list((workspace.root / "data/raw").rglob("*.jpg"))) == 10
    assert damaged(workspace.root / ".dvc/cache") == []


class Colleague(Workspace):
    """A clone of a user who shares only a group with others, and whose umask lets nobody else in."""

    def __init__(self, root: Path, uid: int) -> None:
        super().__init__(root)
        self.uid = uid
        self.environment["LOGNAME"] = root.parent.name  # DVC fails for a user without a name

    def run(self, *command: str, **environment: str) -> str:
        return super().run(*as_user(self.uid), *command, **environment)


def as_user(uid: int) -> list[str]:
    """The start of a command, for a user who may read everything, as Python itself may be in root's own folder."""
    read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    own = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={GROUP}", *read]
    return [*own, "sh", "-c", 'umask 077; exec "$@"', "sh"]


@pytest.fixture
def colleagues(finished, tmp_path) -> list[Colleague]:
    """Two users with a clone each, and one cache as docs/team.md says."""
    if os.geteuid() != 0 or subprocess.run([*as_user(4001), "true"], capture_output=True).returncode:
        pytest.skip("only root can run commands as other users, with setpriv and a capability")
    cache = tmp_path / "cache"
    cache.mkdir()
    os.chown(cache, -1, GROUP)
    cache.chmod(0o2770)
    both: list[Colleague] = []
    for uid, name in ((4001, "ann"), (4002, "ben")):
        clone = finished.clone(tmp_path / name / "clone")
        for setting in (("dir", str(cache)), ("shared", "group"), ("type", "symlink")):
            clone.dvc("config", "--local", f"cache.{setting[0]}", setting[1])
        subprocess.run(["chown", "--recursive", f"{uid}:{uid}", str(clone.root.parent)], check=True)
        both.append(Colleague(clone.root, uid))
    return both


def test_two_users_share_a_cache(colleagues, tmp_path):
    ann, ben = colleagues
    assert stages_run(ann.dvc("repro", "preprocess")) == STAGES[:2]
    assert stages_run(ben.dvc("repro", "preprocess")) == []
    assert ben.outputs() == ann.outputs()
    for each in ben, ann:
        each.set_parameter("preprocess.height", 24)
    assert stages_run(ben.dvc("repro", "preprocess")) == ["preprocess"]
    assert stages_run(ann.dvc("repro", "preprocess")) == []
    assert ben.outputs() == ann.outputs()
    assert damaged(tmp_path / "cache") == []
    for path in (tmp_path / "cache").rglob("*"):  # as_user hides who may read
        state, needed = path.stat(), 0o2070 if path.is_dir() else 0o040
        assert (state.st_gid, state.st_mode & needed) == (GROUP, needed)


def test_a_clone_without_old_files(finished, tmp_path):
    server = finished.copy(tmp_path / "server" / "workspace")
    scores = server.root / "metrics/evaluate.json"
    for seed, indent in ((6, 1), (7, 3)):  # each commit has a file of its own
        server.set_parameter("train.seed", seed)
        scores.write_text(json.dumps(json.loads(scores.read_text()), indent=indent))
        server.commit(f"seed {seed}")
    server.git("config", "uploadpack.allowFilter", "true")
    server.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = server.clone(tmp_path / "partial" / "clone", "--filter=blob:none")
    assert "?" in clone.git("rev-list", "--objects", "--missing=print", "--all")
    for command in (["compare", "HEAD~2", "HEAD~1"], ["scores", "--seeds"]):
        assert clone.run("python", "-m", "segcore", *command) == server.run("python", "-m", "segcore", *command)
    clone.dvc("config", "--local", "cache.dir", str(server.root / ".dvc/cache"))
    frame = next((server.root / "data/raw").rglob("*.jpg"))
    clone.run("python", "-m", "segcore", "predict", str(frame), "--out=predictions", "--rev=HEAD~1")
    clone.run("python", "-m", "segcore", "review", "HEAD~2")
    assert "train.seed" in (clone.root / "review/report.html").read_text()
