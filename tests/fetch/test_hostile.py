"""Hostile archives and pictures: each gives a result or a message, within limits, and nothing else."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks import mutations
from segcore.fetch import archive
from segcore.fetch.bring import bring
from segcore.fetch.check import check
from segcore.fetch.layouts import LayoutMapper, Seen
from segcore.fetch.members import Limits
from segcore.fetch.source import FetchParams
from segcore.files import images
from segcore.files.description import SETS
from segcore.runtime.errors import UserError
from tests.support import tiny
from tests.support.idd_lite import DESCRIPTION
from tests.support.running import ROOT

pytestmark = pytest.mark.slow

SMALL = Limits(members=200, total=1 << 20)
REPEATABLE = {"derandomize": True, "database": None, "deadline": None}
FRAME = "leftImg8bit/train/a/000001_image.jpg"
LABEL = "found/0/train/a/000001.png"

_mapper = LayoutMapper(DESCRIPTION, "the source")
PLACED = {str(_mapper.place(path)): data for path, data in tiny.published().items()}

seeds = st.integers(0, 2**32)
letters = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)  # surrogates and NUL, too
names = st.sampled_from(mutations.NAMES) | letters | st.lists(letters | st.just(".."), max_size=20).map("/".join)
entries = st.lists(st.tuples(names, st.sampled_from(mutations.KINDS), st.binary(max_size=600), names), max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a test, with canaries beside and below the place of the output."""
    folder = tmp_path_factory.mktemp("hostile") / "workspace"
    tiny.write_folder(folder.parent, {"canary": b"1", "workspace/canary": b"2", "workspace/data/raw/old": b"3"})
    return folder


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return all that is in and beside the folder: files with their content, all else with ``None``."""
    files = {path.relative_to(folder.parent).as_posix(): path for path in folder.parent.rglob("*")}
    plain = {name: path.is_file() and not path.is_symlink() for name, path in files.items()}
    return {name: path.read_bytes() if plain[name] else None for name, path in files.items()}


def fetched(folder: Path, name: str, data: bytes) -> bool:
    """Run the stage in ``folder`` on an archive: whatever is in it, only data/raw may change, and only as a whole."""
    (folder / name).write_bytes(data)
    before = snapshot(folder)
    section = FetchParams(dataset=str(ROOT / SETS / "idd_lite.yaml"), source=name)
    with contextlib.chdir(folder):
        try:
            bring(section, DESCRIPTION, SMALL)
        except (UserError, OSError):
            assert snapshot(folder) == before
            return False
    after = snapshot(folder)
    assert elsewhere(after) == elsewhere(before)
    raw = {name: data for name, data in after.items() if name.startswith("workspace/data/raw/") and data is not None}
    assert raw.pop("workspace/data/raw/dataset.json")
    assert 0 < sum(map(len, raw.values())) <= SMALL.total
    return True


def elsewhere(files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    return {name: data for name, data in files.items() if not name.startswith("workspace/data/raw/")}


# Archives


def test_damaged_archives_of_every_kind(folder):
    seen = set()

    @settings(max_examples=100, **REPEATABLE)
    @given(seeds)
    def run(seed):
        seen.add(fetched(folder, *mutations.hostile_archive(Random(seed), tiny.published())))

    run()
    assert seen == {True, False}  # both archives that are refused and ones that are not


@settings(max_examples=80, **REPEATABLE)
@given(entries)
def test_tars_of_any_members(folder, entries):
    packed = b""
    for name, kind, data, target in entries:
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = bytes([kind]), len(data), target
        packed += info.tobuf(tarfile.GNU_FORMAT, errors="surrogatepass") + data + bytes(-len(data) % 512)
    for compress in (bytes, gzip.compress, bz2.compress, lzma.compress):
        unpacked(folder, compress(packed))


@settings(max_examples=80, **REPEATABLE)
@given(entries)
def test_zips_of_any_members(folder, entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out, warnings.catch_warnings(action="ignore"):  # of names that come twice
        for name, kind, data, _ in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name.encode("utf-8", "replace").decode()
            info.create_system = kind % 15
            info.external_attr = (kind & 15) << 28
            out.writestr(info, data)
    unpacked(folder, buffer.getvalue())


@settings(max_examples=100, **REPEATABLE)
@given(
    st.sampled_from([b"", b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08\0", b"BZh9", b"\xfd7zXZ\0"]), st.binary(max_size=2000)
)
def test_bytes_that_are_no_archive(folder, magic, data):
    assert not unpacked(folder, magic + data) or not data.strip(b"\0")


def unpacked(folder: Path, data: bytes) -> bool:
    """Unpack an archive, all of it, to ``out`` below the folder, where all that is new has to be.

    Then unpack it again as a file in a folder.
    """

    def inside(name: str) -> Path | None:
        return Path("in", name) if name != "x" else None

    tiny.write_folder(folder, {"x": data, "in/x": data})
    before = snapshot(folder)
    with contextlib.suppress(UserError, OSError):
        archive.unpack(folder / "x", folder / "out", Path, Limits())
    with contextlib.suppress(UserError, OSError):
        archive.copy_folder(folder / "in", folder / "out", inside, Limits(), lambda path: False)
    after = snapshot(folder)
    new = after.keys() - before.keys()
    assert {name: after[name] for name in before} == before
    assert all(name == "workspace/out" or name.startswith("workspace/out/") for name in new)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    shutil.rmtree(folder / "out", ignore_errors=True)
    return bool(new)


# Pictures


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width: int, height: int, bits: int, colour: int, extra: bytes = b"", data: bytes = bytes(2000)) -> bytes:
    """A PNG with this header, whether such a one makes sense or not; ``extra`` chunks come before the data."""
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def damaged(seed: int) -> bytes:
    """A small picture, with some mutations."""
    random = Random(seed)
    data = random.choice((tiny.png(tiny.ids()), tiny.palette_png(tiny.ids()), tiny.jpeg(), progressive(1)))
    return mutations.mended_png(mutations.mutate(random, data))


def progressive(scans: int) -> bytes:
    """A progressive JPEG, its last scan repeated until it is there so many times."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rindex(b"\xff\xc4") : -2]
    return data[:-2] + last * (scans - 1) + data[-2:]


kinds = st.sampled_from(
    [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"gAMA"]
)
extras = st.lists(st.builds(chunk, kinds, st.binary(max_size=40)), max_size=3).map(b"".join)
sizes = st.sampled_from([0, 1, 6, 8, 5000, 60_000, 2**31 - 1, 2**32 - 1])
pngs = st.builds(raw_png, sizes, sizes, st.sampled_from([0, 1, 2, 4, 8, 16, 255]), st.integers(0, 7), extras)


@pytest.mark.filterwarnings("ignore:Invalid APNG")
@settings(max_examples=250, **REPEATABLE)
@given(seeds.map(damaged) | pngs | st.binary(max_size=200))
def test_pictures_of_any_bytes(folder, data):
    (folder / "picture").write_bytes(data)
    (folder / "picture.png").write_bytes(data)
    with contextlib.suppress(UserError):
        assert images.read_labels(folder / "picture", (8, 6), 7).shape == (6, 8)
    for name in ("picture", "picture.png"):
        with contextlib.suppress(UserError):
            assert images.read_image(folder / name).mode == "RGB"


@settings(max_examples=60, **REPEATABLE)
@given(seeds.map(damaged) | pngs, st.sampled_from([FRAME, LABEL]))
def test_the_check_of_a_data_set_with_any_picture(folder, data, name):
    raw = tiny.write_folder(folder / "checked", PLACED | {name: data})
    with contextlib.suppress(UserError):
        check(raw, "the source", Seen(), DESCRIPTION)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (raw_png(60_000, 60_000, 8, 0), "decompression bomb"),
        (raw_png(4000, 4001, 8, 0), "4000×4001 pixels; at most 16,000,000 in all were expected"),
        (raw_png(8, 6, 8, 0, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000)))), "unreadable ("),
        (raw_png(8, 6, 8, 4), "grey of 8 bits was expected; it is stored as LA"),
        (raw_png(8, 6, 16, 0), "it is stored as I;16"),
        (tiny.jpeg(), "not a PNG picture"),
    ],
)
def test_a_label_that_is_refused(tmp_path, data, reason):
    (tmp_path / "label.png").write_bytes(data)
    with pytest.raises(UserError) as caught:
        images.read_labels(tmp_path / "label.png", (8, 6), 7)
    assert reason in str(caught.value)


def test_a_jpeg_with_too_many_scans(tmp_path):
    scans = progressive(1).count(b"\xff\xda")
    (tmp_path / "most.jpg").write_bytes(progressive(1 + images.MAX_SCANS - scans))
    assert images.read_image(tmp_path / "most.jpg").size == (8, 6)
    (tmp_path / "more.jpg").write_bytes(progressive(2 + images.MAX_SCANS - scans))
    with pytest.raises(UserError, match="more than 32 scans"):
        images.read_image(tmp_path / "more.jpg")


def test_a_picture_of_too_many_bytes_is_not_read(tmp_path):
    (tmp_path / "picture").touch()
    os.truncate(tmp_path / "picture", images.MAX_BYTES + 1)
    with pytest.raises(UserError, match="more than 67,108,864 bytes"):
        images.read_image(tmp_path / "picture")


def test_the_soak_runs_and_finds_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hostile", "--count", "20"],
        cwd=ROOT, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted" in done.stdout and "bytes on disk (limit 1,048,576)" in done.stdout
