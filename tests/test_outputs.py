"""Outputs appear complete or not at all."""

from pathlib import Path

import pytest

from segcore.outputs import live_file, new_folder, new_outputs


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


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_an_error_while_they_are_renamed_puts_everything_back(tmp_path, monkeypatch, failing):
    """Two old outputs are moved aside and three new ones into place: any of these renames may fail."""
    folder, file, fresh = tmp_path / "folder", tmp_path / "file", tmp_path / "fresh"
    folder.mkdir()
    (folder / "x").write_text("old")
    file.write_text("old")
    renames = []
    rename = Path.rename

    def breaking(self, target):
        renames.append(target)
        if len(renames) == failing:
            raise OSError("busy")
        return rename(self, target)

    with pytest.raises(OSError, match="busy"), new_outputs(folder, file, fresh) as partials:
        partials[0].mkdir()
        (partials[0] / "x").write_text("new")
        partials[1].write_text("new")
        partials[2].write_text("new")
        monkeypatch.setattr(Path, "rename", breaking)
    assert tree(tmp_path) == {"folder/x": "old", "file": "old"}


def test_a_full_disk_while_the_old_curves_are_kept_leaves_them(tmp_path, monkeypatch):
    path = tmp_path / "curves.tsv"
    path.write_text("good")

    def copyfile(source, target):
        Path(target).write_text("go")
        raise OSError("full")

    monkeypatch.setattr("shutil.copyfile", copyfile)
    with pytest.raises(OSError, match="full"), live_file(path):
        pass
    assert tree(tmp_path) == {"curves.tsv": "good"}


def test_a_live_file_can_be_read_meanwhile_and_comes_back_on_an_error(tmp_path):
    path = tmp_path / "curves.tsv"
    with live_file(path) as rewrite:
        rewrite("1\n")
        assert path.read_text() == "1\n"
        rewrite("1\n2\n")
    assert tree(tmp_path) == {"curves.tsv": "1\n2\n"}
    with pytest.raises(RuntimeError), live_file(path) as rewrite:
        rewrite("3\n")
        raise RuntimeError
    assert tree(tmp_path) == {"curves.tsv": "1\n2\n"}


def test_a_live_file_that_never_was_is_gone_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), live_file(tmp_path / "curves.tsv") as rewrite:
        rewrite("3\n")
        raise RuntimeError
    assert tree(tmp_path) == {}


def test_a_live_file_of_a_killed_run_gives_way_to_the_one_before(tmp_path):
    (tmp_path / "curves.tsv").write_text("half")
    (tmp_path / ".curves.tsv.old").write_text("good")
    with pytest.raises(RuntimeError), live_file(tmp_path / "curves.tsv"):
        raise RuntimeError
    assert tree(tmp_path) == {"curves.tsv": "good"}
