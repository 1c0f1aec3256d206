import warnings

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.check import check
from segcore.files import images
from segcore.runtime.errors import UserError
from tests.support import tiny

FRAME = "leftImg8bit/train/a/000001_image.jpg"
LABEL = "gtFine/train/a/000001_label.png"


def problems(tmp_path, changes, required=("train", "val", "test")):
    """The lines of the listing for the tiny data set with ``changes``; a change to ``None`` removes the file."""
    files = {name: data for name, data in (tiny.published() | changes).items() if data is not None}
    try:
        check(tiny.write_folder(tmp_path / "raw", files), "the source", required)
    except UserError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


def test_a_whole_data_set(tmp_path):
    assert problems(tmp_path, {}) == []


def test_a_label_with_a_palette_is_read_by_its_indices(tmp_path):
    assert problems(tmp_path, {LABEL: tiny.palette_png(tiny.ids())}) == []
    wrong = tiny.ids()
    wrong[2, 2:4] = 9, 250
    [problem] = problems(tmp_path, {LABEL: tiny.palette_png(wrong)})
    assert problem == f"{LABEL}: class ids 0 to 6 and 255 were expected; it also has 9, 250"


@pytest.mark.parametrize("value", [7, 254])
def test_values_next_to_the_valid_ones(tmp_path, value):
    label = tiny.ids()
    label[-1, -1] = value
    [problem] = problems(tmp_path, {LABEL: tiny.png(label)})
    assert problem.endswith(f"it also has {value}")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1"])
def test_a_label_of_a_wrong_mode(tmp_path, mode):
    label = np.zeros((6, 8), dtype=np.uint8)
    assert problems(tmp_path, {LABEL: tiny.png(label, mode)}) == [
        f"{LABEL}: one channel of 8 bits was expected; its mode is {mode}"
    ]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_frame_of_a_wrong_mode(tmp_path, mode):
    assert problems(tmp_path, {FRAME: tiny.jpeg(mode=mode)}) == [
        f"{FRAME}: an RGB picture was expected; its mode is {mode}"
    ]


def test_a_truncated_label_and_a_frame_that_is_a_png(tmp_path):
    found = problems(tmp_path, {LABEL: tiny.png(tiny.ids())[:-30], FRAME: tiny.png(tiny.ids())})
    assert found[0] == f"{FRAME}: not a JPEG picture"
    assert found[1].startswith(f"{LABEL}: unreadable (")
    assert len(found) == 2


def test_a_picture_that_claims_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 47)
    found = problems(tmp_path, {})
    assert len(found) == 9
    assert found[0] == f"{FRAME}: 8×6 pixels; at most 47 in all were expected"


def test_pillow_does_not_warn(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # Pillow warns from here on, and refuses from twice as much
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert problems(tmp_path, {}) == []
    assert "decompression bomb" in problems(tmp_path, {FRAME: tiny.jpeg(size=(20, 6))})[0]


def test_the_older_layout_needs_no_test_frames(tmp_path):
    without_test = {name: None for name in tiny.published() if "/test/" in name}
    assert problems(tmp_path / "1", without_test, ("train", "val")) == []
    assert problems(tmp_path / "2", without_test) == ["test: no frames"]


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
