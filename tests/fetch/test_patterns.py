"""Patterns of paths, each with paths that fit and do not. Those that are refused: tests/files/test_description.py."""

import pytest

from segcore.dataset.frames import Frame
from segcore.fetch.patterns import Folder, Pattern

SPLITS = {"train": "train", "training": "train", "val": "val", "test": "test"}


def match(pattern, path):
    return Pattern(pattern, SPLITS).match(path.split("/"))


@pytest.mark.parametrize(
    ("pattern", "path", "frame"),
    [
        ("{split}/{drive}/{frame}.png", "val/7/01.png", ("val", "7", "01")),
        ("{split}/{drive}/{frame}.png", "a/b/VAL/Seven/01.PNG", ("val", "Seven", "01")),
        ("{split}/{drive}/{frame}.png", "Training/7/01.png", ("train", "7", "01")),
        ("{split}/{drive}/{frame}.png", "val/7/a b+c.d-e_é.png", ("val", "7", "a b+c.d-e_é")),
        ("{split}/{drive}/{frame}.png", "val/é 1/01.png", ("val", "é 1", "01")),
        ("{split}/{frame}.png", "val/01.png", ("val", "val", "01")),
        ("{split}/{frame}.png", "7/TEST/01.png", ("test", "test", "01")),
        ("{split}/{frame}{_image|}.{jpg|jpeg}", "val/01_image.jpg", ("val", "val", "01")),
        ("{split}/{frame}{_image|}.{jpg|jpeg}", "val/01.jpeg", ("val", "val", "01")),
        ("{split}/{frame}{_image|}.{jpg|jpeg}", "val/01_image_image.jpg", ("val", "val", "01_image")),
        ("{split}/{frame}{_image|}.{jpg|jpeg}", "val/_image.jpg", ("val", "val", "_image")),
        ("{images|img}/{split}/{frame}.png", "IMG/val/01.png", ("val", "val", "01")),
        ("x/{split}/{drive}_{frame}.png", "x/val/a_1_2.png", ("val", "a", "1_2")),
        ("x/{drive}/{split}/{frame}.png", "x/7/val/01.png", ("val", "7", "01")),
        ("{split}annot/{frame}.png", "trainannot/01.png", ("train", "train", "01")),
        ("{split}_{drive}/{frame}/x.png", "training_a/1/x.png", ("train", "a", "1")),
        ("a.b(c)+/{split}/{frame}.png", "A.B(C)+/val/01.png", ("val", "val", "01")),
    ],
)
def test_a_path_that_fits(pattern, path, frame):
    found = match(pattern, path)
    assert found and found[0] == Frame(*frame)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{split}/{drive}/{frame}.png", "7/01.png"),
        ("{split}/{drive}/{frame}.png", "valid/7/01.png"),
        ("{split}/{drive}/{frame}.png", "val/7/8/01.png"),
        ("{split}/{drive}/{frame}.png", "val/7/01.png/x"),
        ("{split}/{drive}/{frame}.png", "val/7/.png"),
        ("{split}/{drive}/{frame}.png", "val/../01.png"),
        ("{split}/{drive}/{frame}.png", "val/./01.png"),
        ("{split}/{drive}/{frame}.png", "val/a,b/01.png"),
        ("{split}/{drive}/{frame}.png", "val/a/0\n1.png"),
        ("{split}/{drive}/{frame}.png", "val/a/01.png\n"),
        ("{split}/{drive}/{frame}.png", "val/a/\udce9.png"),
        ("{split}/{drive}/{frame}.png", "te\u017ft/a/01.png"),
        ("{split}/{frame}.png", f"val/{'n' * 300}.png"),
        ("{split}/{drive}_{frame}.png", "val/.._1.png"),
        ("{split}/{drive}_{frame}.png", "val/a.png"),
        ("{split}/{frame}.{jpg|jpeg}", "val/01.png"),
        ("{split}/{frame}.png", "val/01xpng"),
        ("{images|img}/{split}/{frame}.png", "imagesimg/val/01.png"),
    ],
)
def test_a_path_that_does_not_fit(pattern, path):
    assert match(pattern, path) is None


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "above"),
    [
        ("images/{split}/{frame}.png", "a/b/images/val/01.png", "a/b/images", "a/b"),
        ("x/images/{split}/{drive}/{frame}.png", "x/images/val/7/01.png", "x/images", ""),
        ("{split}/images/{frame}.png", "a/val/images/01.png", "a", "a"),
    ],
)
def test_the_folder_of_a_pattern(pattern, path, folder, above):
    expected = Folder(*(tuple(each.split("/")) if each else () for each in (folder, above)))
    found = match(pattern, path)
    assert found and found[1] == expected
    other = path.rpartition("/")[0] + "/deeper/no,name.gif"
    assert Pattern(pattern, SPLITS).folder_above(other.split("/")) == expected


def test_what_is_below_no_folder_of_a_pattern():
    for path in ("images/valid/01.png", "images/val", "val/01.png", "images/01.png"):
        assert Pattern("images/{split}/{frame}.png", SPLITS).folder_above(path.split("/")) is None
    assert Pattern("{drive}/{split}_{frame}.png", SPLITS).folder_above(["a", "b"]) is None
    # As the split is in the name of the file, pictures of all splits are in one folder.
    assert Pattern("x/{split}_{frame}.png", SPLITS).folder_above(["x", "b"]) == Folder(("x",), ())
