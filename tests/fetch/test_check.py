"""A data set as a whole, which labels are written anew, and layouts of other data sets."""

import json

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.check import check
from segcore.fetch.layouts import Seen
from segcore.runtime.errors import UserError
from tests.support import handmade_png, tiny
from tests.support.checking import LABEL, many, problems, source
from tests.support.idd_lite import DESCRIPTION
from tests.support.labels import described


def test_a_whole_data_set(tmp_path):
    assert problems(tmp_path, {}) == []
    assert tiny.contents(tmp_path / "raw") == tiny.published()
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["gtFine", "leftImg8bit"]


@pytest.mark.parametrize("required", [{"train"}, {"train", "val"}, {"train", "val", "test"}])
def test_splits_that_must_have_frames(tmp_path, required):
    splits = {split: {"required": split in required, "folders": [f"{split}1"]} for split in ("train", "val", "test")}
    said = (
        "{0}: no frames; images such as leftImg8bit/{0}1/{{drive}}/{{frame}}_image.{{jpg|jpeg}} were expected; if its "
        "folder has a different name, set `folders` in `splits` of the description (fetch.dataset)"
    )
    description = DESCRIPTION.model_validate(DESCRIPTION.model_dump() | {"splits": splits})
    for split in splits:
        without = {name: None for name in tiny.published() if f"/{split}/" in name}
        expected = [said.format(split)] if split in required else []
        assert problems(tmp_path / split, without, description=description) == expected


# Labels that are written anew


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (tiny.palette_png(tiny.ids()), tiny.ids()),
        (handmade_png.make(tiny.ids() % 4, 2), tiny.ids() % 4),
        (handmade_png.make(tiny.ids() % 2, 1, 3, palette=[(5, 5, 5), (2, 2, 2)]), 5 - 3 * (tiny.ids() % 2)),
    ],
)
def test_a_label_that_is_not_8_bit_grey_is_written_anew(tmp_path, data, ids):
    assert problems(tmp_path, {LABEL: data}) == []
    with Image.open(tmp_path / "raw" / LABEL) as picture:
        assert picture.tile[0][3] == "L"
        np.testing.assert_array_equal(np.asarray(picture), ids)
    others = {name: data for name, data in tiny.contents(tmp_path / "raw").items() if name != LABEL}
    assert others == {name: data for name, data in tiny.published().items() if name != LABEL}


def test_labels_written_anew_are_counted(tmp_path):
    labels = many(3, label=lambda: tiny.palette_png(tiny.ids())) | {LABEL: handmade_png.make(tiny.ids() % 4, 2)}
    root = source(tmp_path / "new", tiny.published() | labels)
    assert check(root, "the source", Seen(), DESCRIPTION) == {
        "the indices of a palette": 3, "the stored values of 1-, 2- or 4-bit grey": 1
    }  # fmt: skip
    written = source(tmp_path / "again", tiny.contents(root))
    assert check(written, "the source", Seen(), DESCRIPTION) == {}
    assert tiny.contents(written) == tiny.contents(root)


def test_8_bit_grey_is_kept_byte_for_byte(tmp_path):
    data = handmade_png.make(tiny.ids(), 8, interlaced=True, before=handmade_png.chunk(b"tEXt", b"by\0hand"))
    assert problems(tmp_path, {LABEL: data}) == []
    assert (tmp_path / "raw" / LABEL).read_bytes() == data


def masks(order):
    """A label of classes 0 to 2 as a colour mask that was made smaller: its palette has the colours in this order."""
    colours = [(128, 64, 128), (244, 154, 232), (220, 20, 60)]
    ids = tiny.ids() % 3
    return handmade_png.make(np.argsort(order)[ids], 8, 3, palette=[colours[place] for place in order])


def test_palettes_that_disagree_are_colour_masks(tmp_path):
    assert problems(tmp_path / "same", {LABEL: masks([0, 1, 2]), LABEL.replace("1_", "2_"): masks([0, 1, 2])}) == []
    [line] = problems(tmp_path / "other", {LABEL: masks([0, 1, 2]), LABEL.replace("1_", "2_"): masks([2, 1, 0])})
    assert line == (
        "gtFine/train/a/000002_label.png: a palette with a different colour for index 0, 2 than in the labels before: "
        "a colour mask and not ids; say `encoding: colours` in the description (fetch.dataset), or save the class id "
        "of each pixel instead, as 8-bit grey PNG"
    )


# Layouts of other data sets


def polygons(name="road", size=(8, 6)):
    points = [[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]
    listed = [{"label": name, "polygon": points}]
    return json.dumps({"imgWidth": size[0], "imgHeight": size[1], "objects": listed}).encode()


def frames(*names, suffix=".jpg"):
    picture = tiny.jpeg() if suffix == ".jpg" else tiny.png(tiny.ids(), "RGB")
    return {f"leftImg8bit/{name}_image{suffix}": picture for name in names}


def filled(value):
    return np.full((6, 8), value, np.uint8)


def run(folder, files, *encodings):
    """Check train frames by a description with a layout for each encoding; return the ids of each label."""
    without_val = {"val": {"required": False}}
    root = tiny.write_folder(folder, files)
    rewritten = check(root, "the source", Seen(), described(*encodings, splits=without_val))
    return rewritten, {path.name: set(np.asarray(Image.open(path)).flat) for path in root.glob("gtFine/train/*/*")}


def test_each_label_is_read_by_the_encoding_of_its_layout(tmp_path):
    files = frames("train/a/1", "train/a/2") | frames("train/b/3", "test/c/4", suffix=".png")
    files |= {
        "found/0/train/a/1.png": tiny.png(filled(26)),
        "found/1/train/a/2.png": tiny.png(np.full((6, 8, 3), (70, 130, 180), np.uint8)),
        "found/2/train/b/3.json": polygons(),
    }
    rewritten, labels = run(tmp_path, files, "ids", "colours", "polygons")
    assert labels == {"1_label.png": {1}, "2_label.png": {2}, "3_label.png": {0}}
    assert rewritten == {"ids mapped by the description": 1, "the colours of a mask": 1, "polygons": 1}
    assert not (tmp_path / "found").exists()


def test_the_first_layout_that_has_a_label_counts(tmp_path):
    """That of a later layout is not even read."""
    files = frames("train/a/1", "train/a/2") | {
        "found/0/train/a/1.json": polygons("sky"),
        "found/1/train/a/1.png": b"nothing",
        "found/1/train/a/2.png": tiny.png(filled(255)),
    }
    rewritten, labels = run(tmp_path, files, "polygons", "ids")
    assert labels == {"1_label.png": {2}, "2_label.png": {255}}
    assert rewritten == {"polygons": 1}
    assert not (tmp_path / "found").exists()


def test_problems_of_other_encodings_are_named_by_the_path_in_data_raw(tmp_path):
    files = frames("train/a/1", "train/a/2", "train/a/3") | {
        "found/0/train/a/1.json": polygons("truck"),
        "found/0/train/a/2.json": polygons(size=(8, 7)),
        "found/0/train/a/3.json": b"<html>",
        "found/0/train/a/4.json": polygons(),
    }
    with pytest.raises(UserError) as error:
        run(tmp_path, files, "polygons")
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "gtFine/train/a/4_label.png: no frame for this label",
        "gtFine/train/a/1_label.png: names that the description (fetch.dataset) does not know: 'truck'; give each to a "
        "class or to void there, or correct the labels",
        "gtFine/train/a/2_label.png: 8×7 pixels; its frame has 8×6",
        "gtFine/train/a/3_label.png: a web page, not polygons in JSON; log in to its site, and download it again",
    ]


def test_a_frame_that_is_a_png_is_named_by_its_own_path(tmp_path):
    files = frames("train/a/1", "train/a/2") | {
        "leftImg8bit/train/a/3_image.png": tiny.png(tiny.ids(), "RGBA"),
        "found/0/train/a/1.json": polygons(),
        "found/0/train/a/3.json": polygons(),
    }
    with pytest.raises(UserError) as error:
        run(tmp_path, files, "polygons")
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "leftImg8bit/train/a/2_image.jpg: no label; l0/{split}/{drive}/{frame}.json was expected",
        "leftImg8bit/train/a/3_image.png: RGB or grey of 8 bits was expected; its mode is RGBA; save it as RGB",
    ]
