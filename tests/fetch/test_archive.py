import io
import random
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from segcore.fetch import archive
from segcore.fetch.members import MAX_FILE, Limits
from segcore.files.description import Split, Splits
from segcore.runtime.errors import UserError
from tests.support import tiny
from tests.support.archives import FILES, WRITERS, write_tar
from tests.support.idd_lite import DESCRIPTION

LIMITS = Limits()


def unpack(path: Path, place: archive.Place = Path, limits: Limits = LIMITS) -> dict[str, bytes]:
    root = path.parent / "root"
    archive.unpack(path, root, place, limits)
    return tiny.contents(root)


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(UserError) as error:
        unpack(path, limits=limits)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value).removeprefix(f"{path}: ")


@pytest.fixture(params=WRITERS)
def suffix(request):
    return request.param


def test_unpacks_every_kind(tmp_path, suffix):
    assert unpack(WRITERS[suffix](tmp_path / f"x{suffix}", FILES)) == FILES


def test_the_kind_is_recognised_by_content(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"x{suffix}", FILES).rename(tmp_path / "x.dat")
    assert unpack(tmp_path / "x.dat") == FILES


def test_files_without_a_place_are_skipped(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"x{suffix}", FILES)
    assert unpack(path, lambda name: Path("kept") if name == "top/a.txt" else None) == {"kept": b"first"}


def test_leading_dots_folders_and_long_names(tmp_path):
    long = "n" * 150 + "é"
    folder = tiny.tar_member("./top/", tarfile.DIRTYPE)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / f"{form}.tar", "w", format=form) as tar:
            tar.addfile(folder)
            tar.addfile(folder)  # a folder may come again: tar writes it so when an archive is appended to
            tar.addfile(tiny.tar_member(f"./top/./{long}"))
        assert unpack(tmp_path / f"{form}.tar") == {f"top/{long}": b""}
        (tmp_path / "root/top" / long).unlink()


def test_permissions_and_times_are_not_the_archives(tmp_path):
    info = tiny.tar_member("a")
    info.mode, info.mtime, info.uid = 0o4777, 1, 12345
    unpack(tiny.write_tar(tmp_path / "x.tar", {}, (info,)))
    (tmp_path / "plain").touch()
    found, plain = (tmp_path / "root/a").stat(), (tmp_path / "plain").stat()
    assert (found.st_mode, found.st_uid) == (plain.st_mode, plain.st_uid)
    assert found.st_mtime > 1


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (tiny.tar_member("/etc/x"), "'/etc/x': an absolute path"),
        (tiny.tar_member("a/../../x"), "'a/../../x': an absolute path, or a path with `..`"),
        (tiny.tar_member("link", tarfile.SYMTYPE, "/etc"), "'link': a link, a device or another special file"),
        (tiny.tar_member("device", tarfile.CHRTYPE), "'device': a link, a device"),
        (tiny.tar_member("device", tarfile.BLKTYPE), "'device': a link, a device"),
        (tiny.tar_member("pipe", tarfile.FIFOTYPE), "'pipe': a link, a device"),
        (tiny.tar_member("volume", b"V"), "'volume': a link, a device"),
    ],
)
def test_hostile_members_of_a_tar(tmp_path, member, reason):
    message = refusal(tiny.write_tar(tmp_path / "x.tar.gz", FILES, (member,)))
    assert message.startswith("refused: ")
    assert reason in message


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (tiny.zip_member("/etc/x"), "'/etc/x': an absolute path"),
        (tiny.zip_member("../x"), "'../x': an absolute path, or a path with `..`"),
        (tiny.zip_member("link", stat.S_IFLNK | 0o777), "'link': a link, a device or another special file"),
        (tiny.zip_member("device", stat.S_IFCHR | 0o600), "'device': a link, a device"),
    ],
)
def test_hostile_members_of_a_zip(tmp_path, member, reason):
    message = refusal(tiny.write_zip(tmp_path / "x.zip", FILES, (member,)))
    assert message.startswith("refused: ")
    assert reason in message


def test_an_encrypted_zip(tmp_path):
    path = tiny.write_zip(tmp_path / "x.zip", {"a": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "'a': encrypted, or compressed" in refusal(path)


def test_a_zip_with_a_rare_compression(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as out:
        out.writestr("a", b"1")
    assert "'a': encrypted, or compressed by a method other than deflate" in refusal(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("enough", "less", "reason"),
    [
        (Limits(members=3), Limits(members=2), "more than 2 members"),
        (
            Limits(total=76_805),
            Limits(total=76_804),
            "more than 76,804 bytes unpacked, a limit that `splits.*.frames` and `size` of the description raise; get",
        ),
    ],
)
def test_limits(tmp_path, suffix, enough, less, reason):
    path = WRITERS[suffix](tmp_path / f"x{suffix}", FILES)
    assert unpack(path, lambda name: Path("enough", name), enough)
    assert reason in refusal(path, less)


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_the_largest_file(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"x{suffix}", {"large": bytes(MAX_FILE)})
    assert unpack(path)["large"] == bytes(MAX_FILE)
    path = WRITERS[suffix](tmp_path / f"y{suffix}", {"large": bytes(MAX_FILE + 1)})
    assert "'large': a file of more than 67,108,864 bytes" in refusal(path)


def test_the_limits_of_a_description():
    published = DESCRIPTION.splits.model_copy(update={"train": Split(frames=14_000), "val": Split(frames=2_000)})
    large = DESCRIPTION.model_copy(update={"size": (1920, 1080), "splits": published})
    assert Limits.of(DESCRIPTION) == Limits() == (100_000, 4 << 30)  # IDD-Lite is small
    assert Limits.of(large) == (164_040, 16_404 * 1920 * 1080 * 4)
    assert Limits.of(large.model_copy(update={"size": None})) == (164_040, 4 << 30)
    assert Limits.of(large.model_copy(update={"splits": Splits()})) == Limits()


def test_a_zip_that_lies_about_its_sizes(tmp_path):
    path = tiny.write_zip(tmp_path / "x.zip", {"a": bytes(100_000)})
    path.write_bytes(path.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "corrupt or truncated archive" in refusal(path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip"])
def test_memory_does_not_grow_with_a_file(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"x{suffix}", {"zeros": bytes(30_000_000)})
    tracemalloc.start()
    archive.unpack(path, tmp_path / "root", Path, LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (12_000_000 if suffix == ".tar.xz" else 3_000_000)  # the dictionary of xz has 8 MiB


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_would_fill_the_memory(tmp_path, kind):
    header = tiny.tar_member("././@LongLink", kind)
    header.size = MAX_FILE + 1
    (tmp_path / "x.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "a file of more than 67,108,864 bytes" in refusal(tmp_path / "x.tar")


def test_a_sparse_file(tmp_path):
    # One byte of data that claims to be 1 TB, by the map of GNU tar 1.13 to 1.27 in a pax header.
    info = tiny.tar_member("sparse")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40), "GNU.sparse.name": "sparse"}
    path = tiny.write_tar(tmp_path / "x.tar", {}, (info,))
    assert "'sparse': a link, a device or another special file" in refusal(path)


def test_truncation_at_any_point(tmp_path, suffix):
    whole = WRITERS[suffix](tmp_path / f"x{suffix}", FILES).read_bytes()
    end = len(whole.rstrip(b"\0"))  # a tar ends with zeros, which hold nothing
    random.seed(0)
    for length in {0, 1, 3, 511, 512, 513, end - 1, *random.sample(range(end), 30)}:
        path = tmp_path / f"cut-{length}{suffix}"
        path.write_bytes(whole[: min(length, end - 1)])
        with pytest.raises(UserError, match="corrupt or truncated archive"):
            archive.unpack(path, tmp_path / f"root-{length}", Path, LIMITS)


def test_a_damaged_header_in_the_middle_is_not_the_end(tmp_path):
    data = bytearray(tiny.write_tar(tmp_path / "x.tar", FILES).read_bytes())
    data[data.index(b"top/deep/b.bin")] ^= 1
    (tmp_path / "x.tar").write_bytes(data)
    assert "corrupt or truncated archive (bad checksum); download it again" in refusal(tmp_path / "x.tar")


def test_the_checksum_of_gzip_is_compared(tmp_path):
    path = tiny.write_tar(tmp_path / "x.tar.gz", FILES)
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    assert "corrupt or truncated archive (CRC check failed" in refusal(path)


def test_random_damage_is_only_ever_a_user_error(tmp_path, suffix):
    whole = WRITERS[suffix](tmp_path / f"x{suffix}", FILES).read_bytes()
    random.seed(1)
    path = tmp_path / f"damaged{suffix}"
    refused = 0
    for trial in range(60):
        data = bytearray(whole)
        for _ in range(5):
            data[random.randrange(len(data))] = random.randrange(256)
        path.write_bytes(data)
        try:
            archive.unpack(path, tmp_path / str(trial), Path, LIMITS)
        except UserError:
            refused += 1
    assert refused > 0


def test_a_very_long_path_is_refused(tmp_path):
    assert unpack(write_tar(tmp_path / "x.tar", {"n" * 4096: b""}), lambda name: Path(str(len(name)))) == {"4096": b""}
    assert "nnn'…: a path of more than 4,096 characters" in refusal(write_tar(tmp_path / "x.tar", {"n" * 4097: b""}))


def test_a_failing_disk_is_not_called_a_damaged_archive(tmp_path):
    (tmp_path / "root").write_text("a file where a folder should be")
    with pytest.raises(OSError):
        archive.unpack(tiny.write_tar(tmp_path / "x.tar", FILES), tmp_path / "root", Path, LIMITS)


def test_a_zip_inside_a_tar_is_one_of_its_files(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as inner:
        inner.writestr("inner.txt", b"1")
    assert list(unpack(tiny.write_tar(tmp_path / "x.tar", {"inner.zip": buffer.getvalue()}))) == ["inner.zip"]
