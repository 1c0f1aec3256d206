"""Resizing against Pillow called directly, statistics against numpy over whole arrays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.dataset.frames import Frame, find_image
from segcore.files import arrays
from segcore.preprocess.resize import PreprocessParams
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES, save_dataset
from tests.support.raw_frames import build_arrays, write_raw
from tests.support.running import ROOT, assert_fails, run_stage
from tests.support.tiny import contents, ids, jpeg, palette_png, png


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path)


def evaluated(raw: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(raw).items() if "/val/" in name or "/test/" in name}


def test_pixels_are_those_of_pillow(tmp_path, raw):
    folder = build_arrays(tmp_path)
    for split, count in {"train": 14, "val": 1, "test": 2}.items():
        images, labels = arrays.load_images(split, folder), None
        if split != "test":
            images, labels = arrays.load_labelled(split, 7, folder)
        rows = arrays.read_rows(split, folder)
        assert len(images) == len(rows) == count
        for i, row in enumerate(rows):
            assert (row.height, row.width) == (28, 40)
            with Image.open(find_image(raw, row.frame)) as picture:
                assert np.array_equal(images[i], np.asarray(picture.resize((32, 16), Image.Resampling.BILINEAR)))
            if labels is not None:
                with Image.open(raw / row.frame.label) as picture:
                    assert np.array_equal(labels[i], np.asarray(picture.resize((32, 16), Image.Resampling.NEAREST)))


def test_statistics_are_those_of_the_whole_train_split(tmp_path, raw):
    folder = build_arrays(tmp_path)
    stats = json.loads((folder / "stats.json").read_text())
    images, labels = arrays.load_labelled("train", 7, folder)
    assert stats["mean"] == pytest.approx((images / 255).mean((0, 1, 2)).tolist(), abs=1e-6)
    assert stats["std"] == pytest.approx((images / 255).std((0, 1, 2)).tolist(), abs=1e-6)
    assert list(stats["share"].values()) == pytest.approx([(labels == c).mean() for c in range(7)], abs=1e-6)
    assert stats["void_share"] == pytest.approx((labels == 255).mean(), abs=1e-6)
    assert list(stats["share"]) == CLASSES


@pytest.mark.parametrize("classes", [["road", "car"], ["street", "sidewalk", "anything else"]])
def test_the_classes_are_those_of_the_data_set(tmp_path, classes):
    write_raw(tmp_path, {"train": ["1/000001", "1/000002"], "val": ["2/000001"]}, classes=classes)
    folder = build_arrays(tmp_path)
    stats = arrays.read_stats(folder)
    _, found = arrays.load_labelled("train", len(classes), folder)
    assert stats.classes == classes
    assert list(stats.share.values()) == pytest.approx([(found == c).mean() for c in range(len(classes))], abs=1e-6)
    assert sum(stats.share.values()) + stats.void_share == pytest.approx(1, abs=1e-5)


def test_labels_of_more_classes_than_the_data_set_has_are_refused(tmp_path, raw):
    save_dataset(tmp_path, classes=dict.fromkeys(CLASSES[:6], (0, 0, 0)))
    with pytest.raises(UserError, match=r"_label\.png: 6 is no id of the 6 classes; run `dvc repro`"):
        build_arrays(tmp_path)


def test_frames_may_be_png(tmp_path, raw):
    """They are read without loss, and copied with their own suffix."""
    expected = np.random.default_rng(1).integers(0, 256, (28, 40, 3), dtype=np.uint8)
    for frame in (Frame("val", "70", "000001"), Frame("test", "81", "000001")):
        find_image(raw, frame).unlink()
        (raw / frame.image(".png")).write_bytes(png(expected))
    folder = build_arrays(tmp_path)
    resized = np.asarray(Image.fromarray(expected).resize((32, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(arrays.load_images("val", folder)[0], resized)
    assert np.array_equal(arrays.load_images("test", folder)[1], resized)
    assert contents(tmp_path / "native") == evaluated(raw)


def test_what_is_scored_and_drawn_is_kept_at_native_size(tmp_path, raw):
    build_arrays(tmp_path)
    assert len(evaluated(raw)) == 4
    assert contents(tmp_path / "native") == evaluated(raw)


def test_an_empty_test_split_is_an_empty_array(tmp_path):
    write_raw(tmp_path, {"train": ["1/000001"], "val": ["2/000001"]})
    assert arrays.load_images("test", build_arrays(tmp_path)).shape == (0, 16, 32, 3)


@pytest.mark.parametrize("threads", ["1", "5"])
def test_the_same_bytes_for_any_number_of_threads(tmp_path, raw, monkeypatch, threads):
    expected = contents(build_arrays(tmp_path))
    monkeypatch.setenv("SEGCORE_THREADS", threads)
    assert contents(build_arrays(tmp_path)) == expected


def test_an_error_half_way_leaves_the_old_arrays(tmp_path, raw):
    expected = contents(build_arrays(tmp_path)), contents(tmp_path / "native")
    (raw / "leftImg8bit/test/81/000001_image.jpg").write_bytes(b"no JPEG")
    with pytest.raises(UserError, match=r"81/000001_image\.jpg: not a JPEG picture"):
        build_arrays(tmp_path)
    assert (contents(tmp_path / "arrays"), contents(tmp_path / "native")) == expected


def test_labels_with_a_palette_are_refused(tmp_path, raw):
    """Fetch has written them anew as 8-bit grey."""
    path = min(raw.glob("gtFine/*/*/*.png"))
    with Image.open(path) as picture:
        path.write_bytes(palette_png(np.asarray(picture)))
    with pytest.raises(
        UserError, match=f"{path.name}: grey of 8 bits was expected; it is stored as P; run `dvc repro`"
    ):
        build_arrays(tmp_path)


@pytest.mark.parametrize("content", ["", "split,drive\n", "split,drive,frame,height,width\nval,1,1,x,1\n"])
def test_a_damaged_frames_csv_is_named(tmp_path, content):
    (tmp_path / "frames.csv").write_text(content)
    with pytest.raises(UserError, match=r"frames\.csv: not the table that preprocess writes"):
        arrays.read_rows("val", tmp_path)


@pytest.mark.parametrize(("height", "reason"), [(20, "a multiple of 8"), (8, "greater than or equal to 16")])
def test_an_input_size_that_the_network_cannot_take_is_refused(height, reason):
    with pytest.raises(ValueError, match=reason):
        PreprocessParams(height=height, width=32, validation="official")


@pytest.mark.parametrize("length", [0, 50, 500])
def test_a_damaged_array_is_named(tmp_path, raw, length):
    folder = build_arrays(tmp_path)
    path = folder / "val_images.npy"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"val_images\.npy: not a complete \.npy file"):
        arrays.load_labelled("val", 7, folder)


def write_params(root: Path, text: str = "{height: 16, width: 32, validation: official}") -> None:
    (root / "params.yaml").write_text(f"preprocess: {text}\n")


def test_the_stage_writes_all_its_outputs(tmp_path, raw):
    write_params(tmp_path)
    done = run_stage("preprocess", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "14 train, 1 val, 2 test frames\n"
    names = {path.name for path in (tmp_path / "data/arrays").iterdir()}
    assert names == {f"{split}_images.npy" for split in ("train", "val", "test")} | {
        "train_labels.npy",
        "val_labels.npy",
        "frames.csv",
        "stats.json",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{height: 100, width: 32, validation: official}", "preprocess.height: a multiple of 8 was expected"),
        ("{height: 16, width: wide, validation: official}", "preprocess.width: "),
        ("{height: 16, width: 32, validation: best}", "preprocess.validation: "),
        ("{height: 16, width: 32, validation: official, depth: 3}", "preprocess.depth: unknown parameter"),
    ],
)
def test_a_wrong_parameter_stops_the_stage_before_any_work(tmp_path, raw, text, message):
    write_params(tmp_path, text)
    done = run_stage("preprocess", tmp_path)
    assert_fails(done, message)
    assert not (tmp_path / "data/arrays").exists()


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_arrays_and_no_debris(tmp_path, raw):
    write_params(tmp_path)
    assert run_stage("preprocess", tmp_path).returncode == 0
    before = contents(tmp_path / "data")

    done = run_stage("preprocess", tmp_path, file_limit=10_000)
    assert_fails(done, "File too large")
    assert contents(tmp_path / "data") == before


def test_missing_frames_are_told(tmp_path):
    write_params(tmp_path)
    done = run_stage("preprocess", tmp_path)
    assert done.returncode == 1
    assert "data/raw: no train frames" in done.stderr


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    """Peak memory of 100 and of 1,000 frames; the arrays of the 900 more take 184 MB."""
    peaks = []
    program = "import atexit, resource, runpy; "
    program += "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)); "
    program += "runpy.run_module('stages.preprocess', run_name='__main__')"
    for count in (100, 1000):
        root = tmp_path / str(count)
        write_raw(root, {"val": ["1/000001"], "test": ["2/000001"]})
        frame, label = jpeg((64, 48)), png(ids((64, 48)))
        for i in range(count):
            for tree, ending, content in (("leftImg8bit", "image.jpg", frame), ("gtFine", "label.png", label)):
                path = root / f"data/raw/{tree}/train/{i % 9}/{i:06}_{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        write_params(root, "{height: 160, width: 320, validation: official}")
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 40
