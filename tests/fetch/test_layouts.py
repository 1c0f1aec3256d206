"""The place of each file in the layouts of IDD-Lite, and what is refused."""

from pathlib import Path

import pytest

from segcore.runtime.errors import UserError
from tests.support.layouts import mapped, places, refusal


@pytest.mark.parametrize("top", ["", "idd20k_lite/", "IDD-master/idd20k_lite/", "a/b/c/d/e (1)/", "train/images/"])
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("leftImg8bit/test/7/01_image.jpg", "leftImg8bit/test/7/01_image.jpg"),
        ("gtFine/val/7/01_label.png", "found/0/val/7/01.png"),
        ("images/train/7/01_image.jpg", "leftImg8bit/train/7/01_image.jpg"),
        ("images/train/7/01.jpg", "leftImg8bit/train/7/01_image.jpg"),
        ("images/train/01.jpg", "leftImg8bit/train/train/01_image.jpg"),
        ("images/val/01_image.jpg", "leftImg8bit/val/val/01_image.jpg"),
        ("labels/train/7/01_label.png", "found/1/train/7/01.png"),
        ("labels/val/7/01.png", "found/1/val/7/01.png"),
        ("labels/val/01.png", "found/2/val/val/01.png"),
        ("annotation/train/7/01_label.png", "found/1/train/7/01.png"),
        ("annotations/val/01.png", "found/2/val/val/01.png"),
        ("Image/train/7/01_image.jpg", "leftImg8bit/train/7/01_image.jpg"),
        ("label/train/7/01_label.png", "found/1/train/7/01.png"),
        ("Images/Val/01.JPG", "leftImg8bit/val/val/01_image.jpg"),
        ("LABELS/VAL/01_Label.PNG", "found/2/val/val/01.png"),
        ("leftimg8bit/TEST/7/01_image.jpeg", "leftImg8bit/test/7/01_image.jpg"),
        ("GTFINE/train/Seven/01_label.png", "found/0/train/Seven/01.png"),
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
        "gtFine/train/7/01_gtFine_labellevel1Ids.png",
        "gtFine/train/01_label.png",
        "labels/train/7/01_inst_label.png",
        "labels/train/7/01_INST_LABEL.PNG",
        "labels/train/7/01_label.json",
        "__MACOSX/idd20k_lite/leftImg8bit/train/7/._01_image.jpg",
        "idd20k_lite/leftImg8bit/train/7/._01_image.jpg",
        "idd20k_lite/.trash/leftImg8bit/train/7/01_image.jpg",
        "leftImg8bit/train/7/Thumbs.db",
        "masks/train/7/01_label.png",
        "images/valid/7/01.jpg",
    ],
)
def test_what_no_stage_reads_has_no_place(path):
    assert places(path) == [None]


@pytest.mark.parametrize("top", ["", "a/b/"])
@pytest.mark.parametrize(
    "path",
    [
        "leftImg8bit/test/7/01.jpg",
        "leftImg8bit/test/7/01_image.png",
        "leftImg8bit/test/01_image.jpg",
        "leftImg8bit/test/7/deeper/01_image.jpg",
        "leftImg8bit/test/7/0,1_image.jpg",
        "leftImg8bit/test/7/0\\1_image.jpg",
        "leftImg8bit/test/7/\udce9_image.jpg",
        f"leftImg8bit/test/7/{'n' * 250}_image.jpg",
        "images/val/01.png",
        "Image/VAL/01.tiff",
    ],
)
def test_a_frame_with_an_unknown_name_is_an_error(path, top):
    patterns = {
        "leftImg8bit": "leftImg8bit/{split}/{drive}/{frame}_image.{jpg|jpeg}",
        "images": "{images|image}/{split}/{drive}/{frame}{_image|}.{jpg|jpeg} or "
        "{images|image}/{split}/{frame}{_image|}.{jpg|jpeg}",
    }
    pattern = patterns["leftImg8bit" if path.startswith("left") else "images"]
    expected = f"{top + path!r}: in IDD-Lite an image is named {pattern}, of letters, digits, spaces and the signs"
    assert refusal(top + path).startswith(expected)
    assert refusal(top + path).endswith(
        "; rename it, remove it, widen the pattern, or add its name to `ignore` of the description"
    )
    tree, split = path.split("/")[:2]
    frame = f"{top}{tree}/{split}/8/02_image.jpg"
    assert refusal(frame, top + path).startswith(expected)
    assert refusal(top + path, frame, top + path).startswith(f"{top + path!r} and 1 more: in IDD-Lite an image")


def test_pictures_beside_the_data_set_are_no_frames():
    mapper, found = mapped(
        "docs/images/train/loss.png", "data/leftImg8bit/train/7/01_image.jpg", "data/gtFine/train/7/01_label.png",
        "results/images/val/7/a,b.jpg",
    )  # fmt: skip
    mapper.finish()
    assert [place is not None for place in found] == [False, True, True, False]


def test_two_files_for_one_place():
    expected = r"images/train/7/01_image\.jpg: a second file for the frame of images/train/7/01"
    with pytest.raises(UserError, match=expected):
        places("images/train/7/01.jpg", "images/train/7/01_image.jpg")
    with pytest.raises(UserError, match=r"01\.JPG: a second file for the frame of images/train/7/01"):
        places("images/train/7/01.jpg", "images/train/7/01.JPG")


def test_a_source_without_idd_lite_is_an_error_that_says_what_is_in_it():
    said = refusal("photos/2019/sea.jpg", "photos/2019/hill.jpg", "notes.txt")
    assert said == (
        "no IDD-Lite in it; leftImg8bit/{split}/{drive}/{frame}_image.{jpg|jpeg} and "
        "gtFine/{split}/{drive}/{frame}_label.png were expected, both in the same folder, or a different layout of the "
        "description; it has: notes.txt, photos/2019"
    )
    assert refusal().endswith("it has: no files")
    assert refusal(*(f"{number}/x" for number in range(50))).count(", ") < 12


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/leftImg8bit/train/7/01_image.jpg", "b/leftImg8bit/val/8/02_image.jpg"),
        ("a/leftImg8bit/train/7/01_image.jpg", "a/images/val/8/02_image.jpg"),
        ("a/leftImg8bit/train/7/01_image.jpg", "a/b/leftImg8bit/val/8/02_image.jpg"),
        ("a/leftImg8bit/train/7/01_image.jpg", "b/gtFine/train/7/01_label.png"),
        ("a/labels/train/7/01_label.png", "a/annotation/val/8/02_label.png"),
        ("a/Labels/train/7/01_label.png", "a/labels/val/8/02_label.png"),
    ],
)
def test_two_data_sets_are_not_mixed(first, second):
    for paths in [(first, second), (second, first)]:
        trees = sorted(path.rsplit("/", 3)[0] for path in paths)
        assert refusal(*paths) == f"more than one data set in it: {trees[0]}, {trees[1]}; keep one of them"


def test_pictures_that_no_layout_fits_are_counted():
    mapper, _ = mapped("leftImg8bit/train/7/01_image.jpg", "leftImg8bit/trian/7/02_image.jpg", "notes.txt")
    mapper.finish()
    assert (mapper.unread.count, mapper.unread.first) == (1, "leftImg8bit/trian/7/02_image.jpg")


def test_label_like_files_that_are_passed_over():
    likes = [
        "gtFine/train/0/01_gtFine_labellevel1Ids.png", "labels/val/01.bmp", "masks/train/0/01.png", "x/Val/01.png",
        "annotations/train/01.json",
    ]  # fmt: skip
    others = ["gtFine/test/0/01_label.png", "docs/loss.png", "train/notes.txt", "gtFine/train/0/01_inst_label.png"]
    mapper, _ = mapped(*others, *likes)
    assert (mapper.passed_over.count, mapper.passed_over.first) == (5, likes[0])


def test_very_many_folders_like_that_of_a_data_set():
    """Each is kept in memory until the end."""
    assert "more than 100 folders like 100/images" in refusal(
        *(f"{number}/images/train/x.png" for number in range(101))
    )
