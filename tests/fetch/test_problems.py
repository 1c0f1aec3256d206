"""Problems of single files, those that many files share, and how they are listed."""

import warnings

import pytest
from PIL import Image

from segcore.fetch.check import check
from segcore.fetch.layouts import Seen
from segcore.fetch.problems import Kind, Problem, listing
from segcore.files import images
from segcore.runtime.errors import UserError
from tests.support import tiny
from tests.support.checking import FRAME, LABEL, many, problems, source
from tests.support.idd_lite import DESCRIPTION

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
