import numpy as np
import pytest
from PIL import Image

from segcore.dataset.classes import VOID, VOID_COLOUR
from segcore.drawing import pictures
from segcore.files.params import PARAMS
from segcore.runtime.errors import UserError
from segcore.runtime.typed import validate
from stages.render import RenderParams
from tests.support.idd_lite import COLOURS, SAMPLE

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour, size):
    return Image.new("RGB", size, colour)


def pixels_of(picture, colour):
    return np.all(np.asarray(picture) == colour, axis=2)


def colours(picture):
    return [tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()]


def labels(*rows):
    return np.array(rows, np.uint8)


def test_colourise_gives_each_class_and_void_its_colour():
    picture = pictures.colourise(labels([0, 1, 2, 3], [4, 5, 6, VOID]), COLOURS)
    assert picture.size == (4, 2)
    assert colours(picture) == [*COLOURS, VOID_COLOUR]
    assert colours(pictures.colourise(labels([2, 1, 0, 3]), [RED, GREEN, BLUE])) == [BLUE, GREEN, RED, VOID_COLOUR]


def test_overlay_mixes_frame_and_colour():
    [mixed] = colours(pictures.overlay(plain((100, 200, 0), (1, 1)), labels([6]), COLOURS, opacity=0.5))
    expected = [(a + b) / 2 for a, b in zip((100, 200, 0), COLOURS[6], strict=True)]
    assert np.allclose(mixed, expected, atol=1)


def test_errors_are_in_the_true_colour_and_the_rest_is_grey():
    truth, prediction = labels([2, 2, 0]), labels([2, 6, 4])
    picture = pictures.error_map(plain(BLUE, (3, 1)), truth, prediction, COLOURS)
    right, living_missed, drivable_missed = colours(picture)
    assert living_missed == COLOURS[2]
    assert drivable_missed == COLOURS[0]
    assert len(set(right)) == 1


def test_void_is_never_an_error():
    picture = pictures.error_map(plain(BLUE, (2, 1)), labels([VOID, 5]), labels([3, 5]), COLOURS)
    void, right = colours(picture)
    assert void == right


@pytest.mark.parametrize("shape", [(2, 3), (4, 3), (3, 2)])
def test_sizes_that_do_not_fit_are_refused(shape):
    frame, truth, other = plain(RED, (3, 3)), np.zeros((3, 3), np.uint8), np.zeros(shape, np.uint8)
    with pytest.raises(ValueError):
        pictures.overlay(frame, other, COLOURS)
    with pytest.raises(ValueError):
        pictures.error_map(frame, truth, other, COLOURS)
    with pytest.raises(ValueError):
        pictures.error_map(frame, other, other, COLOURS)


def test_panel_scales_pictures_and_keeps_their_order():
    drawn = {"a": plain(RED, (4, 2)), "b": plain(GREEN, (60, 60)), "c": plain(BLUE, (30, 15))}
    panel = pictures.panel("title", drawn, width=30)
    red, green, blue = (pixels_of(panel, colour) for colour in (RED, GREEN, BLUE))
    assert (red.sum(), green.sum(), blue.sum()) == (30 * 15, 30 * 30, 30 * 15)
    lefts = [np.flatnonzero(mask.any(axis=0))[0] for mask in (red, green, blue)]
    tops = {np.flatnonzero(mask.any(axis=1))[0] for mask in (red, green, blue)}
    assert lefts[0] == 0
    assert lefts[1] - lefts[0] == lefts[2] - lefts[1] > 30
    assert len(tops) == 1


def test_title_and_captions_stand_above_the_pictures():
    def draw(title, caption):
        return np.asarray(pictures.panel(title, {caption: plain(RED, (90, 20))}, 90)).astype(int)

    bare = draw("", "")
    top_of_picture = np.flatnonzero((bare == RED).all(axis=2).any(axis=1))[0]
    titled, captioned = (np.flatnonzero((draw(*text) != bare).any(axis=(1, 2))) for text in (("T", ""), ("", "C")))
    assert 0 <= titled.min() < titled.max() < captioned.min() < captioned.max() < top_of_picture


@pytest.mark.parametrize(
    "classes",
    [
        SAMPLE.classes,
        {f"class {i}": (i + 1, 80, 200 - i) for i in range(64)},
        {f"{i}" * 40: (i + 1, 80, 200 - i) for i in range(3)},
    ],
)
def test_legend_shows_every_colour_and_fits_the_width(classes):
    wide, narrow = pictures.legend(classes, 1300, "note"), pictures.legend(classes, 400, "note")
    for picture, width in ((wide, 1300), (narrow, 400)):
        assert picture.width <= width
        assert all(pixels_of(picture, colour).sum() >= 100 for colour in (*classes.values(), VOID_COLOUR))
    assert narrow.height > wide.height


def test_grid_sets_pictures_row_by_row():
    sheet = pictures.grid([plain(RED, (2, 1)), plain(GREEN, (1, 2)), plain(BLUE, (1, 1))], columns=2, gap=1)
    r, g, b, paper = RED, GREEN, BLUE, pictures.PAPER
    assert sheet.size == (4, 4)
    assert colours(sheet) == [
        *(r, r, paper, g),
        *(paper, paper, paper, g),
        *(paper, paper, paper, paper),
        *(b, paper, paper, paper),
    ]


def test_page_has_a_margin_on_each_side():
    page = np.asarray(pictures.page(plain(RED, (20, 5)), plain(BLUE, (10, 5))))
    edges = np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])
    assert (edges == pictures.PAPER).all()
    red_rows, blue_rows = (np.flatnonzero(pixels_of(page, colour).any(axis=1)) for colour in (RED, BLUE))
    assert len(red_rows) == len(blue_rows) == 5
    assert red_rows.max() < blue_rows.min()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("frames", 0),
        ("frames", 51),
        ("frames", "3"),
        ("frames", True),
        ("test_frames", -1),
        ("test_frames", 51),
        ("colour", 1),
    ],
)
def test_wrong_params_are_named(key, value):
    with pytest.raises(UserError, match=rf"render\.{key}"):
        validate({"frames": 3, "test_frames": 0, key: value}, RenderParams, PARAMS, "render")


@pytest.mark.parametrize(
    ("total", "wanted", "chosen"),
    [(10, 1, [5]), (10, 2, [2, 7]), (12, 4, [1, 4, 7, 10]), (3, 5, [0, 1, 2]), (0, 4, []), (4, 0, [])],
)
def test_evenly_spaced(total, wanted, chosen):
    assert pictures.evenly(list(range(total)), wanted) == chosen
