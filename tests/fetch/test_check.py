"""Problems of a data set as a whole, how they are listed, and which labels are written anew."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.check import check
from segcore.fetch.layouts import Seen
from segcore.files import images
from segcore.runtime.errors import UserError
from tests.support import handmade_png, tiny

FRAME = "leftImg8bit/train/a/000001_image.jpg"
LABEL = "gtFine/train/a/000001_label.png"


def problems(tmp_path, changes, passed_over=()):
    """The lines of the listing for the tiny data set with ``changes``; a change to ``None`` removes the file."""
    files = {name: data for name, data in (tiny.published() | changes).items() if data is not None}
    seen = Seen()
    for path in passed_over:
        seen.add(path)
    try:
        check(tiny.write_folder(tmp_path / "raw", files), "the source", seen)
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


def test_a_test_split_is_optional_and_the_others_are_not(tmp_path):
    for split, expected in [("test", []), ("val", ["val: no frames"]), ("train", ["train: no frames"])]:
        without = {name: None for name in tiny.published() if f"/{split}/" in name}
        assert problems(tmp_path / split, without) == expected


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
    root = tiny.write_folder(tmp_path, tiny.published() | labels)
    assert check(root, "the source", Seen()) == {
        "the indices of a palette": 3, "the stored values of 1-, 2- or 4-bit grey": 1
    }  # fmt: skip
    assert check(root, "the source", Seen()) == {}


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
        "gtFine/train/a/000002_label.png: its palette has a different colour for index 0, 2 than the labels before it: "
        "a colour mask and not ids; save the class id of each pixel instead, as 8-bit grey PNG"
    )


# Single problems


@pytest.mark.parametrize("value", [7, 254])
def test_values_next_to_the_valid_ones(tmp_path, value):
    label = tiny.ids()
    label[-1, -1] = value
    [problem] = problems(tmp_path, {LABEL: tiny.png(label)})
    assert problem.endswith(f"it also has {value}; if it is void, set it to 255")


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
        "leftImg8bit/val/c/000004_image.jpg: no label gtFine/val/c/000004_label.png",
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
        (many(6, frame=lambda: tiny.jpeg(mode="CMYK")), "6 of 11 frames are neither RGB nor grey: mode CMYK; save it"),
        (many(6, frame=lambda: tiny.jpeg()[:-20]), "6 of 11 frames: unreadable (image file is truncated"),
        (many(6, label=lambda: tiny.png(tiny.ids(), "RGB")), "6 of 10 labels are colour masks and not ids (mode RGB);"),
        (
            many(6, label=lambda: tiny.png(tiny.ids(), "LA")),
            "6 of 10 labels: one channel of 8 bits was expected; its mo",
        ),
        (
            many(6, label=lambda: tiny.png(changed(tiny.ids(), 7))),
            "7 occurs in 6 of 10 labels; if it is void, set it to",
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
        "9 of 13 frames have no label; the first: leftImg8bit/train/m/000000_image.jpg"
    ]
    without = {name: None if name.startswith("leftImg8bit") else data for name, data in files.items()}
    assert problems(tmp_path / "2", without) == [
        "9 of 13 labels have no frame; the first: gtFine/train/m/000000_label.png"
    ]


def test_labels_of_a_different_name_are_named_instead_of_the_missing_ones(tmp_path):
    without = {name: None for name in tiny.published() if name.startswith("gtFine")}
    assert problems(tmp_path, without, ["gtFine/train/a/000001_mask.png"] * 4) == [
        "train and val: 4 of 4 frames have no label NAME_label.png; 4 files look like labels of a different name, "
        "for example gtFine/train/a/000001_mask.png; rename them if they are ids"
    ]


def test_different_values_are_counted(tmp_path):
    labels = {f"gtFine/train/m/{number:06}_label.png": tiny.ids() for number in range(5)}
    for number, label in enumerate(labels.values()):
        label[-1, -2:] = 20 + number, 30
    files = many(5) | {name: tiny.png(label) for name, label in labels.items()}
    [line] = problems(tmp_path, files)
    assert line.startswith(
        "5 of 9 labels have values that are no class ids: 30 (5), 20 (1), 21 (1), 22 (1), 23 (1), 1 more; "
        "if one of them is void, set it to 255; the first: "
    )


def test_the_listing_is_cut(tmp_path):
    """Each of 23 labels has a different wrong value, which is a kind of its own."""
    labels = {f"gtFine/train/m/{number:06}_label.png": changed(tiny.ids(), 20 + number) for number in range(23)}
    lines = problems(tmp_path, many(23) | {name: tiny.png(label) for name, label in labels.items()})
    assert len(lines) == 21
    assert lines[-1] == "… and 3 more"


def test_the_number_of_problems_counts_each_file(tmp_path):
    with pytest.raises(UserError, match="the source: 7 problems in the data set "):
        check(tiny.write_folder(tmp_path, many(7, frame=lambda: b"") | tiny.published()), "the source", Seen())


def test_a_failed_check_names_files_relative_to_the_data_set(tmp_path):
    assert not any(str(Path(tmp_path)) in line for line in problems(tmp_path, {FRAME: b"", LABEL: b""}))
