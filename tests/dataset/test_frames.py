"""Which frames there are below a root, and where their files stand."""

from pathlib import Path

import pytest

from segcore.dataset.frames import Frame, find_image, list_frames
from tests.support import tiny


def test_frames_are_listed_by_drive_and_name_as_text(tmp_path):
    names = ["10/000002", "9/000001", "10/000001"]
    tiny.write_folder(tmp_path, {f"leftImg8bit/train/{name}_image.jpg": b"" for name in names})
    tiny.write_folder(tmp_path, {"leftImg8bit/train/9/notes.txt": b"", "leftImg8bit/val/1/000003_image.jpg": b""})
    assert list_frames(tmp_path, "train") == [
        Frame("train", "10", "000001"), Frame("train", "10", "000002"), Frame("train", "9", "000001")
    ]  # fmt: skip
    assert list_frames(tmp_path, "test") == []


def test_paths_of_a_frame():
    frame = Frame("val", "7", "000123")
    assert frame.image(".jpg") == Path("leftImg8bit/val/7/000123_image.jpg")
    assert frame.image(".png") == Path("leftImg8bit/val/7/000123_image.png")
    assert frame.label == Path("gtFine/val/7/000123_label.png")


def test_a_picture_is_a_jpeg_or_a_png(tmp_path):
    names = ["1/a_image.jpg", "1/b_image.png", "1/b.c_image.png", "1/d_image.gif", "1/e.png", "1/f_image.JPG"]
    tiny.write_folder(tmp_path, {f"leftImg8bit/val/{name}": b"" for name in names})
    frames = list_frames(tmp_path, "val")
    assert [frame.name for frame in frames] == ["a", "b", "b.c"]
    found = [find_image(tmp_path, frame).relative_to(tmp_path / "leftImg8bit/val") for frame in frames]
    assert list(map(str, found)) == names[:3]
    assert find_image(tmp_path, Frame("val", "1", "none")).name == "none_image.jpg"


@pytest.mark.parametrize("drive", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_name_cannot_lead_to_a_different_folder(drive):
    with pytest.raises(ValueError, match="do not name a drive and a frame"):
        Frame("val", drive, "1")
