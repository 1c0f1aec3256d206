"""The place of each file of the known layouts, and what is refused."""

from pathlib import Path

import pytest

from segcore.fetch.layouts import LayoutMapper
from segcore.runtime.errors import UserError


def places(*paths):
    mapper = LayoutMapper("source")
    return [mapper.place(path) for path in paths]


@pytest.mark.parametrize("top", ["", "idd20k_lite/"])
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("leftImg8bit/test/7/01_image.jpg", "leftImg8bit/test/7/01_image.jpg"),
        ("gtFine/val/7/01_label.png", "gtFine/val/7/01_label.png"),
        ("images/train/7/01_image.jpg", "leftImg8bit/train/7/01_image.jpg"),
        ("images/train/7/01.jpg", "leftImg8bit/train/7/01_image.jpg"),
        ("images/train/01.jpg", "leftImg8bit/train/train/01_image.jpg"),
        ("images/val/01_image.jpg", "leftImg8bit/val/val/01_image.jpg"),
        ("labels/train/7/01_label.png", "gtFine/train/7/01_label.png"),
        ("labels/val/7/01.png", "gtFine/val/7/01_label.png"),
        ("labels/val/01.png", "gtFine/val/val/01_label.png"),
    ],
)
def test_place_of_a_picture(top, path, place):
    assert places(top + path) == [Path(place)]


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "gtFine/train/7/01_inst_label.png",
        "gtFine/train/7/01_polygons.json",
        "gtFine/test/7/01_label.png",
        "labels/train/7/01_inst_label.png",
        "__MACOSX/idd20k_lite/leftImg8bit/train/7/._01_image.jpg",
        "idd20k_lite/leftImg8bit/train/7/._01_image.jpg",
        "idd20k_lite/.trash/leftImg8bit/train/7/01_image.jpg",
        "a/b/leftImg8bit/train/7/01_image.jpg",
        "leftImg8bit/train/7/Thumbs.db",
    ],
)
def test_what_no_stage_reads_has_no_place(path):
    assert places(path) == [None]


@pytest.mark.parametrize(
    "path",
    [
        "leftImg8bit/test/7/01.jpg",
        "leftImg8bit/test/7/01_image.png",
        "leftImg8bit/test/7/01_image.JPG",
        "leftImg8bit/test/01_image.jpg",
        "leftImg8bit/test/7/deeper/01_image.jpg",
        "leftImg8bit/test/7/0,1_image.jpg",
        "leftImg8bit/test/7/\udce9_image.jpg",
        "idd20k_lite/images/val/01.png",
    ],
)
def test_a_frame_with_an_unknown_name_is_an_error(path):
    with pytest.raises(UserError) as error:
        places(path)
    assert f"source: {path!r}: in IDD-Lite a frame is a JPEG named DRIVE/NAME_image.jpg" in str(error.value)


def test_two_files_for_one_place():
    with pytest.raises(UserError, match=r"images/train/7/01_image\.jpg: a second file for leftImg8bit/train/7/01_im"):
        places("images/train/7/01.jpg", "images/train/7/01_image.jpg")


def test_required_splits_of_each_layout():
    for path, splits in [
        ("leftImg8bit/train/7/01_image.jpg", ("train", "val", "test")),
        ("images/train/7/01_image.jpg", ("train", "val")),
    ]:
        mapper = LayoutMapper("source")
        mapper.place(path)
        assert mapper.required_splits() == splits


def test_a_source_without_idd_lite_is_an_error_that_says_what_is_in_it():
    mapper = LayoutMapper("holiday.zip")
    for path in ("photos/2019/sea.jpg", "photos/2019/hill.jpg", "notes.txt"):
        mapper.place(path)
    with pytest.raises(UserError) as error:
        mapper.required_splits()
    assert "holiday.zip: no IDD-Lite in it; leftImg8bit/{train,val,test} and gtFine/{train,val} were" in str(
        error.value
    )
    assert str(error.value).endswith("it has: notes.txt, photos/2019")


@pytest.mark.parametrize("second", ["b/leftImg8bit/val/8/02_image.jpg", "a/images/val/8/02_image.jpg"])
def test_two_data_sets_are_not_mixed(second):
    mapper = LayoutMapper("source")
    mapper.place("a/leftImg8bit/train/7/01_image.jpg")
    mapper.place(second)
    with pytest.raises(UserError, match=r"more than one data set in it: a/.+, ./.+; keep one"):
        mapper.required_splits()
