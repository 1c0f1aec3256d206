"""Which labels with ids are read, and which class ids each has however it is stored."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support import handmade_png, labels, tiny
from tests.support.idd_lite import DESCRIPTION
from tests.support.labels import CAR, ROAD, SKY, VOID, described, refusal

IDS = np.array([0, 1, 2, 3, 4, 5, 6, 255], dtype=np.uint8)


def label(folder, data):
    return labels.read(folder, data, DESCRIPTION)


def problem(folder, data):
    return refusal(label, folder, data)


def greys(*values):
    return [(value, value, value) for value in values]


def any_of(values, size=(13, 11), seed=0):
    """A label H×W with each of the values."""
    chosen = np.random.default_rng(seed).choice(values, size[::-1]).astype(np.uint8)
    chosen.flat[: len(values)] = values
    return chosen


# Grey of few bits


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("bits", "values"), [(1, [0]), (2, [0, 1, 2, 3]), (2, [1, 2]), (4, range(7)), (4, [1, 5])])
def test_the_stored_values_of_few_bits_are_the_ids(tmp_path, bits, values, interlaced):
    ids = any_of(values)
    found = label(tmp_path, handmade_png.make(ids, bits, interlaced=interlaced))
    np.testing.assert_array_equal(found.picture, ids)
    assert found.origin


@pytest.mark.parametrize(("bits", "values"), [(1, [0, 1]), (1, [1]), (2, [0, 3]), (2, [3]), (4, [0, 15])])
def test_black_and_white_of_few_bits_is_refused(tmp_path, bits, values):
    """An optimiser stores a label of 0 and 255 in one bit, as 0 and 1; a different tool may mean class 1."""
    said = problem(tmp_path, handmade_png.make(any_of(values), bits))
    assert said == (f"{bits}-bit grey, in which white may be a class id or void; save the class ids as 8-bit grey PNG")


@pytest.mark.parametrize("interlaced", [False, True])
def test_8_bit_grey_is_as_it_is(tmp_path, interlaced):
    ids = any_of(IDS)
    found = label(tmp_path, handmade_png.make(ids, 8, interlaced=interlaced))
    np.testing.assert_array_equal(found.picture, ids)
    assert not found.origin


# Palettes


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(st.permutations(list(IDS)), st.integers(1, 8), st.sampled_from([1, 2, 4, 8]), st.booleans(), st.booleans())
def test_an_optimised_grey_label_keeps_its_ids(tmp_path_factory, order, count, bits, interlaced, padded):
    """Optimisers number the greys that occur, in any order; some fill the palette up."""
    count = min(count, 2**bits)
    values = np.array(order[:count])
    ids = any_of(values)
    indices = (ids[..., None] == values).argmax(axis=-1)
    palette = greys(*values.tolist()) + greys(*[0] * (2**bits - count) * padded)
    data = handmade_png.make(indices, bits, handmade_png.PALETTE, interlaced, palette)
    found = label(tmp_path_factory.mktemp("label"), data)
    np.testing.assert_array_equal(found.picture, ids)
    assert found.origin


COLOURS = [(128, 64, 128), (244, 154, 232), (220, 20, 60), (70, 70, 70), (153, 153, 153), (0, 255, 0), (4, 4, 4)]
COLOURED = COLOURS + greys(*[9] * 248) + [(0, 0, 0)]  # of 256 entries, void black


@pytest.mark.parametrize("values", [IDS, [255], [3, 4], [3, 4, 255], [6], [0, 255]])
def test_the_indices_of_a_palette_with_colours_are_the_ids(tmp_path, values):
    """Also where a label uses nothing but its greys: black for void is not class 0."""
    ids = any_of(values)
    found = label(tmp_path, handmade_png.make(ids, 8, handmade_png.PALETTE, palette=COLOURED))
    np.testing.assert_array_equal(found.picture, ids)


@pytest.mark.parametrize("palette", [greys(*range(256)), greys(*range(7)), [*greys(*range(7)), *greys(*[0] * 249)]])
def test_a_palette_whose_greys_are_its_indices(tmp_path, palette):
    ids = any_of(IDS[:7])
    found = label(tmp_path, handmade_png.make(ids, 8, handmade_png.PALETTE, palette=palette))
    np.testing.assert_array_equal(found.picture, ids)


def test_an_identity_palette_does_not_hide_moved_greys(tmp_path):
    """Pillow fills an 8-bit palette up with entries whose grey is the index."""
    ids = any_of([0, 2, 5, 255])
    indices = np.searchsorted([0, 2, 5, 255], ids)
    palette = greys(0, 2, 5, 255, *range(4, 256))
    found = label(tmp_path, handmade_png.make(indices, 8, handmade_png.PALETTE, palette=palette))
    np.testing.assert_array_equal(found.picture, ids)


@pytest.mark.parametrize(
    ("palette", "used"),
    [
        (greys(0, 40, 80, 120, 160, 200, 240), range(7)),
        (greys(0, 42, 85, 127, 170, 212, 255), [0, 6]),  # the greys are ids, but those of class 1 are none
        (greys(0, 0, 0, 0), [0, 1, 2]),
        (greys(2, 2, 0, 3), [0, 1]),
    ],
)
def test_a_palette_of_greys_for_display_is_refused(tmp_path, palette, used):
    data = handmade_png.make(any_of(list(used)), 8, handmade_png.PALETTE, palette=palette)
    assert problem(tmp_path, data) == (
        "a palette of greys, of which either the greys or the indices may be the class ids; "
        "save the class ids as 8-bit grey PNG"
    )


# Labels that are refused


def test_ids_that_the_description_does_not_have(tmp_path):
    one, more = tiny.ids(), tiny.ids()
    one[2, 2:4] = 7
    more[2, 2:4] = 9, 254
    said = "ids that the description (fetch.dataset) does not know: {}; give each to a class or to void there, or "
    assert problem(tmp_path, tiny.png(one)) == said.format("7") + "correct the labels"
    assert problem(tmp_path, tiny.png(more)) == said.format("9, 254") + "correct the labels"
    coloured = handmade_png.make(more, 8, handmade_png.PALETTE, palette=COLOURED)
    assert problem(tmp_path, coloured) == said.format("9, 254") + "correct the labels"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_colour_mask(tmp_path, mode):
    assert problem(tmp_path, tiny.png(tiny.ids(), mode)) == (
        f"a colour mask and not ids (its mode is {mode}); say `encoding: colours` in the description (fetch.dataset), "
        "or save the class id of each pixel instead, as 8-bit grey PNG"
    )


@pytest.mark.parametrize(("array", "mode"), [(tiny.ids(), "LA"), (tiny.ids().astype(np.uint16), None)])
def test_other_modes_of_a_label(tmp_path, array, mode):
    said = problem(tmp_path, tiny.png(array, mode))
    assert said.startswith(f"one channel of 8 bits was expected; its mode is {mode or 'I;16'}")


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("bits", "colour", "alpha"),
    [(8, handmade_png.GREY, b"\0\xff"), (2, handmade_png.GREY, b"\0\1"), (8, handmade_png.PALETTE, b"\0\xff\xff")],
)
def test_a_label_with_transparency(tmp_path, bits, colour, alpha):
    palette = COLOURED if colour == handmade_png.PALETTE else []
    data = handmade_png.make(tiny.ids() % 3, bits, colour, palette=palette, before=handmade_png.chunk(b"tRNS", alpha))
    assert "a transparent colour" in problem(tmp_path, data)


def test_an_animated_label(tmp_path):
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (1, 2)]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert "an animation" in problem(tmp_path, data)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_label_that_some_readers_turn_is_refused(tmp_path, place):
    turned, upright = (handmade_png.chunk(b"eXIf", handmade_png.exif(value)) for value in (8, 1))
    assert problem(tmp_path, handmade_png.make(tiny.ids(), 8, **{place: turned})) == (
        "EXIF orientation 8, by which some readers turn it; save the class ids as 8-bit grey PNG"
    )
    assert not label(tmp_path, handmade_png.make(tiny.ids(), 8, **{place: upright})).origin


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiny.jpeg(), "a JPEG, not a PNG; save the class ids as 8-bit grey PNG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not a PNG; run `git lfs pull`"),
        (tiny.png(tiny.ids())[:-30], "unreadable ("),
    ],
)
def test_a_file_of_a_different_format_is_named(tmp_path, data, said):
    assert problem(tmp_path, data).startswith(said)


def test_a_label_of_a_different_size(tmp_path):
    for encoding in ("ids", "colours"):
        assert refusal(labels.read, tmp_path, tiny.png(tiny.ids()), described(encoding), (9, 6)) == (
            "8×6 pixels; its frame has 9×6"
        )


# Ids of the source that are not those in data/raw

SOURCE = np.array([7, 6, 26, 2, 0, 255], dtype=np.uint8)
MAPPED = np.array([ROAD, ROAD, CAR, SKY, VOID, VOID], dtype=np.uint8)


def stored(indices, how):
    """A label with the ids SOURCE[indices]."""
    if how == "grey":
        return tiny.png(SOURCE[indices])
    if how == "palette of greys":
        return handmade_png.make(indices, 4, handmade_png.PALETTE, palette=greys(*SOURCE.tolist()))
    return handmade_png.make(SOURCE[indices], 8, handmade_png.PALETTE, palette=COLOURED)


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("grey", "ids mapped by the description"),
        ("palette of greys", "the greys of a palette"),
        ("palette of colours", "the indices of a palette"),
    ],
)
def test_they_are_mapped(tmp_path, how, found):
    indices = any_of(range(6))
    made = labels.read(tmp_path, stored(indices, how), described("ids"))
    np.testing.assert_array_equal(np.asarray(made.picture), MAPPED[indices])
    assert made.origin == found


def test_ids_of_few_bits_are_mapped(tmp_path):
    found = labels.ids(tmp_path, handmade_png.make(np.array([[7, 6, 2, 0]]), 4), described("ids"))
    assert found.tolist() == [[ROAD, ROAD, SKY, VOID]]


def test_white_of_few_bits_is_refused_if_it_is_an_id_of_the_description(tmp_path):
    """In 2 bits white is stored as 3 and shown as 255, and 2 is shown as 170."""
    classes = {"road": {"colour": [1, 1, 1], "ids": [0, 3]}, "sky": {"colour": [2, 2, 2], "ids": [170]}}
    data = handmade_png.make(np.array([[0, 3]]), 2)
    read = described("ids", classes=classes, void={"ids": []})
    assert labels.ids(tmp_path, data, read).tolist() == [[0, 0]]
    assert "2-bit grey, in which white may be a class id" in refusal(labels.read, tmp_path, data, described("ids"))


def test_a_label_whose_ids_are_those_in_data_raw_is_not_written_anew(tmp_path):
    """Sky is 2 in both; 0 is void in the source and road in data/raw."""
    same, other = np.full((2, 3), SKY, np.uint8), np.full((2, 3), SKY, np.uint8)
    same[0, 0], other[0, 0] = VOID, 0
    assert labels.read(tmp_path, tiny.png(same), described("ids")).origin == ""
    assert labels.read(tmp_path, tiny.png(other), described("ids")).origin == "ids mapped by the description"
    assert labels.ids(tmp_path, tiny.png(other), described("ids"))[0, 0] == VOID


def test_class_ids_that_are_no_ids_of_the_source_are_refused(tmp_path):
    """A label that was converted before would get wrong classes without a word."""
    said = refusal(labels.read, tmp_path, tiny.png(np.array([[ROAD, CAR, SKY]], np.uint8)), described("ids"))
    assert said.startswith("ids that the description (fetch.dataset) does not know: 1; give each to a class")
