"""Outputs appear complete or not at all, also when the process is killed at any step."""

import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segcore.runtime.outputs import new_folder, new_outputs
from tests.support.running import ROOT

STEPS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir")  # as Python's audit events name them
INTERRUPTED, NO_SUCH_STEP = 3, 4
OLD = {"folder/deep/x": "old", "folder/gone": "old", "file": "old", "link": "old"}
NEW = {"folder/deep/x": "new", "folder/more": "new", "file": "new", "link": "new", "fresh": "new"}
NAMES = ("folder", "file", "link", "fresh")

Tree = dict[str, str]


@pytest.fixture(autouse=True)
def unflushed(request, monkeypatch):
    """Flushing takes most of the time, and does not matter to these tests."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def tree(root: Path) -> Tree:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def only(files: Tree, name: str) -> Tree:
    return {file: text for file, text in files.items() if file.split("/")[0] == name}


def write(root: Path, files: Tree) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def old_outputs(root: Path) -> Path:
    """Make a folder, a file, and a link like those of DVC into its cache."""
    root.mkdir()
    write(root, {name: text for name, text in OLD.items() if name != "link"})
    (root.with_suffix(".cache")).write_text("old")
    (root / "link").symlink_to(root.with_suffix(".cache"))
    return root


def replace(root: Path) -> None:
    with new_outputs(*(root / name for name in NAMES)) as partials:
        for name, partial in zip(NAMES, partials, strict=True):
            made = {file.removeprefix(name): text for file, text in only(NEW, name).items()}
            write(partial.parent, {partial.name + file: text for file, text in made.items()})


def replace_in_a_child(root: Path, step: int, act: Callable[[], None]) -> int | None:
    """Replace them in a process that does ``act`` just before this step; return its exit code."""

    def child() -> None:
        numbers = itertools.count()
        sys.addaudithook(lambda event, _: act() if event in STEPS and next(numbers) == step else None)
        try:
            replace(root)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        sys.exit(0 if next(numbers) > step else NO_SUCH_STEP)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return process.exitcode


def test_a_folder_replaces_the_old_one(tmp_path):
    write(tmp_path, {"out/old": "1"})
    with new_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("2")
        assert tree(tmp_path / "out") == {"old": "1"}
    assert tree(tmp_path) == {"out/new": "2"}


def test_files_appear_together_or_not_at_all(tmp_path):
    a, b = tmp_path / "deep/a", tmp_path / "b"
    with new_outputs(a, b) as [first, second]:
        first.write_text("1")
        second.write_text("2")
        assert not a.exists()
    assert tree(tmp_path) == {"deep/a": "1", "b": "2"}
    with pytest.raises(RuntimeError), new_outputs(a, b) as [first, second]:
        first.write_text("3")
        raise RuntimeError
    assert tree(tmp_path) == {"deep/a": "1", "b": "2"}


def test_an_output_that_was_not_made_is_an_error_and_nothing_changes(tmp_path):
    write(tmp_path, {"a": "old", "b": "old"})
    with pytest.raises(FileNotFoundError), new_outputs(tmp_path / "a", tmp_path / "b") as [a, _]:
        a.write_text("new")
    assert tree(tmp_path) == {"a": "old", "b": "old"}


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_outputs_whole_or_a_folder_missing_and_the_next_run_removes_debris(tmp_path):
    for step in itertools.count():
        root = old_outputs(tmp_path / str(step))
        ended = replace_in_a_child(root, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
        found = tree(root)
        for name in NAMES:
            missing = [{}] if name == "folder" else []
            assert only(found, name) in (only(OLD, name), only(NEW, name), *missing)
        if ended == NO_SUCH_STEP:
            break
        assert ended == -signal.SIGKILL
        with pytest.raises(RuntimeError), new_outputs(*(root / name for name in NAMES)):
            raise RuntimeError
        assert {path.name for path in root.iterdir()} <= set(NAMES)
        replace(root)
        assert tree(root) == NEW
        assert {path.name for path in root.iterdir()} == set(NAMES)
    assert step >= 10


@pytest.mark.slow
def test_a_signal_at_any_step_leaves_all_old_or_all_new_and_no_debris(tmp_path):
    seen = set()
    for step in itertools.count():
        root = old_outputs(tmp_path / str(step))
        ended = replace_in_a_child(root, step, lambda: os.kill(os.getpid(), signal.SIGINT))
        if ended == NO_SUCH_STEP:
            break
        found = tree(root)
        assert found in (OLD, NEW)
        assert {path.name for path in root.iterdir()} == {name.split("/")[0] for name in found}
        seen.add((ended, found == NEW))
    assert seen == {(INTERRUPTED, False), (INTERRUPTED, True)}


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, flushed = tmp_path / "file", []
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append((os.fstat(file).st_ino, path.read_text())))
    with new_outputs(path) as [partial]:
        partial.write_text("new")
    assert flushed == [(path.stat().st_ino, "old")]


MOUNT = """
mkdir -p lower/folder upper work merged && echo old > lower/folder/x
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged || exit 77
cd merged && exec "$0" -c "$1"
"""
REPLACE = """
from pathlib import Path
from segcore.runtime.outputs import new_folder
with new_folder(Path("folder")) as folder:
    (folder / "y").write_text("new")
print(*sorted(str(path) for path in Path().rglob("*")))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_a_folder_of_an_image_is_replaced_on_overlayfs_which_cannot_rename_it(tmp_path):
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, sys.executable, REPLACE],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no overlayfs can be mounted here")
    assert (done.returncode, done.stdout) == (0, "folder folder/y\n"), done.stderr
