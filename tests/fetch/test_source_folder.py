"""A folder as source: its files are copied, and its archives unpacked."""

import gzip
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segcore.fetch import archive
from segcore.fetch.members import Limits
from segcore.fetch.plain_files import PlainFiles
from segcore.runtime.errors import UserError
from tests.support import tiny
from tests.support.archives import FILES, WRITERS, write_tar

LIMITS = Limits()


def copy(source: Path, place: archive.Place = Path, limits: Limits = LIMITS) -> dict[str, bytes]:
    root = source.parent / "root"
    archive.copy_folder(source, root, place, limits, lambda path: path == "deep/ignored.zip")
    return tiny.contents(root)


def test_copy_folder(tmp_path):
    hidden = {".git/top/a.txt": b"hidden", "top/.a.txt": b"hidden"}
    source = tiny.write_folder(tmp_path / "source", FILES | hidden)
    (source / ".link").symlink_to("/etc")
    copy(source, lambda name: Path("new", name) if name != "c" else None)
    expected = {f"new/{name}": data for name, data in FILES.items() if name != "c"}
    assert tiny.contents(tmp_path / "root") == expected
    assert tiny.contents(source) == FILES | hidden


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("a.txt"), lambda path: path.symlink_to("/"), os.mkfifo])
def test_links_and_special_files_in_a_folder(tmp_path, make):
    source = tiny.write_folder(tmp_path / "source", FILES)
    make(source / "top" / "other")
    with pytest.raises(UserError, match="top/other: a link or a special file, which could lead outside"):
        copy(source)


@pytest.fixture
def linked(own_git, tmp_path) -> Path:
    """A folder that DVC has linked to a cache outside the project, which is the working folder."""
    dvc = [sys.executable, "-m", "dvc"]  # the one of this environment, which need not be active
    cache = ["config", "cache.dir", str(tmp_path / "cache")]
    for command in ["git", "init"], [*dvc, "init"], [*dvc, *cache], [*dvc, "config", "cache.type", "symlink"]:
        subprocess.run(command, check=True, capture_output=True)
    source = tiny.write_folder(Path("data/source").absolute(), FILES)
    tiny.write_zip(source / "x.zip", {"b.txt": b"2"})
    subprocess.run([*dvc, "add", "data/source"], check=True, capture_output=True)
    assert (source / "top/a.txt").is_symlink()
    return source


@pytest.mark.slow
def test_links_to_the_cache_of_dvc(linked, tmp_path):
    text = {name: data for name, data in FILES.items() if name.endswith(".txt")}
    assert copy(linked, only_files(".txt")) == text | {"b.txt": b"2"}
    assert not any(path.is_symlink() for path in (linked.parent / "root").rglob("*"))
    secret = tmp_path / "cache/secret"
    secret.write_bytes(b"not one of the files")
    files = tmp_path / "cache/files/md5"
    lost = r"source/other\.txt: a link to a file that is not in DVC's cache; `dvc pull`"
    for target in secret, files, files / "none", files / "../../secret", Path("/etc/passwd"), Path("/dev/zero"):
        shutil.rmtree(linked.parent / "root", ignore_errors=True)
        (linked / "other.txt").unlink(missing_ok=True)
        (linked / "other.txt").symlink_to(target)
        with pytest.raises(
            UserError, match=lost if target.name == "none" else r"source/other\.txt: a link or a special file"
        ):
            copy(linked, only_files(".txt"))
    (linked / "other.txt").unlink()
    in_cache = (linked / "top/a.txt").resolve()
    in_cache.unlink()
    in_cache.symlink_to("/etc/passwd")
    with pytest.raises(UserError, match=r"top/a\.txt: a link or a special file"):
        copy(linked, only_files(".txt"))


@pytest.mark.parametrize("name", ["file", "pipe", "folder"])
def test_a_file_that_becomes_something_else_before_it_is_opened(tmp_path, monkeypatch, name):
    """The file that is read is the one that was checked."""
    source = tiny.write_folder(tmp_path / "source", {"top/a.txt": b"1"})
    tiny.write_folder(tmp_path / "elsewhere", {"a.txt": b"secret"})
    file = source / "top/a.txt"

    def replace() -> None:
        file.unlink()
        if name == "file":
            file.symlink_to(tmp_path / "elsewhere/a.txt")
        elif name == "pipe":
            os.mkfifo(file)
        else:
            file.parent.rmdir()
            file.parent.symlink_to(tmp_path / "elsewhere")

    plain = PlainFiles(source)
    real = plain.find(file)
    monkeypatch.setattr(plain, "find", lambda path: (replace(), real)[1])
    with pytest.raises((UserError, OSError), match=r"a link or a special file|symbolic links"):
        plain.open(file)


def only_files(*suffixes: str) -> archive.Place:
    return lambda name: Path(name) if name.endswith(suffixes) else None


def test_files_of_a_folder_are_copies(tmp_path):
    """Whoever changes or protects a file of the output does not change the user's own."""
    source = tiny.write_folder(tmp_path / "source", FILES)
    before = (source / "top/a.txt").stat()
    copy(source)
    (tmp_path / "root/top/a.txt").write_bytes(b"changed")
    (tmp_path / "root/top/a.txt").chmod(0o400)
    after = (source / "top/a.txt").stat()
    assert (after.st_nlink, after.st_mode, after.st_mtime_ns) == (1, before.st_mode, before.st_mtime_ns)
    assert tiny.contents(source) == FILES


@pytest.mark.parametrize("suffix", WRITERS)
def test_archives_of_a_folder_are_unpacked_in_their_place(tmp_path, suffix):
    """As the files of Cityscapes and IDD, one archive for the images and one for the labels, or one for each part."""
    source = tiny.write_folder(
        tmp_path / "source", {"plain/c.txt": b"3", ".hidden.zip": b"PK\3\4", "deep/ignored.zip": b"PK\3\4"}
    )
    WRITERS[suffix](source / f"first{suffix}", {"images/a.txt": b"1"})
    WRITERS[suffix](source / f"deep/second{suffix}", {"labels/b.txt": b"2"})
    (source / f"first{suffix}").rename(source / "any name")
    (source / "plain.tar").unlink(missing_ok=True)
    (source / "deep/plain.tar").unlink(missing_ok=True)
    assert copy(source, only_files(".txt")) == {"images/a.txt": b"1", "deep/labels/b.txt": b"2", "plain/c.txt": b"3"}


def test_a_file_with_a_place_is_not_unpacked(tmp_path):
    (tmp_path / "source").mkdir()
    packed = tiny.write_zip(tmp_path / "source/x.zip", {"a.txt": b"1"}).read_bytes()
    assert copy(tmp_path / "source") == {"x.zip": packed}


@pytest.mark.parametrize(
    "data", [gzip.compress(b'{"a": 1}', mtime=0), lzma.compress(b""), b"Rar!\x1a\x07", b"BZ", b"", bytes(999)]
)
def test_other_files_of_a_folder_are_no_archives(tmp_path, data):
    source = tiny.write_folder(tmp_path / "source", {"x": data, "a.txt": b"1"})
    assert copy(source, only_files(".txt")) == {"a.txt": b"1"}


def test_errors_name_the_archive_in_the_folder(tmp_path):
    def refuse(name: str) -> Path | None:
        if name == "c":
            raise UserError("c: a second file")
        return None

    (tmp_path / "source").mkdir()
    source = write_tar(tmp_path / "source/damaged.gz", FILES).parent
    (source / "plain.tar").unlink()
    (source / "damaged.gz").write_bytes((source / "damaged.gz").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"source/damaged\.gz: corrupt or truncated archive"):
        copy(source, only_files(".txt"))
    (source / "damaged.gz").unlink()
    path = tiny.write_tar(source / "x.tar", FILES)
    with pytest.raises(UserError, match=r"source/x\.tar: refused: more than 2 members"):
        copy(source, lambda name: None, Limits(members=2))
    with pytest.raises(UserError) as error:
        copy(source, refuse)
    assert str(error.value) == f"c: a second file (it is in {path})"
