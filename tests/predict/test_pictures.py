"""Pictures are read as people see them."""

import numpy as np
import pytest
from PIL import Image

from segcore.files.images import Unreadable
from segcore.predict.pictures import read_picture, write_picture
from tests.support.idd_lite import COLOURS

ORIENTATION = 274


@pytest.fixture
def pixels():
    """Four differently coloured quarters, wider than high."""
    colours = np.array([[[200, 0, 0], [0, 200, 0]], [[0, 0, 200], [200, 200, 0]]], np.uint8)
    return colours.repeat(16, axis=0).repeat(24, axis=1)


def read(path):
    return np.asarray(read_picture(path))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "gif", "tga"])
def test_formats_without_loss(tmp_path, pixels, suffix):
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "jp2", "avif"])
def test_formats_with_loss(tmp_path, pixels, suffix):
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    assert np.abs(read(tmp_path / f"a.{suffix}").astype(int) - pixels).mean() < 12


# How a camera that was turned stores the picture: rows and columns of what people see. EXIF 2.3, tag 0x0112.
STORED = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: np.rot90(seen, 2).swapaxes(0, 1),
    8: lambda seen: np.rot90(seen, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_exif_orientation_is_honoured(tmp_path, pixels, orientation, suffix):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    assert np.array_equal(read(tmp_path / f"a.{suffix}"), pixels)


def test_grey_of_8_and_of_16_bits_look_the_same(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = grey[..., None].repeat(3, axis=2)
    Image.fromarray(grey).save(tmp_path / "8.png")
    for name in ("16.png", "16.tif"):
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name)
        assert np.array_equal(read(tmp_path / name), expected)
    (tmp_path / "16.pgm").write_bytes(b"P5 16 16 65535\n" + (grey.astype(">u2") * 257).tobytes())
    assert np.array_equal(read(tmp_path / "16.pgm"), expected)
    assert np.array_equal(read(tmp_path / "8.png"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path, pixels, mode):
    picture = Image.fromarray(pixels).convert(mode)
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    picture.save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read(tmp_path / f"a.{suffix}"), np.asarray(picture.convert("RGB")))


def test_the_first_page_is_read(tmp_path, pixels):
    pages = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(read(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_32_bits_are_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(Unreadable, match="32-bit numbers of unknown range"):
        read_picture(tmp_path / "a.tif")


def test_a_picture_that_is_too_wide_for_a_jpeg_is_refused(tmp_path):
    Image.new("1", (65_501, 1)).save(tmp_path / "a.png")
    with pytest.raises(Unreadable, match="more than 65,500 pixels wide or high"):
        read_picture(tmp_path / "a.png")


def test_damaged_files(tmp_path, pixels):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    for name, damaged, reason in [
        ("short.jpg", content[: len(content) // 2], "unreadable"),
        ("empty.jpg", b"", "not a picture that Pillow can read"),
        ("text.png", b"hello\n", "not a picture that Pillow can read"),
    ]:
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(Unreadable, match=reason):
            read_picture(tmp_path / name)
    with pytest.raises(Unreadable, match="No such file"):
        read_picture(tmp_path / "missing.jpg")
    with pytest.raises(Unreadable, match="Is a directory"):
        read_picture(tmp_path)


def test_what_is_written(tmp_path, pixels):
    ids = np.arange(32 * 48, dtype=np.uint8).reshape(32, 48) % 7
    confidence = np.linspace(0, 1, ids.size, dtype=np.float32).reshape(ids.shape)
    paths = [tmp_path / name for name in (".a_label.png.partial", "b.jpg", "c.png")]
    write_picture(paths, Image.fromarray(pixels), ids, confidence, COLOURS)
    label, drawn, sure = (Image.open(path) for path in paths)
    assert label.mode == sure.mode == "L"
    assert np.array_equal(np.asarray(label), ids)
    assert (drawn.format, drawn.size) == ("JPEG", (48, 32))
    assert np.array_equal(np.asarray(sure), np.rint(confidence * 255))
