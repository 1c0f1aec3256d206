"""Which files are predicted, and where to."""

import os
from pathlib import Path

import numpy as np
import pytest

from segcore.predict.inputs import Input, find_inputs, passed_over
from segcore.predict.table import Table
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES

OUT = Path("out")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def find(*given, out=OUT, confidence=False):
    return find_inputs([Path(name) for name in given], out, confidence)[0]


def test_a_folder_gives_the_paths_below_it():
    make("photos/b.JPG", "photos/day 1/frame_1_image.jpg", "photos/day 1/deep/c.tar.png", "photos/clip.MP4")
    assert find("photos") == [
        Input(Path("photos/b.JPG"), "b"),
        Input(Path("photos/clip.MP4"), "clip"),
        Input(Path("photos/day 1/deep/c.tar.png"), "day 1/deep/c.tar"),
        Input(Path("photos/day 1/frame_1_image.jpg"), "day 1/frame_1_image"),
    ]


def test_a_file_that_is_named_may_have_any_suffix():
    make("sub/picture", "sub/photo.xyz")
    assert [found.name for found in find("sub/picture", "sub/photo.xyz")] == ["photo", "picture"]


def test_outputs_of_pictures_and_videos():
    picture, video = Input(Path("in/1_image.jpg"), "a/1_image"), Input(Path("in/1.mov"), "a/1")
    assert picture.outputs(False) == ["a/1_image_label.png", "a/1_image_overlay.jpg"]
    assert picture.outputs(True) == [*picture.outputs(False), "a/1_image_confidence.png"]
    assert video.outputs(True) == ["a/1_overlay.mp4"]


def test_other_files_are_passed_over_and_counted():
    make("in/a.png", "in/b.heic", "in/c.HEIC", "in/README", "in/.hidden.png", "in/.cache/d.png", "in/._a.jpg")
    found, others = find_inputs([Path("in")], OUT, False)
    assert [item.name for item in found] == ["a"]
    assert passed_over(others) == "; passed over: 2 .heic, 1 without a suffix"
    assert passed_over(type(others)()) == ""


def test_the_folder_of_the_outputs_is_no_input():
    make("in/a.png", "in/out/a_overlay.jpg")
    assert [found.name for found in find("in", out=Path("in/out"))] == ["a"]


def test_results_of_an_earlier_run_are_no_input():
    make(
        "in/a.png", "in/legend.png", "in/old/sub/a_label.png", "in/old/sub/a_overlay.jpg", "in/old/sub/a_confidence.png"
    )
    make("in/old/clip_overlay.mp4", "in/old/legend.png", "in/old/mine.png", "in/more/predictions.csv", "in/more/b.png")
    table = Table(Path("in/old"))
    with table.open(CLASSES):
        for output in ("sub/a_label.png", "clip_overlay.mp4"):
            table.add(output, Path("a.png"), "model", np.ones(len(CLASSES)))
    Path("in/more/predictions.csv").write_text("a different table\n")
    assert [found.name for found in find("in")] == ["a", "legend", "more/b", "old/mine"]


def test_links_to_folders_are_followed_once():
    make("in/a.png", "elsewhere/b.png")
    Path("in/more").symlink_to(Path("elsewhere").absolute())
    Path("in/loop").symlink_to(Path("in").absolute())
    assert [found.name for found in find("in")] == ["a", "more/b"]
    Path("in/other").symlink_to("more")
    Path("in/b").mkdir()
    make("in/b/c.png")
    Path("in/alias").symlink_to("b")
    assert [found.name for found in find("in")] == ["a", "b/c", "more/b"]


def test_a_picture_and_a_video_of_one_name_have_different_outputs():
    make("in/IMG_1.jpg", "in/IMG_1.mov")
    assert len(find("in")) == 2


def test_one_file_given_twice_is_predicted_once():
    make("in/a.png")
    assert len(find("in", "in/a.png", "in")) == 1


@pytest.mark.parametrize(
    ("files", "given"),
    [
        (["in/a.jpg", "in/a.png"], ["in"]),
        (["in/a.jpg", "in/a.JPG"], ["in"]),
        (["x/a.jpg", "y/a.jpg"], ["x", "y"]),
        (["x/a.jpg", "y/a.png"], ["x/a.jpg", "y/a.png"]),
        (["x/a.mp4", "y/a.mov"], ["x", "y"]),
    ],
)
def test_two_inputs_for_one_output_are_refused(files, given):
    make(*files)
    with pytest.raises(UserError, match=f"(?s){files[0]}.*{files[1]}|{files[1]}.*{files[0]}") as caught:
        find(*given)
    assert "would both be predicted to out/a_" in str(caught.value)


def test_an_output_never_replaces_an_input():
    make("in/a.jpg", "in/a_label.png")
    with pytest.raises(UserError, match=r"in/a\.jpg would be predicted to in/a_label\.png, an input"):
        find("in/a.jpg", "in/a_label.png", out=Path("in"))
    make("x/b.jpg", "y/b_confidence.png")
    with pytest.raises(UserError, match=r"to y/b_confidence\.png, an input"):
        find("x", "y/b_confidence.png", out=Path("y"), confidence=True)


def test_the_folder_of_the_outputs_is_refused_as_input():
    make("in/a.png")
    with pytest.raises(UserError, match="in is the folder for the outputs, too"):
        find("in", out=Path("in/../in"))


def test_missing_inputs_are_all_named():
    make("a.png")
    with pytest.raises(UserError, match=r"no such file or folder: b\.png, c"):
        find("a.png", "b.png", "c")


def test_a_folder_without_pictures_is_refused():
    make("in/a.txt")
    with pytest.raises(UserError, match=r"no picture or video in in; passed over: 1 \.txt"):
        find("in")


def test_a_folder_that_cannot_be_read_is_an_error(monkeypatch):
    make("in/a.png", "in/sub/b.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        find("in")


def test_a_link_that_leads_nowhere_is_an_input():
    make("in/a.png")
    Path("in/b.png").symlink_to("nowhere")
    assert [found.name for found in find("in")] == ["a", "b"]
