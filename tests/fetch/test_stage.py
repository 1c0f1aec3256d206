import hashlib
import os
from pathlib import Path

import pytest

from segcore.fetch.source import FetchParams, without_secrets
from segcore.files.dataset import read_dataset
from tests.support import tiny
from tests.support.fetching import archived, fetch, fetched
from tests.support.idd_lite import DESCRIPTION

pytestmark = pytest.mark.slow


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


def test_a_users_own_file_is_not_linked_to(tmp_path):
    """DVC protects what it stores, and whoever corrects a label in data/raw would change the user's own."""
    source = tiny.write_folder(tmp_path / "source", tiny.published())
    assert fetch(tmp_path, "source").returncode == 0
    own = {path.stat().st_ino for path in source.rglob("*") if path.is_file()}
    new = [path.stat() for path in (tmp_path / "data/raw").rglob("*") if path.is_file()]
    assert own.isdisjoint(each.st_ino for each in new)
    assert {each.st_nlink for each in new} == {1}


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
