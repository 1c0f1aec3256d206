"""Frames and labels as later stages read them: JPEG and PNG as RGB, and labels as 8-bit grey PNG only."""

import io

import numpy as np
import pytest
from PIL import Image

from segcore.files import images
from segcore.runtime.errors import UserError
from tests.support import handmade_png, tiny


def read_jpeg(tmp_path, data):
    (tmp_path / "x.jpg").write_bytes(data)
    return images.read_image(tmp_path / "x.jpg")


def read_png(tmp_path, data):
    (tmp_path / "x.png").write_bytes(data)
    return images.read_labels(tmp_path / "x.png", (8, 6), 7)


def encoded(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def picture_with_a_thumbnail():
    """A JPEG whose EXIF data contain a JPEG, which has an end and a start of a scan of its own."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + tiny.jpeg(seed=5)
    return encoded(Image.open(io.BytesIO(tiny.jpeg(size=(40, 30)))), exif=exif)


@pytest.mark.parametrize("interlaced", [False, True])
def test_8_bit_grey_is_read(tmp_path, interlaced):
    ids = tiny.ids()
    np.testing.assert_array_equal(read_png(tmp_path, handmade_png.make(ids, 8, interlaced=interlaced)), ids)


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (handmade_png.make(tiny.ids() % 4, 2), "L;2"),
        (handmade_png.make(tiny.ids() % 7, 4), "L;4"),
        (handmade_png.make(tiny.ids() % 2, 1), "1"),
        (tiny.palette_png(tiny.ids()), "P"),
        (tiny.png(np.zeros((6, 8, 3), np.uint8)), "RGB"),
        (tiny.png(np.zeros((6, 8), np.uint16)), "I;16B"),
    ],
)
def test_labels_that_fetch_would_have_written_anew_are_refused(tmp_path, data, stored):
    with pytest.raises(UserError, match=f"grey of 8 bits was expected; it is stored as {stored}; run `dvc repro`"):
        read_png(tmp_path, data)


@pytest.mark.parametrize("classes", [2, 3, 7, 19])
def test_labels_with_more_classes_are_refused(tmp_path, classes):
    ids = np.arange(48, dtype=np.uint8).reshape(6, 8) % classes
    ids[0, 0] = 255
    images.write_labels(tmp_path / "x.png", ids)
    np.testing.assert_array_equal(images.read_labels(tmp_path / "x.png", (8, 6), classes), ids)
    with pytest.raises(UserError, match=rf"x\.png: {classes - 1} is no id of the {classes - 1} classes; run `dvc"):
        images.read_labels(tmp_path / "x.png", (8, 6), classes - 1)


def test_a_png_frame_is_read_exactly(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    for stored in (frame[..., :3], frame):  # without and with transparency, which is not used
        (tmp_path / "x.png").write_bytes(tiny.png(np.ascontiguousarray(stored)))
        np.testing.assert_array_equal(images.read_image(tmp_path / "x.png"), frame[..., :3])


def test_a_png_frame_of_16_bits_grey_is_refused(tmp_path):
    """Pillow would clip all its values above 255."""
    (tmp_path / "x.png").write_bytes(tiny.png(np.full((6, 8), 300, np.uint16)))
    with pytest.raises(UserError, match=r"x\.png: 8 bits per channel were expected; it is stored as I;16B"):
        images.read_image(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("name", "content", "kind"), [("x.png", tiny.jpeg(), "PNG"), ("x.jpg", tiny.png(tiny.ids()), "JPEG")]
)
def test_the_suffix_says_the_format(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"not a {kind} picture"):
        images.read_image(tmp_path / name)


def test_a_grey_frame_is_read_as_rgb(tmp_path):
    grey = np.asarray(read_jpeg(tmp_path, tiny.jpeg(mode="L")))
    assert grey.shape == (6, 8, 3)
    assert (grey == grey[..., :1]).all()
    assert grey.std() > 10


BEHIND = {
    "nothing": b"",
    "a video": b"\0\0\0\x18ftypmp42" + bytes(1000),
    "starts of scans": b"\xff\xda" * 100,
    "ends": b"\xff\xd9" * 100,
    "a second picture": tiny.jpeg(seed=3),
    "noise": np.random.default_rng(0).bytes(500_000),
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("restarts", [0, 1])
@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_behind_a_picture_do_not_count(tmp_path, behind, restarts, progressive):
    noise = Image.open(io.BytesIO(tiny.jpeg(size=(90, 70))))
    data = encoded(noise, progressive=progressive, restart_marker_blocks=restarts)
    with Image.open(io.BytesIO(data)) as expected:
        assert read_jpeg(tmp_path, data + BEHIND[behind]) == expected.convert("RGB")


def test_a_thumbnail_does_not_end_a_picture(tmp_path):
    data = picture_with_a_thumbnail()
    assert data.count(b"\xff\xd9") == 2
    with Image.open(io.BytesIO(data)) as expected:
        assert read_jpeg(tmp_path, data + b"\xff\xda" * 100) == expected.convert("RGB")


def test_a_file_of_two_pictures_is_its_first(tmp_path):
    """A stereo camera's MPO: the header of the first picture points to the second one, behind its end."""
    first, second = (Image.open(io.BytesIO(tiny.jpeg(seed=seed))) for seed in (1, 2))
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    with Image.open(io.BytesIO(buffer.getvalue())) as expected:
        assert expected.format == "MPO"
        assert read_jpeg(tmp_path, buffer.getvalue()) == expected.convert("RGB")


def test_fill_bytes_before_a_marker(tmp_path):
    data = tiny.jpeg()
    assert read_jpeg(tmp_path, data[:-2] + b"\xff" * 50 + data[-2:] + b"\xff\xda" * 100).size == (8, 6)


def test_a_picture_without_its_end_is_truncated(tmp_path):
    with pytest.raises(UserError, match="image file is truncated"):
        read_jpeg(tmp_path, tiny.jpeg()[:-20])


def test_a_jpeg_of_very_many_segments_is_refused(tmp_path):
    data = tiny.jpeg()
    comment = b"\xff\xfe\0\x02"
    assert read_jpeg(tmp_path, data[:2] + comment * 9000 + data[2:]).size == (8, 6)
    with pytest.raises(UserError, match="more than 10,000 segments"):
        read_jpeg(tmp_path, data[:2] + comment * 10_000 + data[2:])
