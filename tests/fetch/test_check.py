"""Problems of a data set as a whole, how they are listed, and which labels are written anew."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.check import check
from segcore.fetch.layouts import Seen
from segcore.fetch.problems import Kind, Problem, listing
from segcore.files import images
from segcore.runtime.errors import UserError
from tests.support import handmade_png, tiny
from tests.support.idd_lite import DESCRIPTION
from tests.support.labels import described

FRAME = "leftImg8bit/train/a/000001_image.jpg"
LABEL = "gtFine/train/a/000001_label.png"


def source(folder, files):
    """Write a data set as the layout of the description leaves it: labels are in ``found``."""
    placed = {}
    for name, data in files.items():
        tree, split, drive, file = name.split("/")
        label = f"found/0/{split}/{drive}/{file.replace('_label', '')}"
        placed[label if tree == "gtFine" else name] = data
    return tiny.write_folder(folder, placed)


def problems(tmp_path, changes, passed_over=(), description=DESCRIPTION):
    """The lines of the listing for the tiny data set with ``changes``; a change to ``None`` removes the file."""
    files = {name: data for name, data in (tiny.published() | changes).items() if data is not None}
    seen = Seen()
    for path in passed_over:
        seen.add(path)
    try:
        check(source(tmp_path / "raw", files), "the source", seen, description)
    except UserError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


def many(count, frame=tiny.jpeg, label=lambda: tiny.png(tiny.ids())):
    """So many train frames and labels of one drive."""
    files = {}
    for number in range(count):
        files[f"leftImg8bit/train/m/{number:06}_image.jpg"] = frame()
        files[f"gtFine/train/m/{number:06}_label.png"] = label()
    return files


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


# Single problems


@pytest.mark.parametrize("value", [7, 254])
def test_values_next_to_the_valid_ones(tmp_path, value):
    label = tiny.ids()
    label[-1, -1] = value
    [problem] = problems(tmp_path, {LABEL: tiny.png(label)})
    assert problem == (
        f"{LABEL}: ids that the description (fetch.dataset) does not know: {value}; give each to a class or to void "
        "there, or correct the labels"
    )


def test_a_truncated_label_and_a_frame_that_is_a_png(tmp_path):
    found = problems(tmp_path, {LABEL: tiny.png(tiny.ids())[:-30], FRAME: tiny.png(tiny.ids())})
    assert found[0] == f"{FRAME}: a PNG, not a JPEG; save it as JPEG; a different name is not enough"
    assert found[1].startswith(f"{LABEL}: unreadable (")
    assert len(found) == 2


def test_a_turned_frame_is_one_problem_also_if_its_label_has_the_other_shape(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "turned.jpg", exif=exif)
    changes = {FRAME: (tmp_path / "turned.jpg").read_bytes(), LABEL: tiny.png(tiny.ids(size=(6, 8)))}
    [problem] = problems(tmp_path, changes)
    assert problem.startswith(f"{FRAME}: EXIF orientation 6, ")


def test_a_picture_that_claims_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 47)
    assert problems(tmp_path, {}) == [
        f"5 of 5 frames: 8×6 pixels; at most 47 in all were expected; the first: {FRAME}",
        f"4 of 4 labels: 8×6 pixels; at most 47 in all were expected; the first: {LABEL}",
    ]


def test_pillow_does_not_warn(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # Pillow warns from here on, and refuses from twice as much
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert problems(tmp_path, {}) == []
    assert "decompression bomb" in problems(tmp_path, {FRAME: tiny.jpeg(size=(20, 6))})[0]


def test_all_kinds_of_problems_are_found_at_once(tmp_path):
    found = problems(
        tmp_path,
        {
            "gtFine/val/c/000004_label.png": None,
            "leftImg8bit/train/b/000003_image.jpg": None,
            "leftImg8bit/test/d/000005_image.jpg": None,
            "leftImg8bit/test/a/000005_image.jpg": tiny.jpeg(),
            FRAME: b"nothing",
            LABEL: tiny.png(tiny.ids(size=(9, 6))),
            "gtFine/train/a/000002_label.png": tiny.png(tiny.ids(size=(8, 7))),
        },
    )
    assert found == [
        "drive a: in test and train; the splits must share no drive",
        "leftImg8bit/val/c/000004_image.jpg: no label; gtFine/{split}/{drive}/{frame}_label.png was expected",
        "gtFine/train/b/000003_label.png: no frame for this label",
        f"{FRAME}: not a JPEG picture",
        "gtFine/train/a/000002_label.png: 8×7 pixels; its frame has 8×6",
    ]


# A problem that many files share


def changed(array, value):
    array[-1, -1] = value
    return array


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            many(6, frame=lambda: tiny.png(tiny.ids())),
            "6 of 11 frames: a PNG, not a JPEG; save it as JPEG; a different",
        ),
        (
            many(6, frame=lambda: tiny.jpeg(mode="CMYK")),
            "6 of 11 frames: RGB or grey of 8 bits was expected; its mode is CMYK; save it as RGB; the first",
        ),
        (many(6, frame=lambda: tiny.jpeg()[:-20]), "6 of 11 frames: unreadable (image file is truncated"),
        (
            many(6, label=lambda: tiny.png(tiny.ids(), "RGB")),
            "6 of 10 labels: a colour mask and not ids (its mode is RGB); say `encoding: colours`",
        ),
        (
            many(6, label=lambda: tiny.png(tiny.ids(), "LA")),
            "6 of 10 labels: one channel of 8 bits was expected; its mo",
        ),
        (
            many(6, label=lambda: tiny.png(changed(tiny.ids(), 7))),
            "6 of 10 labels: ids that the description (fetch.dataset) does not know: 7; give each to a class or to",
        ),
        (
            many(6, label=lambda: tiny.png(tiny.ids(size=(9, 6)))),
            "6 of 10 labels are not of their frame's size: 9×6 pix",
        ),
    ],
)
def test_it_takes_one_line(tmp_path, files, line):
    [found] = problems(tmp_path, files)
    assert found.startswith(line)
    assert "; the first: " in found and "/train/m/000000_" in found


def test_missing_labels_and_frames_take_one_line_each(tmp_path):
    files = many(9)
    without = {name: None if name.startswith("gtFine") else data for name, data in files.items()}
    assert problems(tmp_path / "1", without) == [
        "9 of 13 frames have no label; gtFine/{split}/{drive}/{frame}_label.png was expected; the first: "
        "leftImg8bit/train/m/000000_image.jpg"
    ]
    without = {name: None if name.startswith("leftImg8bit") else data for name, data in files.items()}
    assert problems(tmp_path / "2", without) == [
        "9 of 13 labels have no frame; the first: gtFine/train/m/000000_label.png"
    ]


def test_labels_of_a_different_name_are_named_instead_of_the_missing_ones(tmp_path):
    without = {name: None for name in tiny.published() if name.startswith("gtFine")}
    assert problems(tmp_path, without, ["gtFine/train/a/000001_mask.png"] * 4) == [
        "train and val: 4 of 4 frames have no label; 4 files look like labels of a different name, for example "
        "gtFine/train/a/000001_mask.png; rename them as gtFine/{split}/{drive}/{frame}_label.png if they are such "
        "labels, or add their layout to the description (fetch.dataset)"
    ]


def test_all_unknown_ids_are_named_with_the_number_of_labels_of_each(tmp_path):
    labels = {f"gtFine/train/m/{number:06}_label.png": tiny.ids() for number in range(45)}
    for number, label in enumerate(labels.values()):
        label[-1, -2:] = 20 + number, 30
    [line] = problems(tmp_path, many(45) | {name: tiny.png(label) for name, label in labels.items()})
    assert line.startswith(
        "45 of 49 labels: ids that the description (fetch.dataset) does not know: 30 (45), 20 (1), 21 (1), 22 (1), "
    )
    assert ", 59 (1), 5 more; give each to a class or to void there, or correct the labels; the first: " in line
    assert line.count("(1)") == 39


def test_the_most_frequent_details_are_named():
    kind = Kind("", "{count} of {labels} labels: {detail}")
    found = [Problem(kind, "file", tuple(map(str, range(number, 7)))) for number in range(7)]
    [line] = listing(found, labels=1000).splitlines()
    assert line == "  7 of 1,000 labels: 6 (7), 5 (6), 4 (5), 3 (4), 2 (3), 2 more; the first: file"


def test_the_listing_is_cut():
    found = [Problem(Kind(f"wrong in way {number}", ""), "file") for number in range(23)]
    lines = listing(found).splitlines()
    assert len(lines) == 21
    assert lines[19:] == ["  file: wrong in way 19", "  … and 3 more"]


def test_the_number_of_problems_counts_each_file(tmp_path):
    root = source(tmp_path, many(7, frame=lambda: b"") | tiny.published())
    with pytest.raises(UserError, match="the source: 7 problems in the data set;"):
        check(root, "the source", Seen(), DESCRIPTION)


def test_a_failed_check_names_files_relative_to_the_data_set(tmp_path):
    found = problems(tmp_path, {FRAME: b"", LABEL: b""})
    assert [line.split(":")[0] for line in found] == [FRAME, LABEL]
    assert not any(str(tmp_path) in line for line in found)
