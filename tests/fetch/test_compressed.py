"""Streams of gzip, bzip2 and xz, within limits, and the names of files that are no archive."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from segcore.fetch import archive
from segcore.fetch.members import Limits
from segcore.runtime.errors import UserError
from tests.support import tiny

LIMITS = Limits()
FILES = {"top/a.txt": b"first", "top/deep/b.bin": bytes(range(256)) * 300, "c": b""}
COMPRESS = (gzip.compress, lzma.compress, bz2.compress)


def packed(folder: Path, compress: Callable[[bytes], bytes]) -> Path:
    plain = tiny.write_tar(folder / "plain.tar", FILES).read_bytes()
    (folder / "x").write_bytes(compress(plain))
    return folder / "x"


def unpack(path: Path, place: archive.Place = Path, limits: Limits = LIMITS) -> dict[str, bytes]:
    root = path.parent / "root"
    archive.unpack(path, root, place, limits)
    return tiny.contents(root)


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(UserError) as error:
        unpack(path, limits=limits)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("compress", [bytes, *COMPRESS])
@pytest.mark.parametrize(
    ("data", "found", "remedy"),
    [
        (b"<html>Your download link has expired.</html>" * 100, "a web page", "log in to its site, and download"),
        (b"\n<!DOCTYPE html>", "a web page", "log in to its site, and download it again"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(900), "a 7z archive", "unpack it, and set fetch.source to the folder"),
        (b"Rar!\x1a\x07\x01\0" + bytes(9), "a RAR archive", "unpack it, and set fetch.source to the folder"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "run `git lfs pull"),
        (tiny.png(tiny.ids()), "a PNG", "set fetch.source to an archive or a folder"),
    ],
)
def test_a_file_that_is_no_archive_is_named(tmp_path, data, found, remedy, compress):
    (tmp_path / "x.tar.gz").write_bytes(compress(data))
    what = "and not a tar or a ZIP" if compress is bytes else "compressed, and not a tar"
    assert refusal(tmp_path / "x.tar.gz").startswith(f"{found}, {what}; {remedy}")


@pytest.mark.parametrize("compress", COMPRESS)
def test_a_compressed_zip_is_to_be_unpacked(tmp_path, compress):
    (tmp_path / "x.zip.gz").write_bytes(compress(tiny.write_zip(tmp_path / "x.zip", {"a": b""}).read_bytes()))
    assert refusal(tmp_path / "x.zip.gz").startswith("a ZIP archive, compressed, and not a tar; unpack it, and set")


@pytest.mark.parametrize("compress", [bytes, *COMPRESS])
@pytest.mark.parametrize(("data", "said"), [(b"anything", "("), (b"", "(empty ")])
def test_a_file_of_no_known_kind(tmp_path, data, said, compress):
    (tmp_path / "x.tar.gz").write_bytes(compress(data))
    assert refusal(tmp_path / "x.tar.gz").startswith(f"corrupt or truncated archive {said}")


@pytest.mark.parametrize("compress", COMPRESS)
def test_several_streams_in_one_file(tmp_path, compress):
    """As pigz, pbzip2 and `cat` make them."""
    plain = tiny.write_tar(tmp_path / "x.tar", FILES).read_bytes()
    (tmp_path / "x").write_bytes(b"".join(compress(plain[at : at + 999]) for at in range(0, len(plain), 999)))
    assert unpack(tmp_path / "x") == FILES


def test_padding_between_and_behind_streams_of_xz(tmp_path):
    plain = tiny.write_tar(tmp_path / "x.tar", FILES).read_bytes()
    padded = lzma.compress(plain[:5000]) + bytes(200_000) + lzma.compress(plain[5000:]) + bytes(8)
    (tmp_path / "x").write_bytes(padded)
    assert unpack(tmp_path / "x") == FILES


def test_xz_that_needs_much_memory_is_refused(tmp_path):
    plain = tiny.write_tar(tmp_path / "x.tar", FILES).read_bytes()
    for size, fits in [(64 << 20, True), (128 << 20, False)]:  # the first is that of `xz -9`
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": size}]
        (tmp_path / "x").write_bytes(lzma.compress(plain, filters=filters))
        if fits:
            assert unpack(tmp_path / "x") == FILES
        else:
            assert refusal(tmp_path / "x") == (
                "xz that needs more than 80 MiB of memory; unpack it, and set fetch.source to the folder"
            )


@pytest.mark.parametrize("compress", COMPRESS)
def test_zeros_without_end_behind_the_last_member(tmp_path, compress):
    path = packed(tmp_path, compress)
    path.write_bytes(path.read_bytes() + compress(bytes(5_000_000)))
    assert unpack(path, lambda name: Path("before", name))
    assert refusal(path, Limits(members=10, total=200_000)).startswith("refused: more than 200,000 bytes unpacked")
