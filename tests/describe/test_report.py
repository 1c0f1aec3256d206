"""The page about the data set: the stage run for real on a small set with known outliers."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from segcore.dataset.classes import VOID
from segcore.dataset.frames import Frame
from segcore.files import arrays
from tests.support.idd_lite import CLASSES, save_dataset
from tests.support.page import Page, browse
from tests.support.running import assert_fails, run_stage

SIZE = (32, 64)
FRAMES = {"train": 9, "val": 3, "test": 2}
SKY = CLASSES.index("sky")


@pytest.fixture
def project(tmp_path):
    """Arrays of three splits, each in drives of three frames; drive 0 is in all splits."""
    folder = tmp_path / "data/arrays"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    rows = []
    for split, count in FRAMES.items():
        np.save(folder / f"{split}_images.npy", rng.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8))
        if split != "test":
            np.save(folder / f"{split}_labels.npy", rng.integers(0, 6, (count, *SIZE), dtype=np.uint8))
        rows += [
            arrays.Row(Frame(split, f"{i // 3}", f"{split}{i}"), 227, 320 + (split == "test")) for i in range(count)
        ]
    arrays.write_rows(folder / "frames.csv", rows)
    save_dataset(tmp_path)
    return tmp_path


def change(project, name, **frames):
    path = project / f"data/arrays/{name}.npy"
    array = np.load(path)
    for i, value in frames.items():
        array[int(i[1:])] = value
    np.save(path, array)


def describe(project) -> Page:
    done = run_stage("describe", project)
    assert done.returncode == 0, done.stderr
    return Page((project / "data/report.html").read_text())


def test_splits_drives_sizes_and_classes_are_counted(project):
    labels = np.full(SIZE, SKY, np.uint8)
    labels[0, :2] = VOID
    change(project, "val_labels", _0=labels, _1=SKY, _2=SKY)
    page = describe(project)
    assert ["train", "9", "3", "3 / 3 / 3", "320×227"] in page.rows
    assert ["test", "2", "1", "2 / 2 / 2", "321×227"] in page.rows
    assert "Drives that are in more than one split: 0." in page.text
    [sky] = [row for row in page.rows if row[0] == "sky"]
    assert sky[1:] == ["0.00%", "99.97%", "0%", "100%"]
    [void] = [row for row in page.rows if row[0] == "void"]
    assert void[2::2] == ["0.03%", "33%"]
    assert page.is_whole()


def test_classes_are_those_of_the_data_set(project):
    about = "Streets <b>& roads</b>."
    save_dataset(project, about=about, classes={f"class {i}": (0, 10 * i, 255) for i in range(19)})
    change(project, "val_labels", _0=18, _1=18, _2=18)
    page = describe(project)
    assert about in page.text
    [last] = [row for row in page.rows if row[0] == "class 18"]
    assert last[2::2] == ["100.00%", "100%"]
    assert not any(row[0] in CLASSES for row in page.rows)
    _, content = page.pictures["val 0/val0"]
    # Half of the panel is the truth: the frame under the colour of class 18, which is (0, 180, 255).
    red, green, blue = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[:, -60:].mean((0, 1))
    assert (red, green, blue) == pytest.approx((0.3 * 127, 0.7 * 180 + 0.3 * 127, 0.7 * 255 + 0.3 * 127), abs=12)


def test_labels_of_other_classes_than_the_data_set_s_are_refused(project):
    save_dataset(project, classes={"road": (1, 2, 3), "sky": (4, 5, 6)})
    assert_fails(run_stage("describe", project), "train labels have values that are no id of the 2 classes")
    assert not (project / "data/report.html").exists()


def test_a_click_on_the_head_of_a_column_sorts_its_table(project):
    describe(project)
    click = "document.querySelectorAll('thead')[0].querySelectorAll('button')[1].click();"
    for clicks, order in ((1, ["9", "3", "2"]), (2, ["2", "3", "9"])):
        page = Page(browse(project / "data/report.html", click * clicks))
        assert [row[1] for row in page.rows[1:4]] == order
    assert page.rows[0][:3] == ["split", "frames", "drives"]


def test_frames_and_truth_are_shown(project):
    page = describe(project)
    assert {"val 0/val0", "val 0/val2", "test 0/test1"} <= page.pictures.keys()
    kind, content = page.pictures["val 0/val0"]
    assert kind == "jpeg"
    assert Image.open(io.BytesIO(content)).width > 2 * Image.open(io.BytesIO(page.pictures["test 0/test1"][1])).width


def test_places_of_the_classes_are_shown(project):
    for number in range(FRAMES["train"]):
        change(project, "train_labels", **{f"_{number}": VOID})
    top = np.full(SIZE, VOID, np.uint8)
    top[:16, :32] = SKY
    change(project, "train_labels", _0=top, _1=top, _2=top)
    page = describe(project)
    assert "sky: the lightest place has it in 33% of the frames" in page.text
    assert "living: the lightest place has it in 0% of the frames" in page.text
    _, content = page.pictures["sky"]
    light = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert (light[:14, :30] > 200).all()
    assert (light[18:] < 60).all()
    assert (light[:, 34:] < 60).all()


def test_the_frame_with_the_most_unusual_mix_comes_first(project):
    change(project, "train_labels", _4=SKY)
    assert re.search(r"in common\.\s+train 1/train4: divergence 0\.\d\d, 100% sky \(usual 8%\)", describe(project).text)


def test_frames_that_are_nearly_the_same_are_found_across_splits_and_within(project):
    train = np.load(project / "data/arrays/train_images.npy")
    darker = train[5] // 2
    change(project, "val_images", _1=darker)
    change(project, "train_images", _0=train[8])
    page = describe(project)
    assert "2 frames are nearly the same as a frame of a different split." in page.text
    assert "2 frames are nearly the same as a frame of the same split." in page.text
    pairs = [name for name in page.pictures if " and " in name]
    assert pairs[0] == "train 1/train5 and val 0/val1"
    assert "train 0/train0 and train 2/train8" in pairs


def test_the_same_arrays_give_the_same_bytes(project):
    describe(project)
    before = (project / "data/report.html").read_bytes()
    describe(project)
    assert (project / "data/report.html").read_bytes() == before


def test_the_test_split_may_be_empty(project):
    np.save(project / "data/arrays/test_images.npy", np.zeros((0, *SIZE, 3), np.uint8))
    rows = [row for split in ("train", "val") for row in arrays.read_rows(split, project / "data/arrays")]
    arrays.write_rows(project / "data/arrays/frames.csv", rows)
    assert not any(row[0] == "test" for row in describe(project).rows)


def test_arrays_that_do_not_fit_are_named_and_the_old_page_stays(project):
    (project / "data/report.html").write_text("old")
    np.save(project / "data/arrays/test_images.npy", np.zeros((3, *SIZE, 3), np.uint8))
    assert_fails(run_stage("describe", project), "data/arrays: 3 test frames, and 2 in frames.csv; run `dvc repro")
    assert (project / "data/report.html").read_text() == "old"
    assert {path.name for path in (project / "data").iterdir()} == {"arrays", "raw", "report.html"}


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_frames_is_named(project, split):
    folder = project / "data/arrays"
    np.save(folder / f"{split}_images.npy", np.zeros((0, *SIZE, 3), np.uint8))
    np.save(folder / f"{split}_labels.npy", np.zeros((0, *SIZE), np.uint8))
    arrays.write_rows(
        folder / "frames.csv", [row for other in {*FRAMES} - {split} for row in arrays.read_rows(other, folder)]
    )
    assert_fails(run_stage("describe", project), f"data/arrays: no {split} frames; run `dvc repro preprocess`")


def test_frames_of_one_colour_are_listed(project):
    change(project, "train_images", _2=0, _7=255)
    assert "Frames of one colour: 2: train 0/train2, train 2/train7." in describe(project).text
