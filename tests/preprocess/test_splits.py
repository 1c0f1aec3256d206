"""Which frames are train, val and test: as published, or with some drives of train as val."""

import os
import tarfile
from pathlib import Path

import pytest

from segcore.files import arrays
from segcore.preprocess.splits import HOLDOUT_SHARE, choose_splits
from segcore.runtime.errors import UserError
from tests.support.raw_frames import HOLDOUT, PARAMS, build_arrays, write_raw


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path)


def test_a_holdout_takes_whole_drives_of_train_and_leaves_the_official_val_alone(tmp_path, raw):
    official, holdout = choose_splits(raw, "official"), choose_splits(raw, "holdout")
    drives = {split: {frame.drive for frame in holdout[split]} for split in ("train", "val")}
    assert not drives["train"] & drives["val"]
    assert sorted(map(str, holdout["train"] + holdout["val"])) == sorted(map(str, official["train"]))
    assert len(holdout["val"]) == 2  # a seventh of 14
    assert holdout["test"] == official["test"]

    folder = build_arrays(tmp_path, HOLDOUT)
    held_out = holdout["val"][0]
    native = tmp_path / "native/gtFine/val" / held_out.drive / f"{held_out.name}_label.png"
    assert native.read_bytes() == (raw / held_out.label).read_bytes()
    assert not (tmp_path / "native/leftImg8bit/val/70").exists()
    assert [row.frame.split for row in arrays.read_rows("val", folder)] == ["val", "val"]


def test_a_holdout_of_one_drive_is_refused(tmp_path):
    raw = write_raw(tmp_path, {"train": ["1/000001", "1/000002"], "val": ["2/000001"]})
    with pytest.raises(UserError, match=r"no train frames with preprocess\.validation=holdout; .*at least two drives"):
        choose_splits(raw, "holdout")


def test_a_set_without_val_needs_a_holdout(tmp_path):
    write_raw(tmp_path, {"train": ["1/000001", "2/000001"], "test": ["3/000001"]})
    with pytest.raises(UserError, match=r"no val frames with preprocess\.validation=official; official needs labelled"):
        build_arrays(tmp_path)
    assert not (tmp_path / "arrays").exists()
    folder = build_arrays(tmp_path, HOLDOUT)
    assert [len(arrays.read_rows(split, folder)) for split in ("train", "val", "test")] == [1, 1, 1]
    assert len(arrays.load_labelled("val", 7, folder)[1]) == 1


def test_official_val_frames_without_labels_need_a_holdout(tmp_path, raw):
    (raw / "gtFine/val/70/000001_label.png").unlink()
    with pytest.raises(UserError) as caught:
        build_arrays(tmp_path)
    assert "1 of the 1 val frames with preprocess.validation=official have no label" in str(caught.value)
    assert "gtFine/val/70/000001_label.png; " in str(caught.value)
    assert "holdout at least two drives of labelled train frames" in str(caught.value)
    assert len(arrays.read_rows("val", build_arrays(tmp_path, HOLDOUT))) == 2


def test_train_frames_without_labels_are_refused(tmp_path, raw):
    (raw / "gtFine/train/3/000001_label.png").unlink()
    for params in (PARAMS, HOLDOUT):
        with pytest.raises(
            UserError, match=r"1 of the \d+ (train|val) frames .* have no label, for example gtFine/train/3"
        ):
            build_arrays(tmp_path, params)


@pytest.mark.skipif("IDD_LITE_ARCHIVE" not in os.environ, reason="IDD_LITE_ARCHIVE names no archive")
def test_the_holdout_of_idd_lite_is_about_as_large_as_its_official_val(tmp_path):
    with tarfile.open(os.environ["IDD_LITE_ARCHIVE"]) as archive:
        for name in archive.getnames():
            parts = Path(name).parts
            if len(parts) == 5 and name.endswith(("_image.jpg", "_label.png")):
                path = tmp_path.joinpath(*parts[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    found = {split: len(frames) for split, frames in choose_splits(tmp_path, "holdout").items()}
    assert found["test"] == 404
    assert 190 <= found["val"] <= 230
    assert found["train"] + found["val"] == 1403
    assert found["val"] >= HOLDOUT_SHARE * 1403
