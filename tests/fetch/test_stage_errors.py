"""Errors of the stage: each says what to do, and leaves the old data/raw as it is."""

import hashlib
import stat
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from segcore.runtime.errors import UserError
from stages.fetch import main
from tests.support import tiny
from tests.support.fetching import IDD_LITE, archived, described, fetch_with, full
from tests.support.running import assert_fails

pytestmark = pytest.mark.slow

LINK = stat.S_IFLNK | 0o777


@pytest.fixture
def expect_error(tmp_path, monkeypatch):
    """Run the stage where there is an old data/raw; it must say each of the texts, and change nothing in data/.

    With a ``file_limit`` it runs as a process.
    """
    monkeypatch.chdir(tmp_path)
    old = {"raw/leftImg8bit/train/9/000009_image.jpg": b"an old frame", "raw/other": b"and more"}
    tiny.write_folder(tmp_path / "data", old)

    def run(*texts, section=None, source=None, sha256=None, file_limit=None):
        section = section or {"dataset": IDD_LITE, "source": str(source), "sha256": sha256}
        if file_limit:
            done = fetch_with(tmp_path, section, file_limit=file_limit)
            assert_fails(done, "error: ")
            said = done.stderr
        else:
            Path("params.yaml").write_text(yaml.safe_dump({"fetch": section}))
            with pytest.raises(UserError) as caught:
                main()
            said = str(caught.value)
        for text in texts:
            assert text in said
        assert tiny.contents(tmp_path / "data") == old
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]
        return said

    return run


# Errors in params.yaml and in the source as a whole


@pytest.mark.parametrize(
    ("section", "texts"),
    [
        ({"sorce": "x", "source": "x"}, ["params.yaml: fetch.sorce: unknown parameter", "fetch.dataset: missing"]),
        ({"source": "x", "dataset": ""}, ["params.yaml: fetch.dataset: "]),
        ({"source": 3}, ["params.yaml: fetch.source: ", "string", "it is 3"]),
        ({"source": ""}, ["params.yaml: fetch.source: "]),
        ({"source": "x", "sha256": "12ab"}, ["params.yaml: fetch.sha256: ", "it is '12ab'"]),
        ({"sha256": None}, ["params.yaml: fetch.source: missing"]),
    ],
)
def test_wrong_parameters(expect_error, section, texts):
    expect_error(*texts, section=section)


def test_a_missing_description(expect_error):
    section = {"dataset": "data/sets/no.yaml", "source": str(tiny.SAMPLE)}
    expect_error("fetch.dataset: data/sets/no.yaml: the description of a data set was expected", section=section)


def test_a_missing_description_says_which_there_are(expect_error, tmp_path):
    section = {"dataset": "sets", "source": str(tiny.SAMPLE)}
    (tmp_path / "sets").mkdir()
    expect_error("fetch.dataset: sets: the desc", "data/sets has no descriptions", section=section)


def test_a_wrong_description(expect_error, tmp_path):
    path = described(tmp_path, layouts=[{"images": "{split}/{frame}.gif", "labels": "{split}/{frame}.png"}])
    expect_error("full.yaml: layouts.0: images: a pattern that ends in", section={"dataset": path, "source": "x"})


def test_a_data_set_that_a_different_description_reads(expect_error, tmp_path):
    path = described(tmp_path)
    (tmp_path / "sets/lite.yaml").write_bytes(Path(IDD_LITE).read_bytes())
    section = {"dataset": str(tmp_path / "sets/lite.yaml")}
    source = tiny.write_tar(tmp_path / "x.tar", full())
    expect_error(f"; set fetch.dataset to {path}, which reads such names", section=section | {"source": str(source)})


def test_an_archive_beside_its_unpacked_files(expect_error, tmp_path):
    archived(tiny.write_folder(tmp_path / "source", tiny.under("idd20k_lite", tiny.published())), {})
    said = expect_error("1_image.jpg: a second file for the frame of idd20k_lite/leftImg8bit/", source="source")
    assert "; remove one of them (it is in source/x.tar.gz)" in said


def test_a_missing_source(expect_error):
    expect_error("no/such.tar.gz does not exist", "make data ARCHIVE=", "data/sample.tar.gz", source="no/such.tar.gz")


def test_a_url_as_source_shows_no_secret(expect_error):
    said = expect_error(
        "a path was expected", "make data URL=https://host.org:8443/idd/idd-lite.tar.gz\n",
        "fetch.source=data/idd-lite.tar.gz", source="https://me:word@host.org:8443/idd/idd-lite.tar.gz?token=abc#def",
    )  # fmt: skip
    assert not any(secret in said for secret in ("me:", "word", "abc", "def"))


def test_a_source_of_an_unknown_kind(expect_error, tmp_path):
    (tmp_path / "x.rar").write_bytes(b"Rar!\x1a\x07\x01\0")
    expect_error("x.rar: a RAR archive, and not a tar or a ZIP; unpack it, and set fetch.source to the", source="x.rar")


def test_a_source_that_is_neither_file_nor_folder(expect_error):
    expect_error("fetch.source: /dev/zero: an archive or a folder was expected", source="/dev/zero")


def test_a_wrong_checksum(expect_error, tmp_path):
    source = archived(tmp_path, {})
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    expect_error("x.tar.gz", f"expected {'0' * 64}, found {found}", source=source, sha256="0" * 64)


def test_a_checksum_of_a_folder(expect_error, tmp_path):
    tiny.write_folder(tmp_path / "source", tiny.published())
    expect_error("fetch.sha256: it pins an archive, and source is a folder", source="source", sha256="0" * 64)


def test_a_truncated_archive(expect_error, tmp_path):
    source = archived(tmp_path, {})
    source.write_bytes(source.read_bytes()[:-100])
    expect_error("x.tar.gz: corrupt or truncated archive (", "download it again", source=source)


def test_a_corrupt_archive(expect_error, tmp_path):
    source = archived(tmp_path, {})
    data = bytearray(source.read_bytes())
    data[len(data) // 2] ^= 0xFF
    source.write_bytes(data)
    expect_error("x.tar.gz: corrupt or truncated archive (", "download it again", source=source)


def test_an_archive_without_idd_lite(expect_error, tmp_path):
    source = tiny.write_zip(tmp_path / "x.zip", {"photos/sea.jpg": tiny.jpeg(), "notes.txt": b""})
    expect_error("x.zip: no IDD-Lite in it; leftImg8bit/{split}", "it has: notes.txt, photos/sea.jpg", source=source)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (tiny.tar_member("/tmp/x_image.jpg"), "an absolute path"),
        (tiny.tar_member("idd20k_lite/../../x_image.jpg"), "a path with `..`"),
        (tiny.tar_member("idd20k_lite/leftImg8bit/test/d/1_image.jpg", tarfile.SYMTYPE, "/etc/passwd"), "a link"),
        (tiny.tar_member("idd20k_lite/leftImg8bit/test/d/1_image.jpg", tarfile.LNKTYPE, "/etc/passwd"), "an absolute"),
        (tiny.tar_member("idd20k_lite/device", tarfile.CHRTYPE), "a device"),
        (tiny.zip_member("/tmp/x_image.jpg"), "an absolute path"),
        (tiny.zip_member("../x_image.jpg"), "a path with `..`"),
        (tiny.zip_member("leftImg8bit/test/d/1_image.jpg", LINK), "a link"),
    ],
)
def test_hostile_archives(expect_error, tmp_path, member, reason):
    if isinstance(member, tarfile.TarInfo):
        source = tiny.write_tar(tmp_path / "x.tar.gz", tiny.published(), (member,))
    else:
        source = tiny.write_zip(tmp_path / "x.zip", tiny.published(), (member,))
    before = {path.name for path in tmp_path.parent.iterdir()}
    expect_error(f"{source.name}: refused: ", reason, source=source)
    assert {path.name for path in tmp_path.parent.iterdir()} == before


def test_a_link_in_a_folder(expect_error, tmp_path):
    source = tiny.write_folder(tmp_path / "source", tiny.published())
    (source / "leftImg8bit/test/d/000006_image.jpg").symlink_to("/etc/passwd")
    expect_error("000006_image.jpg: a link or a special file", "cp -rL", source=source)


def test_a_full_disk(expect_error, tmp_path):
    large = {"leftImg8bit/test/d/000006_image.jpg": tiny.jpeg(size=(200, 200))}
    source = archived(tmp_path, large)
    said = expect_error("File too large", source=source, file_limit=4096)
    assert "corrupt" not in said


# Errors in the data set

FRAME = "leftImg8bit/train/a/000001_image.jpg"
LABEL = "gtFine/train/a/000001_label.png"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({LABEL: None}, f"{FRAME}: no label; gtFine/{{split}}/{{drive}}/{{frame}}_label.png was expected"),
        ({FRAME: None}, f"{LABEL}: no frame for this label"),
        ({FRAME: tiny.jpeg()[:-20]}, f"{FRAME}: unreadable (image file is truncated"),
        ({FRAME: b"\xff\xd8\xff" + bytes(100)}, f"{FRAME}: "),
        (
            {LABEL: tiny.png(np.full((6, 8), 7, np.uint8))},
            f"{LABEL}: ids that the description (fetch.dataset) does not know: 7",
        ),
        ({LABEL: tiny.png(np.zeros((6, 8, 3), np.uint8))}, f"{LABEL}: a colour mask and not ids (its mode is RGB); s"),
        ({LABEL: tiny.png(np.zeros((6, 8), np.uint16))}, f"{LABEL}: one channel of 8 bits was expected; its mode is I"),
        ({LABEL: tiny.png(tiny.ids(size=(6, 8)))}, f"{LABEL}: 6×8 pixels; its frame has 8×6"),
        ({FRAME: tiny.jpeg(mode="CMYK")}, f"{FRAME}: RGB or grey of 8 bits was expected; its mode is CMYK"),
        ({"leftImg8bit/val/c/000004_image.jpg": None, "gtFine/val/c/000004_label.png": None}, "val: no frames"),
        ({"leftImg8bit/test/c/000006_image.jpg": tiny.jpeg()}, "drive c: in test and val; the splits must share no"),
    ],
)
def test_a_problem_in_the_data_set(expect_error, tmp_path, changes, text):
    said = expect_error(text, source=archived(tmp_path, changes))
    assert "x.tar.gz: 1 problem in the data set" in said


def test_names_of_a_different_data_set_in_folders_that_fit(expect_error, tmp_path):
    """A pattern that is as wide as images/SPLIT/DRIVE/FRAME.jpg takes them, but no frame has a label."""
    ends = {"_image.jpg": "_leftImg8bit.jpg", "_label.png": "_gtFine_labellevel1Ids.png"}
    files = {name.replace("_image.jpg", ends["_image.jpg"]): data for name, data in tiny.older().items()}
    files = {name.replace("_label.png", ends["_label.png"]): data for name, data in files.items()}
    tiny.write_folder(tmp_path / "source", files)
    expect_error("  4 of 4 frames have no label", "  4 of 4 labels have no frame", source="source")


def test_a_problem_of_many_files_takes_one_line(expect_error, tmp_path):
    lonely = {f"gtFine/train/a/{number:06}_label.png": tiny.png(tiny.ids()) for number in range(100, 125)}
    line = "  25 of 29 labels have no frame; the first: idd20k_lite/gtFine/train/a/000100_label.png"
    said = expect_error("25 problems in the data set", line, source=archived(tmp_path, lonely))
    assert len(said.splitlines()) == 2
