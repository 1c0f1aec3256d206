import hashlib
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segcore.files.dataset import read_dataset
from segcore.files.description import SETS
from stages.fetch import FetchParams, without_secrets
from tests.support import tiny
from tests.support.idd_lite import DESCRIPTION, SAMPLE
from tests.support.running import ROOT, assert_fails, run_stage

pytestmark = pytest.mark.slow

IDD_LITE = str(ROOT / SETS / "idd_lite.yaml")
LINK = stat.S_IFLNK | 0o777


def fetch(cwd: Path, source: str | Path, sha256: str | None = None, **options) -> subprocess.CompletedProcess:
    """Run the stage for real in ``cwd``."""
    return fetch_with(cwd, {"dataset": IDD_LITE, "source": str(source), "sha256": sha256}, **options)


def fetch_with(cwd: Path, section: object, **options) -> subprocess.CompletedProcess:
    (cwd / "params.yaml").write_text(yaml.safe_dump({"fetch": section}))
    return run_stage("fetch", cwd, **options)


def fetched(cwd: Path) -> dict[str, bytes]:
    """Return the frames and labels, after a check that there is nothing else but dataset.json."""
    files = tiny.contents(cwd / "data")
    assert files.pop("raw/dataset.json")
    return {name.removeprefix("raw/"): data for name, data in files.items()}


@pytest.fixture
def expect_error(tmp_path):
    """Run the stage where there is an old data/raw; it must say each of the texts, and change nothing in data/."""
    old = {"raw/leftImg8bit/train/9/000009_image.jpg": b"an old frame", "raw/other": b"and more"}
    tiny.write_folder(tmp_path / "data", old)

    def run(*texts, section=None, **options):
        done = fetch(tmp_path, **options) if section is None else fetch_with(tmp_path, section, **options)
        assert done.stdout == ""
        for text in ("error: ", *texts):
            assert_fails(done, text)
        assert tiny.contents(tmp_path / "data") == old
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]
        return done.stderr

    return run


def archived(folder: Path, changes: Mapping[str, bytes | None]) -> Path:
    """An archive of the tiny data set with ``changes``; a change to ``None`` removes the file."""
    files = {name: data for name, data in {**tiny.published(), **changes}.items() if data is not None}
    return tiny.write_tar(folder / "x.tar.gz", tiny.under("idd20k_lite", files))


# What is read


@pytest.mark.parametrize(
    ("name", "write", "top"),
    [
        ("x.tar.gz", tiny.write_tar, "idd20k_lite"),
        ("x.tgz", tiny.write_tar, ""),
        ("x.tar", tiny.write_tar, "."),
        ("x.ZIP", tiny.write_zip, "another name/and one more"),
        ("x.zip", tiny.write_zip, ""),
        ("folder", tiny.write_folder, "idd20k_lite"),
        ("folder", tiny.write_folder, ""),
    ],
)
def test_each_kind_of_source_gives_the_same_files(tmp_path, name, write, top):
    junk = {
        "README": b"", "gtFine/train/a/000001_inst_label.png": b"no picture", "leftImg8bit/train/.DS_Store": b"",
    }  # fmt: skip
    files = tiny.published() | junk
    files = tiny.under(top, files) | {"__MACOSX/x/._000001_image.jpg": b""} if top else files
    done = fetch(tmp_path, write(tmp_path / name, files))
    assert done.returncode == 0, done.stderr
    assert fetched(tmp_path) == tiny.published()
    size = sum(len(data) for data in tiny.published().values()) / 1e6
    assert done.stdout == (
        f"data/raw: train 3 frames of 2 drives, val 1 frames of 1 drives, test 1 frames of 1 drives; {size:.1f} MB\n"
        "train has 3 frames, 1,403 as published; val has 1 frames, 204 as published; "
        "test has 1 frames, 404 as published\n"
    )


@pytest.mark.parametrize("endings", [True, False])
def test_the_older_layout(tmp_path, endings):
    source = tiny.write_tar(tmp_path / "x.tar.gz", tiny.under("idd_lite", tiny.older(endings=endings)))
    done = fetch(tmp_path, source)
    assert done.returncode == 0, done.stderr
    expected = {name: data for name, data in tiny.published().items() if "/test/" not in name}
    assert fetched(tmp_path) == expected
    assert "val 1 frames of 1 drives, no test split; " in done.stdout


def test_the_older_layout_without_drives(tmp_path):
    done = fetch(tmp_path, tiny.write_folder(tmp_path / "source", tiny.older(flat=True)))
    assert done.returncode == 0, done.stderr
    found = fetched(tmp_path)
    assert len(found) == 8
    frame = "leftImg8bit/train/{}/000003_image.jpg"
    assert found[frame.format("train")] == tiny.published()[frame.format("b")]


def test_an_old_data_raw_is_replaced_whole(tmp_path):
    tiny.write_folder(tmp_path / "data/raw", {"leftImg8bit/train/9/000009_image.jpg": b"old"})
    assert fetch(tmp_path, archived(tmp_path, {})).returncode == 0
    assert fetched(tmp_path) == tiny.published()


def test_a_folder_is_copied_not_moved(tmp_path):
    source = tiny.write_folder(tmp_path / "source", tiny.published())
    assert fetch(tmp_path, "source").returncode == 0
    assert tiny.contents(source) == tiny.published()


def test_the_right_checksum_in_any_case(tmp_path):
    source = archived(tmp_path, {})
    assert fetch(tmp_path, source, hashlib.sha256(source.read_bytes()).hexdigest().upper()).returncode == 0


def test_the_built_in_sample(tmp_path):
    done = fetch(tmp_path, tiny.SAMPLE)
    assert done.returncode == 0, done.stderr
    assert fetched(tmp_path) == tiny.sample()


@pytest.mark.skipif("IDD_LITE_ARCHIVE" not in os.environ, reason="IDD_LITE_ARCHIVE names no archive of IDD-Lite")
def test_idd_lite_as_published(tmp_path):
    done = fetch(tmp_path, Path(os.environ["IDD_LITE_ARCHIVE"]).resolve())
    assert done.returncode == 0, done.stderr
    raw = tmp_path / "data/raw"
    for split, frames, labels in [("train", 1403, 1403), ("val", 204, 204), ("test", 404, 0)]:
        assert f"{split} {frames} frames" in done.stdout
        assert len(list(raw.glob(f"leftImg8bit/{split}/*/*_image.jpg"))) == frames
        assert len(list(raw.glob(f"gtFine/{split}/*/*_label.png"))) == labels
    assert len(fetched(tmp_path)) == 3618
    assert "as published" not in done.stdout
    assert read_dataset(raw / "dataset.json") == DESCRIPTION.dataset(sample=False)


# What is read with other descriptions


def described(folder: Path, **changes: object) -> str:
    """Write a description of a data set that is named as Cityscapes and IDD are, in parts, with labels of two kinds."""
    images = "leftImg8bit/{split}/{drive}/{frame}_leftImg8bit.{png|jpg}"
    content = {
        "name": "Full",
        "about": "Frames of two parts.",
        "licence": {"terms": "For tests.", "spdx": "mit"},
        "classes": {
            "road": {"colour": [9, 9, 9], "ids": [0, 1, 2, 3], "names": ["road"]},
            "sky": {"colour": [99, 9, 9], "ids": [4, 5, 6], "names": ["sky"]},
        },
        "void": {"ids": [255]},
        "layouts": [
            {"images": images, "labels": "gtFine/{split}/{drive}/{frame}_gtFine_labelIds.png"},
            {
                "images": images,
                "labels": "gtFine/{split}/{drive}/{frame}_gtFine_polygons.json",
                "encoding": "polygons",
            },
        ],
        "parts": ["part_1", "part_2"],
        "size": [8, 6],
        "splits": {"train": {"required": True, "frames": 3}, "val": {"required": True}},
    } | changes
    path = folder / "sets/full.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def full() -> dict[str, bytes]:
    """The tiny data set in the names of :func:`described`."""
    ends = {"_image.jpg": "_leftImg8bit.jpg", "_label.png": "_gtFine_labelIds.png"}
    files = tiny.published()
    return {name[:-10] + ends[name[-10:]]: data for name, data in files.items()}


def assert_full(cwd: Path) -> None:
    """Check the frames, and labels whose ids are those of the two classes."""
    found = fetched(cwd)
    for name, data in tiny.published().items():
        if name.startswith("gtFine"):
            ids = np.array(Image.open(io.BytesIO(data)))
            expected = np.where(ids == 255, 255, ids > 3)
            np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(found[name]))), expected)
        else:
            assert found[name] == data
    assert len(found) == len(tiny.published())


def test_archives_of_images_and_labels_in_a_folder(tmp_path):
    """As Cityscapes is published."""
    (tmp_path / "source").mkdir()
    for name in ("leftImg8bit", "gtFine"):
        files = {path: data for path, data in full().items() if path.startswith(name)}
        tiny.write_zip(tmp_path / f"source/{name}_trainvaltest.zip", files | {"license.txt": b"", "README": b""})
    (tmp_path / "source/leftImg8bit_trainextra.zip").write_bytes(b"PK\3\4 is still being downloaded")
    done = fetch_with(tmp_path, {"dataset": described(tmp_path, ignore=["*_trainextra.zip"]), "source": "source"})
    assert done.returncode == 0, done.stderr
    assert_full(tmp_path)
    assert "as published" not in done.stdout
    assert read_dataset(tmp_path / "data/raw/dataset.json").model_dump() == {
        "name": "Full",
        "about": "Frames of two parts.",
        "home": None,
        "licence": {"terms": "For tests.", "spdx": "mit"},
        "classes": {"road": (9, 9, 9), "sky": (99, 9, 9)},
        "protocol": "native",
        "sample": False,
    }


@pytest.mark.parametrize("in_archives", [True, False])
def test_two_parts_in_a_folder(tmp_path, in_archives):
    """As IDD is published: two archives, each of its own folder with images and labels."""
    (tmp_path / "source").mkdir()
    for part, drives in (("part_1", "ac"), ("part_2", "bd")):
        files = tiny.under(part, {name: data for name, data in full().items() if name.split("/")[2] in drives})
        if in_archives:
            tiny.write_tar(tmp_path / f"source/{part}.tar.gz", files)
        else:
            tiny.write_folder(tmp_path / "source", files)
    done = fetch_with(tmp_path, {"dataset": described(tmp_path), "source": "source"})
    assert done.returncode == 0, done.stderr
    assert_full(tmp_path)


@pytest.mark.parametrize("name", ["copy.bin", "sample.tar.gz"])
def test_the_sample_under_any_path(tmp_path, name):
    """It has its own name and licence. The same files in a different archive are not known to be the sample."""
    content = yaml.safe_load(Path(IDD_LITE).read_text())
    content["sample"]["source"] = str(tiny.SAMPLE)
    (tmp_path / "set.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (tmp_path / name).write_bytes(tiny.SAMPLE.read_bytes())
    done = fetch_with(tmp_path, {"dataset": "set.yaml", "source": name})
    assert done.returncode == 0, done.stderr
    assert read_dataset(tmp_path / "data/raw/dataset.json") == SAMPLE
    assert "as published" not in done.stdout

    (tmp_path / name).write_bytes(tiny.SAMPLE.read_bytes() + bytes(10))  # zeros behind a gzip stream are padding
    done = fetch_with(tmp_path, {"dataset": "set.yaml", "source": name})
    assert done.returncode == 0, done.stderr
    assert not read_dataset(tmp_path / "data/raw/dataset.json").sample
    assert "train has 18 frames, 1,403 as published" in done.stdout


def test_a_users_own_file_is_not_linked_to(tmp_path):
    """DVC protects what it stores, and whoever corrects a label in data/raw would change the user's own."""
    source = tiny.write_folder(tmp_path / "source", tiny.published())
    assert fetch(tmp_path, "source").returncode == 0
    own = {path.stat().st_ino for path in source.rglob("*") if path.is_file()}
    new = [path.stat() for path in (tmp_path / "data/raw").rglob("*") if path.is_file()]
    assert own.isdisjoint(each.st_ino for each in new)
    assert {each.st_nlink for each in new} == {1}


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
    line = "  25 of 29 labels have no frame; the first: idd20k_lite/gtFine/train/a/000100_label.png\n"
    said = expect_error("25 problems in the data set", line, source=archived(tmp_path, lonely))
    assert len(said.splitlines()) == 3  # with that of the progress


# In detail


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/idd-lite.tar.gz", "s3://bucket/idd-lite.tar.gz"),
        ("https://token@host", "https://host"),
        ("https://host?key=1", "https://host"),
        ("http://[bad/x@y#z", "http://[bad/x@y"),
    ],
)
def test_without_secrets(url, shown):
    assert without_secrets(url) == shown


def test_the_checksum_may_be_left_out():
    assert FetchParams(dataset="x", source="x").sha256 is None
