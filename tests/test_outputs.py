"""Outputs appear complete or not at all, with whatever the kernel, libc and the file system offer."""

import ctypes
import errno
import itertools
import multiprocessing
import os
import signal
import sys

import pytest

from segcore import outputs
from segcore.outputs import live_file, new_folder, new_outputs

RENAMES = ("os.rename", "os.link", "renameat2")
STEPS = (*RENAMES, "os.mkdir", "os.remove", "os.rmdir")
RAISED, NO_SUCH_STEP = 3, 4


@pytest.fixture(
    autouse=True, params=["exchange", "no exchange in libc", "no exchange in the file system", "no hard links either"]
)
def kind(request, monkeypatch):
    """What there is to replace a file or a folder with. Flushing takes most of the time, and changes nothing here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    if request.param == "no exchange in libc":
        monkeypatch.setattr(outputs, "_renameat2", None)
    elif request.param != "exchange":
        monkeypatch.setattr(outputs, "_renameat2", lambda *_: ctypes.set_errno(errno.EINVAL) or -1)
    if request.param == "no hard links either":
        monkeypatch.setattr(os, "link", no_link)
    return request.param


def no_link(*_, **__):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def tree(root):
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("1")
    with new_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("2")
        assert tree(tmp_path / "out") == {"old": "1"}
    assert tree(tmp_path) == {"out/new": "2"}


def test_on_an_error_the_old_folder_stays_and_nothing_beside_it(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("1")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("2")
        raise RuntimeError
    assert tree(tmp_path) == {"out/old": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial/half").write_text("?")
    (tmp_path / ".out.old").mkdir()
    (tmp_path / ".out.old/good").write_text("1")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out"):
        raise RuntimeError
    assert tree(tmp_path) == {"out/good": "1"}  # it was killed between the renames: the old folder comes back


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


OLD = {"folder/deep/x": "old", "folder/gone": "old", "file": "old", "link": "old"}
NEW = {"folder/deep/x": "new", "folder/more": "new", "file": "new", "link": "new", "fresh": "new"}
NAMES = ("folder", "file", "link", "fresh")


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def old_outputs(root):
    """A folder, a file, and one of DVC's links into its cache."""
    root.mkdir()
    write(root, {name: text for name, text in OLD.items() if name != "link"})
    (root.with_suffix(".cache")).write_text("old")
    (root / "link").symlink_to(root.with_suffix(".cache"))
    return root


def replace(root):
    with new_outputs(*(root / name for name in NAMES)) as partials:
        for name, partial in zip(NAMES, partials, strict=True):
            made = {file.removeprefix(name): text for file, text in NEW.items() if file.split("/")[0] == name}
            write(partial.parent, {partial.name + file: text for file, text in made.items()})


def replace_in_a_child(root, step, act, steps=STEPS):
    """Replace them in a process that does ``act`` just before its step of that number; give its exit code."""

    def child():
        numbers = itertools.count()

        def watch(event, _=()):
            if event in steps and next(numbers) == step:
                act()

        if exchange := outputs._renameat2:
            outputs._renameat2 = lambda *arguments: watch("renameat2") or exchange(*arguments)
        sys.addaudithook(watch)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            replace(root)
        except (OSError, KeyboardInterrupt):
            sys.exit(RAISED)
        sys.exit(0 if next(numbers) > step else NO_SUCH_STEP)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return process.exitcode


def only(files, name):
    return {file: text for file, text in files.items() if file.split("/")[0] == name}


def whole(found):
    """The outputs that are, entirely, the old or the new ones."""
    return {name for name in NAMES if only(found, name) in (only(OLD, name), only(NEW, name))}


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def fail():
    raise OSError(errno.EIO, "busy")


def test_a_kill_before_any_step_leaves_each_output_whole_and_the_next_start_mends_the_rest(tmp_path, kind):
    at_risk = {"exchange": set(), "no hard links either": {"folder", "file", "link"}}.get(kind, {"folder"})
    for step in itertools.count():
        root = old_outputs(tmp_path / str(step))
        ended = replace_in_a_child(root, step, kill)
        found = tree(root)
        for name in set(NAMES) - whole(found):
            assert name in at_risk
            assert only(found, name) == {}
        with pytest.raises(RuntimeError), new_outputs(*(root / name for name in NAMES)):
            raise RuntimeError
        assert whole(tree(root)) == set(NAMES)
        assert {path.name for path in root.iterdir()} <= set(NAMES)

        if ended == NO_SUCH_STEP:
            break
        assert ended == -signal.SIGKILL
        replace_in_a_child(root, step, kill)  # another kill on top of it
        replace(root)
        assert tree(root) == NEW
        assert {path.name for path in root.iterdir()} == set(NAMES)
    assert step >= 10


@pytest.mark.parametrize(("act", "steps"), [(fail, RENAMES), (interrupt, STEPS)])
def test_an_error_or_a_signal_at_any_step_leaves_all_old_or_all_new_and_no_debris(tmp_path, kind, act, steps):
    seen = set()
    for step in itertools.count():
        root = old_outputs(tmp_path / str(step))
        ended = replace_in_a_child(root, step, act, steps)
        if ended == NO_SUCH_STEP:
            break
        found = tree(root)
        assert found in (OLD, NEW)
        assert {path.name for path in root.iterdir()} == {name.split("/")[0] for name in found}
        if act is fail:
            assert (ended == 0) == (found == NEW)  # 0 where a hard link failed, for there is another way
        seen.add((ended, found == NEW))
    assert (RAISED, False) in seen
    assert act is fail or (RAISED, True) in seen


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, flushed = tmp_path / "file", []
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append((os.fstat(file).st_ino, path.read_text())))
    with new_outputs(path) as [partial]:
        partial.write_text("new")
    assert flushed == [(path.stat().st_ino, "old")]


def test_an_output_that_was_not_made_is_an_error_and_nothing_changes(tmp_path, kind):
    write(tmp_path, {"a": "old", "b": "old"})
    with pytest.raises(FileNotFoundError), new_outputs(tmp_path / "a", tmp_path / "b") as [a, _]:
        a.write_text("new")
    assert tree(tmp_path) == {"a": "old", "b": "old"}


def test_a_live_file_can_be_read_meanwhile(tmp_path):
    with live_file(tmp_path / "curves.tsv") as rewrite:
        rewrite("1\n")
        assert tree(tmp_path) == {"curves.tsv": "1\n"}
        rewrite("1\n2\n")
    assert tree(tmp_path) == {"curves.tsv": "1\n2\n"}


def test_a_live_file_is_gone_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), live_file(tmp_path / "curves.tsv") as rewrite:
        rewrite("3\n")
        raise RuntimeError
    assert tree(tmp_path) == {}
