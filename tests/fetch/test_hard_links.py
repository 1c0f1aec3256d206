"""A hard link in a tar is the earlier file that it names, and nothing else."""

import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from segcore.fetch import archive
from segcore.fetch.members import Limits
from segcore.runtime.errors import UserError
from tests.support import tiny

LIMITS = Limits()
LABELS = {f"gtFine/train/0/{number}_inst_label.png": bytes([number]) * 1000 for number in range(5)}


def write(path: Path, *entries: tuple[str, bytes | str]) -> Path:
    """Write a tar of files, each a name with its content, and hard links, each a name with its target."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.LNKTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def unpack(path: Path, place: archive.Place = Path, limits: Limits = LIMITS) -> dict[str, bytes]:
    root = path.parent / "root"
    archive.unpack(path, root, place, limits)
    assert all(file.stat().st_nlink == 1 for file in root.rglob("*") if file.is_file())
    return tiny.contents(root)


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(UserError) as error:
        unpack(path, limits=limits)
    return str(error.value)


def only(*names: str) -> archive.Place:
    return lambda name: Path(name) if name in names else None


def test_a_link_is_a_copy(tmp_path):
    assert unpack(write(tmp_path / "x", ("d/a", b"one"), ("b", b""), ("d/c", "d/a"), ("e", "b"))) == {
        "d/a": b"one", "b": b"", "d/c": b"one", "e": b""
    }  # fmt: skip


def test_names_are_compared_as_paths(tmp_path):
    assert unpack(write(tmp_path / "x", ("./d/a", b"one"), ("b", "d//./a"), ("./c", "./b"))) == {
        "d/a": b"one", "b": b"one", "c": b"one"
    }  # fmt: skip


def test_a_link_to_a_link(tmp_path):
    assert unpack(write(tmp_path / "x", ("a", b"1"), ("b", "a"), ("c", "b")), only("c")) == {"c": b"1"}


@pytest.mark.parametrize("place", [Path, only("a", "b"), only("b"), only("b", "d"), only("d"), only("a"), only()])
def test_links_to_files_that_have_no_place(tmp_path, place):
    names = {"a": b"1", "b": b"1", "c": b"3", "d": b"1"}
    path = write(tmp_path / "x", ("a", b"1"), ("b", "a"), ("c", b"3"), ("d", "b"))
    assert unpack(path, place) == {name: data for name, data in names.items() if place(name)}


def test_labels_that_are_links_to_instance_labels(tmp_path):
    """As from tools that remove duplicates, if the instance labels come first."""
    links = {name.replace("_inst", ""): name for name in LABELS}
    expected = {name: LABELS[target] for name, target in links.items()}
    assert unpack(write(tmp_path / "x", *LABELS.items(), *links.items()), only(*links)) == expected


def test_a_link_is_to_the_last_file_of_that_name_before_it(tmp_path):
    path = write(tmp_path / "x", ("a", b"1"), ("b", "a"), ("a", b"2"), ("c", "a"), ("a", b"3"))
    assert unpack(path, only("b", "c")) == {"b": b"1", "c": b"2"}


def test_what_gnu_tar_writes(tmp_path):
    """tarfile makes a hard link where two names have one inode, as GNU tar does."""
    tiny.write_folder(tmp_path / "source", {"a": b"1"})
    (tmp_path / "source/b").hardlink_to(tmp_path / "source/a")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "source", ".")
        assert [member.name for member in tar.getmembers() if member.islnk()]
    assert unpack(tmp_path / "x.tar") == {"a": b"1", "b": b"1"}


@pytest.mark.parametrize("place", [Path, lambda name: None])
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("link", "'link': a link to 'link', which is no earlier file of the archive"),
        ("later", "'link': a link to 'later', which is no earlier file"),
        ("folder", "'link': a link to 'folder', which is no earlier file"),
        ("", "'link': a link to '', which is no earlier file"),
        ("/etc/passwd", "'/etc/passwd': an absolute path"),
        ("../canary", "'../canary': an absolute path, or a path with `..`"),
        ("folder/../earlier", "'folder/../earlier': an absolute path, or a path with `..`"),
    ],
)
def test_any_other_link_is_refused(tmp_path, target, reason, place):
    (tmp_path / "canary").write_text("outside")
    path = write(tmp_path / "x", ("folder/earlier", b"1"), ("earlier", b"1"), ("link", target), ("later", b"2"))
    with pytest.raises(UserError) as error:
        archive.unpack(path, tmp_path / "root", place, LIMITS)
    assert str(error.value).startswith(f"{path}: refused: ")
    assert reason in str(error.value)


def test_a_link_with_a_name_that_leads_outside_is_refused(tmp_path):
    assert "'../b': an absolute path, or a path with `..`" in refusal(write(tmp_path / "x", ("a", b"1"), ("../b", "a")))


def test_a_link_to_a_symbolic_link_is_refused(tmp_path):
    extra = (tiny.tar_member("a", tarfile.SYMTYPE, "/etc/passwd"), tiny.tar_member("b", tarfile.LNKTYPE, "a"))
    assert "'a': a link, a device or another special file" in refusal(tiny.write_tar(tmp_path / "x.tar", {}, extra))


@pytest.mark.parametrize("place", [Path, only(*(str(number) for number in range(9)))])
def test_links_count_as_bytes_unpacked(tmp_path, place):
    path = write(tmp_path / "x", ("a", bytes(1000)), *((str(number), "a") for number in range(9)))
    assert len(unpack(path, lambda name: place(name) and Path("enough", name), Limits(total=10_000))) >= 9
    assert "more than 9,999 bytes unpacked" in refusal(path, Limits(total=9_999))


def test_memory_does_not_grow_with_what_is_linked_to(tmp_path):
    path = write(tmp_path / "x", ("a", bytes(30_000_000)), ("b", "a"), ("c", "b"))
    tracemalloc.start()
    assert len(unpack_to(path, only("b", "c"))) == 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


def unpack_to(path: Path, place: archive.Place) -> list[Path]:
    archive.unpack(path, path.parent / "root", place, LIMITS)
    return [file for file in (path.parent / "root").iterdir() if file.stat().st_size == 30_000_000]
