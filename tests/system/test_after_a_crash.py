"""docs/after-a-crash.md: each fault, caused for real, shows what the page says, and its commands put it right.

``SOAK_ROUNDS=50 pytest tests/system/test_after_a_crash.py -m system`` kills 50 experiments at random moments.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.running import wait_until
from tests.support.workspace import ROOT, Workspace, stages_run
from tests.system.test_resume_dvc import ROUNDS, SETTING, kill, processes, run, run_and_kill

PAGE = (ROOT / "docs/after-a-crash.md").read_text()
EXPERIMENT = ("dvc", "exp", "run", "--name=x", "--set-param=render.frames=2")
ONE_STAGE = ("dvc", "exp", "run", "--name=x", "--force", "--single-item")
DETACHED = "HEAD has been detached since"


def fix(seen: str) -> str:
    """Return the commands under the heading that has these words."""
    [section] = [section for section in PAGE.split("\n## ")[1:] if seen in section.splitlines()[0]]
    [commands] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return commands


def shell(workspace: Workspace, commands: str) -> str:
    """Run commands of the page."""
    return run(workspace, "bash", "-ec", commands)


def attempt(workspace: Workspace, *command: str) -> tuple[int, str]:
    """Run a command; return its exit code, and its stdout and stderr."""
    done = subprocess.run(
        command,
        cwd=workspace.root,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


def fail(workspace: Workspace, *command: str) -> str:
    """Run a command that has to fail; return its stdout and stderr."""
    code, said = attempt(workspace, *command)
    assert code != 0, said
    return said


def start(workspace: Workspace, *command: str) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=workspace.root, env=workspace.environment, stdout=quiet, stderr=quiet)


def kill_in_card(workspace: Workspace, *command: str) -> None:
    """Start a command, and kill all of it in the last stage."""
    process = start(workspace, *command)
    wait_until(lambda: any(b"stages.card" in command for _, command in processes(workspace)))
    kill(workspace, b"")
    process.wait(60)


def head(workspace: Workspace) -> str:
    return (workspace.root / ".git/HEAD").read_text().strip()


def edited(workspace: Workspace) -> str:
    """Return git's view of what was changed in the code."""
    return workspace.git("diff", "HEAD", "--", "segcore")


@pytest.fixture(scope="module")
def once_killed(finished, tmp_path_factory) -> Workspace:
    workspace = finished.copy(tmp_path_factory.mktemp("killed") / "workspace")
    workspace.append("segcore/card/card.py")
    kill_in_card(workspace, *EXPERIMENT)
    return workspace


@pytest.fixture
def killed(once_killed, tmp_path) -> Workspace:
    """A workspace in which `dvc exp run` was killed in the stage card, with a change of code."""
    return once_killed.copy(tmp_path / "workspace")


def test_a_killed_experiment_says_how_to_get_back_to_the_branch(killed):
    change = edited(killed)
    assert DETACHED in PAGE
    for _ in range(2):  # HEAD stays detached, whatever runs
        assert f"{DETACHED} a `dvc exp run` was killed; before you commit, run `git switch main`" in run(
            killed, *ONE_STAGE, "card"
        )
        assert "HEAD detached at" in killed.git("status")
    assert DETACHED in run(killed, "dvc", "repro", "--force", "--single-item", "card")

    shell(killed, fix("HEAD detached at"))
    assert head(killed) == "ref: refs/heads/main"
    assert edited(killed) == change != ""
    assert killed.dvc("exp", "list", "--name-only").split() == ["x"]
    assert DETACHED not in run(killed, *ONE_STAGE, "card")
    assert head(killed) == "ref: refs/heads/main"


def test_diffs_compare_with_the_last_commit_again(killed):
    killed.commit("a commit on a detached HEAD")
    assert "render.frames" in killed.dvc("params", "diff")
    killed.append("new.py")
    killed.git("add", "new.py")
    (killed.root / "new.py").unlink()
    assert "changes exist in the index" in fail(killed, *EXPERIMENT)
    shell(killed, fix("HEAD detached at"))
    [merge] = re.findall(r"`(git merge .+?)`", PAGE)
    shell(killed, merge)
    assert killed.git("log", "-1", "--format=%s", "main") == "a commit on a detached HEAD\n"
    assert killed.dvc("params", "diff") == ""


def test_removing_what_a_run_left_keeps_experiments(finished, tmp_path):
    workspace = finished.copy(tmp_path / "workspace")
    for name, target in (("EXEC_BASELINE", "HEAD"), (f"../{'0' * 2}/{'1' * 38}/mine", "HEAD")):
        workspace.git("update-ref", os.path.normpath(f"refs/exps/exec/{name}"), target)
    mine = f"refs/exps/00/{'1' * 38}/mine"
    workspace.git("symbolic-ref", "refs/exps/exec/EXEC_BRANCH", mine)  # as DVC has it for a moment
    shell(workspace, fix("HEAD detached at"))
    assert workspace.git("for-each-ref", "--format=%(refname)", "refs/exps").split() == [mine]


def test_locks_of_git(workspace):
    workspace.append("segcore/card/card.py")
    change = edited(workspace)
    (workspace.root / ".git/index.lock").touch()
    assert "the index is locked" in fail(workspace, *EXPERIMENT)
    assert "Unable to create '" in fail(workspace, "git", "add", "--all")
    shell(workspace, fix("the index is locked"))
    assert edited(workspace) == ""
    assert workspace.git("stash", "list").startswith("stash@{0}: WIP on main")
    assert stages_run(workspace.dvc("repro")) == []  # as if nothing had been changed

    shell(workspace, fix("Your changes are gone"))
    assert edited(workspace) == change
    assert workspace.git("stash", "list") == ""

    lock = workspace.root / ".git/refs/exps/exec/EXEC_HEAD.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert "File exists: b'" in fail(workspace, *EXPERIMENT)
    shell(workspace, fix("File exists: b'"))
    assert stages_run(run(workspace, *EXPERIMENT)) == ["render", "card"]


@pytest.mark.parametrize(("name", "content"), [(".dvc/tmp/rwlock", ""), (".dvc/tmp/exps/rwlock", '{"read": {"')])
def test_a_damaged_list_of_running_commands(workspace, name, content):
    path = workspace.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    assert "Unable to read RWLock-file" in fail(workspace, "dvc", "exp", "run")
    shell(workspace, fix("Unable to read RWLock-file"))
    run(workspace, "dvc", "exp", "run")


@pytest.mark.system
def test_a_lock_of_a_process_whose_number_is_reused(workspace):
    owner = {"pid": os.getpid(), "cmd": "dvc repro"}
    locked = {"write": {str(workspace.root / "data/renders"): owner}, "read": {}}
    (workspace.root / ".dvc/tmp/rwlock").write_text(json.dumps(locked))
    assert "is busy, it is being blocked by" in fail(workspace, "dvc", "repro")
    shell(workspace, fix("is busy, it is being blocked by"))
    assert workspace.repro() == []


def test_a_damaged_dvc_lock(workspace):
    workspace.set_parameter("render.frames", 2)
    workspace.append("segcore/card/card.py")
    assert workspace.repro() == ["render", "card"]
    workspace.git("reset", "--quiet")  # DVC has staged dvc.lock
    for content, message in (("", "'./dvc.lock' validation failed"), ("\0" * 500, "unable to read: 'dvc.lock'")):
        (workspace.root / "dvc.lock").write_text(content)
        assert message in fail(workspace, "dvc", "repro")
        shell(workspace, fix(message))
    assert workspace.repro() == ["card"]  # render is in the run-cache; the card's stage has none
    assert workspace.status() == set()


@pytest.mark.system
def test_a_damaged_database(workspace):
    folder = Path(workspace.environment["DVC_SITE_CACHE_DIR"])
    for damage, message in (
        (lambda data: data[:5000], "database disk image is malformed"),
        (lambda data: b"x" * len(data), "file is not a database"),
    ):
        workspace.dvc("status")
        databases = list(folder.rglob("cache.db"))
        assert databases
        for path in databases:
            path.write_bytes(damage(path.read_bytes()))
        assert message in fail(workspace, "dvc", "status")
        shell(workspace, fix(message))
    assert workspace.repro() == []


def test_a_damaged_cache(workspace, finished):
    files = [workspace.root / name for name in ("data/report.html", "data/idd-lite.tar.gz")]
    download = shutil.copy(workspace.root / "data/sample.tar.gz", workspace.root.parent)
    shutil.copy(download, files[1])
    workspace.dvc("add", str(files[1]))
    whole = [file.read_bytes() for file in files]
    for file, data in zip(files, whole, strict=True):
        digest = hashlib.md5(data).hexdigest()
        cached = workspace.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        cached.chmod(0o644)
        cached.write_bytes(data[:100])
        cached.chmod(0o444)
        file.unlink()
    workspace.dvc("checkout")
    assert [file.stat().st_size for file in files] == [100, 100]
    assert workspace.status() == set()  # DVC does not notice

    assert shell(workspace, fix("A damaged file")).count("removed") == 2
    shutil.copy(download, files[1])
    workspace.dvc("add", str(files[1]))
    assert workspace.repro() == ["describe"]
    for file in files:
        file.unlink()
    workspace.dvc("checkout")
    assert [file.read_bytes() for file in files] == whole
    assert shell(workspace, fix("A damaged file")) == ""


@pytest.mark.system
@pytest.mark.parametrize("number", range(ROUNDS))
def test_an_experiment_killed_at_any_moment(workspace, number):
    workspace.append("segcore/card/card.py")
    change = edited(workspace)
    unnamed = [argument for argument in EXPERIMENT if "name" not in argument]
    process = start(workspace, *unnamed)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(random.Random(number).uniform(0.5, 6))
    kill(workspace, b"")
    process.wait(60)

    if not head(workspace).startswith("ref: "):
        shell(workspace, fix("HEAD detached at"))
    if workspace.git("stash", "list"):
        shell(workspace, fix("Your changes are gone"))
    for _ in range(3):
        code, said = attempt(workspace, *unnamed)
        if code == 0:
            break
        for heading in re.findall("^## (.+)", PAGE, re.MULTILINE):
            if any(message.strip("…") in said for message in re.findall("`(.+?)`", heading)):
                shell(workspace, fix(heading))
    assert code == 0, said
    assert DETACHED not in said
    assert edited(workspace) == change
    assert head(workspace) == "ref: refs/heads/main"
    assert workspace.status() == set()


@pytest.mark.system
def test_a_killed_experiment_in_a_temporary_folder(workspace):
    folders = workspace.root / ".dvc/tmp/exps/standalone"
    workspace.append("segcore/card/card.py")
    kill_in_card(workspace, *EXPERIMENT, "--temp")
    assert "Running" in workspace.dvc("exp", "show", "--csv")
    shell(workspace, fix("Running for ever").splitlines()[0])
    assert "Running" not in workspace.dvc("exp", "show", "--csv")
    assert not folders.exists()
    run(workspace, *EXPERIMENT, "--temp")


@pytest.mark.system
def test_a_killed_worker(workspace):
    workspace.environment["SEGCORE_CHECKPOINT_SECONDS"] = "0"
    workspace.dvc("exp", "run", "--queue", "--name=mine", SETTING)
    run_and_kill(workspace, "dvc", "queue", "start")
    status = workspace.dvc("queue", "status")
    assert "Running" in status and "0 active" in status
    shell(workspace, fix("Running for ever").replace("NAME", "mine"))
    assert "No experiment tasks in the queue" in workspace.dvc("queue", "status")
    assert list((workspace.root / ".dvc/tmp/exps").glob("tmp*")) == []
    workspace.dvc("exp", "run", "--queue", "--name=mine", SETTING)


@pytest.mark.system
def test_what_does_not_matter(workspace):
    (workspace.root / ".dvc/tmp/lock").write_text("123")
    (workspace.root / ".dvc/tmp/repro.dat").write_text("")
    workspace.git("add", "--force", ".dvc/tmp/repro.dat")
    for path in (workspace.root / ".dvc/cache/runs").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_text("")
    said = run(workspace, *ONE_STAGE, "describe")
    for message in ("corrupted cache file '.dvc/cache/runs/", "Temporary DVC file '.dvc/tmp/repro.dat' exists"):
        assert message in said
        assert message in PAGE
    assert "repro.dat" not in workspace.git("status", "--porcelain")
    assert workspace.repro() == []
