"""The files of the repository keep their bytes in a clone, under usual hooks, and beside the debris of an editor."""

import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.support.workspace import ROOT

EDITORS_LEAVE = (
    "4913",  # vim tries whether it may write
    ".one.py.swp",
    "one.py~",
    "#one.py#",
    ".#one.py",
    "._one.py",
    "one.py.orig",
    ".ipynb_checkpoints/one-checkpoint.py",
    "__pycache__/one.cpython-311.pyc",
)


def tracked() -> list[str]:
    """Return the names of the files that git has, or would add."""
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


@pytest.mark.usefixtures("own_git")
def test_a_clone_that_would_convert_line_endings_has_the_same_bytes():
    contents = {name: (ROOT / name).read_bytes() for name in tracked()}
    contents["windows.csv"] = b"a,b\r\n1,2\r\n"
    for name, content in contents.items():
        Path("origin", name).parent.mkdir(parents=True, exist_ok=True)
        Path("origin", name).write_bytes(content)
    for command in ("init --quiet", "-c core.autocrlf=input add --all --force", "commit --quiet --message=all"):
        subprocess.run(["git", "-C", "origin", *command.split()], check=True)
    subprocess.run(["git", "clone", "--quiet", "--config=core.autocrlf=true", "origin", "clone"], check=True)
    assert [name for name, content in contents.items() if Path("clone", name).read_bytes() != content] == []


def test_usual_hooks_leave_all_files_as_they_are():
    """A hook that changed an output would make its stage run again."""
    texts = {name: content for name in tracked() if b"\0" not in (content := (ROOT / name).read_bytes())}
    changed = {name: b"".join(line.rstrip() + b"\n" for line in text.splitlines()) for name, text in texts.items()}
    assert [name for name in texts if texts[name] != changed[name] or texts[name].endswith(b"\n\n")] == []


@pytest.fixture
def status(own_git, tmp_path, monkeypatch):
    """A function that returns what DVC takes for changed, in a project whose one stage depends on a folder of code."""
    for kind in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
        monkeypatch.setenv(f"DVC_{kind}_DIR", str(tmp_path / kind))
    Path(".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
    Path("segcore/train").mkdir(parents=True)
    for name in ("one.py", "page.html.jinja"):
        Path("segcore/train", name).write_text("first")
    Path("dvc.yaml").write_text("stages: {train: {cmd: 'true', deps: [segcore/train]}}")
    Repo.init(no_scm=True).commit(force=True)

    def status() -> dict:
        with Repo() as repo:
            return repo.status()

    return status


@pytest.mark.parametrize("name", EDITORS_LEAVE)
def test_what_an_editor_leaves_makes_no_stage_run(name, status):
    path = Path("segcore/train", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("debris") if name != ".#one.py" else path.symlink_to("user@host.1")
    assert status() == {}


@pytest.mark.parametrize("name", ["one.py", "page.html.jinja", "new.py", "deeper/new.py"])
def test_changed_and_new_code_makes_a_stage_run(name, status):
    path = Path("segcore/train", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("second")
    assert status() == {"train": [{"changed deps": {"segcore/train": "modified"}}]}
