"""Which frames are read."""

import io

import numpy as np
import pytest
from PIL import Image

from segcore.fetch.pictures import read_frame
from tests.support import handmade_png, tiny
from tests.support.handmade_png import exif
from tests.support.labels import refusal

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3))


def frame(folder, data, suffix=".jpg"):
    (folder / f"frame{suffix}").write_bytes(data)
    return read_frame(folder / f"frame{suffix}")


def problem(folder, data, suffix=".jpg"):
    return refusal(frame, folder, data, suffix)


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpegs_and_pngs_in_rgb_and_grey(tmp_path, mode):
    assert frame(tmp_path, tiny.jpeg(mode=mode)).mode == mode
    assert frame(tmp_path, tiny.png(tiny.ids(), mode), ".png").mode == mode


@pytest.mark.parametrize("interlaced", [False, True])
def test_the_pixels_of_a_png(tmp_path, interlaced):
    data = handmade_png.make(RGB, 8, handmade_png.RGB, interlaced)
    np.testing.assert_array_equal(np.asarray(frame(tmp_path, data, ".png")), RGB)


@pytest.mark.parametrize(
    ("data", "suffix", "mode"),
    [
        (tiny.jpeg(mode="CMYK"), ".jpg", "CMYK"),
        (tiny.png(tiny.ids(), "RGBA"), ".png", "RGBA"),
        (tiny.png(tiny.ids(), "LA"), ".png", "LA"),
        (tiny.palette_png(tiny.ids()), ".png", "P"),
        (handmade_png.make(RGB, 16, handmade_png.RGB), ".png", "RGB;16B"),
        (handmade_png.make(RGB[..., 0], 16), ".png", "I;16"),
        (handmade_png.make(RGB[..., 0] % 16, 4), ".png", "L;4"),
        (handmade_png.make(RGB[..., 0] % 2, 1), ".png", "1"),
    ],
)
def test_other_modes(tmp_path, data, suffix, mode):
    said = problem(tmp_path, data, suffix)
    assert said == f"RGB or grey of 8 bits was expected; its mode is {mode}; save it as RGB"


def test_a_png_with_a_transparent_colour(tmp_path):
    transparent = handmade_png.chunk(b"tRNS", bytes([0, 1, 0, 2, 0, 3]))
    data = handmade_png.make(RGB, 8, handmade_png.RGB, before=transparent)
    assert problem(tmp_path, data, ".png") == "a transparent colour; save it as RGB without"


def test_an_animated_png(tmp_path):
    pictures = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    data = saved(pictures[0], "PNG", save_all=True, append_images=pictures[1:])
    assert problem(tmp_path, data, ".png") == "an animation; save it as RGB without"


# Orientation


def turned_jpeg(orientation, endian="<"):
    return saved(Image.new("RGB", (8, 6)), "JPEG", exif=b"Exif\0\0" + exif(orientation, endian))


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_frame_that_some_readers_turn_is_refused(tmp_path, orientation, endian):
    said = problem(tmp_path, turned_jpeg(orientation, endian))
    assert said.startswith(f"EXIF orientation {orientation}, by which some readers turn a picture and others do not; ")
    assert "exiftool -Orientation= FILE" in said and "mogrify -auto-orient FILE" in said


def test_a_frame_with_an_orientation_in_xmp(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert "EXIF orientation 6" in problem(tmp_path, saved(Image.new("RGB", (8, 6)), "JPEG", xmp=xmp))


@pytest.mark.parametrize("data", [b"", b"Exif\0\0", b"Exif\0\0" + exif(0), b"Exif\0\0" + exif(1), b"Exif\0\0junk!!"])
def test_a_frame_that_no_reader_turns(tmp_path, data):
    (tmp_path / "frame.jpg").write_bytes(saved(Image.new("RGB", (8, 6)), "JPEG", exif=data))
    assert read_frame(tmp_path / "frame.jpg").size == (8, 6)


def test_a_png_that_some_readers_turn_is_refused(tmp_path):
    data = handmade_png.make(RGB, 8, handmade_png.RGB, after=handmade_png.chunk(b"eXIf", exif(6)))
    assert problem(tmp_path, data, ".png").startswith("EXIF orientation 6, by which some readers turn a picture")


# Other files


@pytest.mark.parametrize(
    ("data", "suffix", "said"),
    [
        (tiny.png(tiny.ids()), ".jpg", "a PNG, not a JPEG; save it as JPEG; a different name is not enough"),
        (tiny.jpeg(), ".png", "a JPEG, not a PNG; save it as PNG; a different name is not enough"),
        (b"<!DOCTYPE html><p>", ".jpg", "a web page, not a JPEG; log in to its site, and download it again"),
        (b"nothing", ".jpg", "not a JPEG picture"),
        (b"", ".png", "not a PNG picture"),
        (tiny.png(tiny.ids())[:-30], ".png", "unreadable ("),
    ],
)
def test_a_file_of_a_different_format_is_named(tmp_path, data, suffix, said):
    assert problem(tmp_path, data, suffix).startswith(said)
