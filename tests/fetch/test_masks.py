"""Which colour masks are read, and the class of each colour."""

import numpy as np
import pytest
from PIL import Image

from tests.support import handmade_png, labels, tiny
from tests.support.labels import CAR, ROAD, SKY, VOID, described, refusal

# `mask` replaces the colour to draw with, and several colours may be one class.
CLASSES = {
    (128, 64, 128): ROAD,
    (0, 0, 142): CAR,
    (0, 0, 70): CAR,
    (70, 130, 180): SKY,
    (0, 0, 0): VOID,
    (9, 9, 9): VOID,
}
COLOURS = np.array(list(CLASSES), dtype=np.uint8)
IDS = np.array(list(CLASSES.values()), dtype=np.uint8)
INDICES = np.random.default_rng(0).integers(0, len(COLOURS), (300, 400))  # more pixels than are looked up at once


def problem(folder, data):
    return refusal(labels.read, folder, data, described("colours"))


def with_alpha(alpha):
    return np.dstack([COLOURS[INDICES], np.full(INDICES.shape, alpha, np.uint8)])


@pytest.mark.parametrize(
    "data",
    [
        tiny.png(COLOURS[INDICES]),
        tiny.png(with_alpha(255)),
        handmade_png.make(INDICES, 4, handmade_png.PALETTE, palette=[tuple(map(int, each)) for each in COLOURS]),
    ],
    ids=["RGB", "RGBA", "palette"],
)
def test_each_colour_is_a_class(tmp_path, data):
    found = labels.read(tmp_path, data, described("colours"))
    np.testing.assert_array_equal(np.asarray(found.picture), IDS[INDICES])
    assert (found.picture.mode, found.origin, found.palette) == ("L", "the colours of a mask", {})


def test_grey_is_a_colour(tmp_path):
    assert labels.ids(tmp_path, tiny.png(np.array([[0, 9, 9]], np.uint8)), described("colours")).tolist() == [
        [VOID] * 3
    ]


def test_black_and_white_of_one_bit(tmp_path):
    classes = {"road": {"colour": [255, 255, 255]}, "sky": {"colour": [1, 1, 1]}}
    read = described("colours", classes=classes, void={"mask": [[0, 0, 0]]}, skip_names=[])
    assert labels.ids(tmp_path, handmade_png.make(np.array([[0, 1]]), 1), read).tolist() == [[VOID, 0]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiny.png(with_alpha(254)), "some of its pixels are transparent; save it as RGB of 8 bits"),
        (
            handmade_png.make(COLOURS[INDICES[:5, :5]], 16, handmade_png.RGB),
            "a colour mask of 8 bits was expected; its mode is RGB;16B; save it as RGB of 8 bits",
        ),
        (
            handmade_png.make(np.zeros((5, 5, 4)), 16, handmade_png.RGBA),
            "a colour mask of 8 bits was expected; its mode is RGBA;16B",
        ),
        (tiny.png(tiny.ids(), "LA"), "a colour mask of 8 bits was expected; its mode is LA"),
        (
            handmade_png.make(INDICES % 2, 8, before=handmade_png.chunk(b"tRNS", b"\0\0")),
            "a transparent colour; save it as RGB of 8 bits",
        ),
        (tiny.jpeg(), "a JPEG, not a PNG; save it as RGB of 8 bits"),
    ],
    ids=["alpha", "RGB of 16 bits", "RGBA of 16 bits", "grey with alpha", "a transparent colour", "JPEG"],
)
def test_masks_that_are_refused(tmp_path, data, said):
    assert problem(tmp_path, data).startswith(said)


def test_colours_that_the_description_does_not_have(tmp_path):
    mask = COLOURS[INDICES]
    mask[0, :2], mask[0, 2] = (0, 1, 0), (255, 254, 253)
    assert problem(tmp_path, tiny.png(mask)) == (
        "colours that the description (fetch.dataset) does not know: [0, 1, 0], [255, 254, 253]; give each to a class "
        "or to void there, or correct the labels"
    )
    without = described("colours", void={})  # black is no class then
    said = refusal(labels.read, tmp_path, tiny.png(COLOURS[INDICES]), without)
    assert "does not know: [9, 9, 9], [0, 0, 0]; " in said or "does not know: [0, 0, 0], [9, 9, 9]; " in said


def test_a_mask_that_was_compressed_with_loss_or_resized_takes_one_short_line(tmp_path):
    smooth = Image.fromarray(COLOURS[INDICES]).resize((200, 150), Image.Resampling.BILINEAR)
    said = problem(tmp_path, tiny.png(np.asarray(smooth)))
    assert said.startswith("more than 40 colours that the description (fetch.dataset) does not know, for example [")
    assert said.endswith("]; compression with loss and smooth resizing mix colours: use the masks as they were drawn")
    assert said.count("[") == 3
