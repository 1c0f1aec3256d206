"""Which pictures are read, and which class ids a label has however it is stored."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segcore.fetch.pictures import read_frame, read_label
from segcore.fetch.problems import Wrong
from tests.support import handmade_png, tiny

IDS = np.array([0, 1, 2, 3, 4, 5, 6, 255], dtype=np.uint8)


def label(folder, data):
    (folder / "label.png").write_bytes(data)
    return read_label(folder / "label.png")


def problem(read, folder, data):
    """Return the problem of a picture, as the listing says it of one file."""
    (folder / "picture").write_bytes(data)
    with pytest.raises(Wrong) as wrong:
        read(folder / "picture")
    kind, details = wrong.value.kind, ", ".join(wrong.value.details)
    return kind.one.format(detail=details) + kind.remedy


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
    np.testing.assert_array_equal(found.ids, ids)
    assert found.source


@pytest.mark.parametrize(("bits", "values"), [(1, [0, 1]), (1, [1]), (2, [0, 3]), (2, [3]), (4, [0, 15])])
def test_black_and_white_of_few_bits_is_refused(tmp_path, bits, values):
    """An optimiser stores a label of 0 and 255 in one bit, as 0 and 1; a different tool may mean class 1."""
    said = problem(read_label, tmp_path, handmade_png.make(any_of(values), bits))
    assert said == (f"{bits}-bit grey, in which white may be a class id or void; save the class ids as 8-bit grey PNG")


@pytest.mark.parametrize("interlaced", [False, True])
def test_8_bit_grey_is_as_it_is(tmp_path, interlaced):
    ids = any_of(IDS)
    found = label(tmp_path, handmade_png.make(ids, 8, interlaced=interlaced))
    np.testing.assert_array_equal(found.ids, ids)
    assert not found.source


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
    np.testing.assert_array_equal(found.ids, ids)
    assert found.source


COLOURS = [(128, 64, 128), (244, 154, 232), (220, 20, 60), (70, 70, 70), (153, 153, 153), (0, 255, 0), (4, 4, 4)]
COLOURED = COLOURS + greys(*[9] * 248) + [(0, 0, 0)]  # of 256 entries, void black


@pytest.mark.parametrize("values", [IDS, [255], [3, 4], [3, 4, 255], [6], [0, 255]])
def test_the_indices_of_a_palette_with_colours_are_the_ids(tmp_path, values):
    """Also where a label uses nothing but its greys: black for void is not class 0."""
    ids = any_of(values)
    found = label(tmp_path, handmade_png.make(ids, 8, handmade_png.PALETTE, palette=COLOURED))
    np.testing.assert_array_equal(found.ids, ids)


@pytest.mark.parametrize("palette", [greys(*range(256)), greys(*range(7)), [*greys(*range(7)), *greys(*[0] * 249)]])
def test_a_palette_whose_greys_are_its_indices(tmp_path, palette):
    ids = any_of(IDS[:7])
    found = label(tmp_path, handmade_png.make(ids, 8, handmade_png.PALETTE, palette=palette))
    np.testing.assert_array_equal(found.ids, ids)


def test_an_identity_palette_does_not_hide_moved_greys(tmp_path):
    """Pillow fills an 8-bit palette up with entries whose grey is the index."""
    ids = any_of([0, 2, 5, 255])
    indices = np.searchsorted([0, 2, 5, 255], ids)
    palette = greys(0, 2, 5, 255, *range(4, 256))
    found = label(tmp_path, handmade_png.make(indices, 8, handmade_png.PALETTE, palette=palette))
    np.testing.assert_array_equal(found.ids, ids)


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
    assert problem(read_label, tmp_path, data) == (
        "a palette of greys, of which either the greys or the indices may be the class ids; "
        "save the class ids as 8-bit grey PNG"
    )


# Labels that are refused


def test_values_that_are_no_ids(tmp_path):
    one, more = tiny.ids(), tiny.ids()
    one[2, 2:4] = 7
    more[2, 2:4] = 9, 254
    expected = "class ids 0 to 6 and 255 were expected; it also has"
    assert problem(read_label, tmp_path, tiny.png(one)) == f"{expected} 7; if it is void, set it to 255"
    assert problem(read_label, tmp_path, tiny.png(more)) == f"{expected} 9, 254; if one of them is void, set it to 255"
    coloured = handmade_png.make(more, 8, handmade_png.PALETTE, palette=COLOURED)
    assert f"{expected} 9, 254" in problem(read_label, tmp_path, coloured)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_colour_mask(tmp_path, mode):
    said = problem(read_label, tmp_path, tiny.png(tiny.ids(), mode))
    assert said == (
        f"a colour mask and not ids (its mode is {mode}); save the class id of each pixel instead, as 8-bit grey PNG"
    )


@pytest.mark.parametrize(("array", "mode"), [(tiny.ids(), "LA"), (tiny.ids().astype(np.uint16), None)])
def test_other_modes_of_a_label(tmp_path, array, mode):
    said = problem(read_label, tmp_path, tiny.png(array, mode))
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
    assert "a transparent colour" in problem(read_label, tmp_path, data)


def test_an_animated_label(tmp_path):
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (1, 2)]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert "an animation" in problem(read_label, tmp_path, data)


# Orientation


def exif(orientation, endian="<", kind=3):
    """EXIF data with nothing but an orientation, a 16-bit number unless ``kind`` says otherwise."""
    value = struct.pack(f"{endian}HHIHH", 0x112, kind, 1, orientation, 0)
    return {"<": b"II*\0", ">": b"MM\0*"}[endian] + struct.pack(f"{endian}IH", 8, 1) + value + bytes(4)


def turned_jpeg(orientation, endian="<"):
    return saved(Image.new("RGB", (8, 6)), "JPEG", exif=b"Exif\0\0" + exif(orientation, endian))


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_frame_that_some_readers_turn_is_refused(tmp_path, orientation, endian):
    said = problem(read_frame, tmp_path, turned_jpeg(orientation, endian))
    assert said.startswith(f"EXIF orientation {orientation}, by which some readers turn a picture and others do not; ")
    assert "exiftool -Orientation= FILE" in said and "mogrify -auto-orient FILE" in said


def test_a_frame_with_an_orientation_in_xmp(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert "EXIF orientation 6" in problem(read_frame, tmp_path, saved(Image.new("RGB", (8, 6)), "JPEG", xmp=xmp))


@pytest.mark.parametrize("data", [b"", b"Exif\0\0", b"Exif\0\0" + exif(0), b"Exif\0\0" + exif(1), b"Exif\0\0junk!!"])
def test_a_frame_that_no_reader_turns(tmp_path, data):
    (tmp_path / "frame.jpg").write_bytes(saved(Image.new("RGB", (8, 6)), "JPEG", exif=data))
    assert read_frame(tmp_path / "frame.jpg").size == (8, 6)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_label_that_some_readers_turn_is_refused(tmp_path, place):
    data = handmade_png.make(tiny.ids(), 8, **{place: handmade_png.chunk(b"eXIf", exif(8))})
    said = "EXIF orientation 8, by which some readers turn it; save the class ids as 8-bit grey PNG"
    assert problem(read_label, tmp_path, data) == said
    upright = handmade_png.make(tiny.ids(), 8, **{place: handmade_png.chunk(b"eXIf", exif(1))})
    assert not label(tmp_path, upright).source


# Frames


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_frames_in_rgb_and_grey(tmp_path, mode):
    (tmp_path / "frame.jpg").write_bytes(tiny.jpeg(mode=mode))
    assert read_frame(tmp_path / "frame.jpg").mode == mode


def test_a_frame_of_a_different_mode(tmp_path):
    said = problem(read_frame, tmp_path, tiny.jpeg(mode="CMYK"))
    assert said == "RGB or grey was expected; its mode is CMYK; save it as RGB"


@pytest.mark.parametrize(
    ("read", "data", "said"),
    [
        (read_frame, tiny.png(tiny.ids()), "a PNG, not a JPEG; save it as JPEG; a different name is not enough"),
        (read_label, tiny.jpeg(), "a JPEG, not a PNG; save the class ids as 8-bit grey PNG"),
        (
            read_frame,
            b"<!DOCTYPE html><p>",
            "a web page, not a JPEG; log in to its site, and download it again",
        ),
        (
            read_label,
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, not a PNG; run `git lfs pull`",
        ),
        (read_frame, b"nothing", "not a JPEG picture"),
        (read_frame, b"", "not a JPEG picture"),
        (read_label, tiny.png(tiny.ids())[:-30], "unreadable ("),
    ],
)
def test_a_file_of_a_different_format_is_named(tmp_path, read, data, said):
    assert problem(read, tmp_path, data).startswith(said)
