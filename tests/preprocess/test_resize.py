"""Resizing against Pillow called directly, statistics against numpy over whole arrays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.files import arrays
from segcore.preprocess import splits
from segcore.preprocess.resize import PreprocessParams, build
from segcore.preprocess.splits import choose_splits
from segcore.runtime.errors import UserError
from tests.support.running import ROOT, assert_fails, run_stage
from tests.support.tiny import contents, ids, jpeg, palette_png, png

PARAMS = PreprocessParams(height=16, width=32, validation="official")
HOLDOUT = PARAMS.model_copy(update={"validation": "holdout"})


def write_raw(root: Path, frames: dict[str, list[str]], size=(40, 28)) -> Path:
    """Frames ``DRIVE/NAME`` per split, of noise, with labels for train and val."""
    for split, names in frames.items():
        for i, name in enumerate(names):
            for tree, ending, content in (
                ("leftImg8bit", "image.jpg", jpeg(size, seed=i)),
                ("gtFine", "label.png", png(ids(size, seed=i))),
            ):
                if split != "test" or tree == "leftImg8bit":
                    path = root / tree / split / f"{name}_{ending}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
    return root


@pytest.fixture
def raw(tmp_path):
    train = [f"{drive}/{frame:06}" for drive in range(7) for frame in range(2)]
    return write_raw(tmp_path / "data/raw", {"train": train, "val": ["70/000001"], "test": ["80/000002", "81/000001"]})


def run(tmp_path: Path, params: PreprocessParams = PARAMS) -> Path:
    build(params, tmp_path / "data/raw", tmp_path / "arrays", tmp_path / "native")
    return tmp_path / "arrays"


def test_pixels_are_those_of_pillow(tmp_path, raw):
    folder = run(tmp_path)
    for split, count in {"train": 14, "val": 1, "test": 2}.items():
        images, labels = arrays.load_images(split, folder), None
        if split != "test":
            images, labels = arrays.load_labelled(split, folder)
        rows = arrays.read_rows(split, folder)
        assert len(images) == len(rows) == count
        for i, row in enumerate(rows):
            assert (row.height, row.width) == (28, 40)
            with Image.open(raw / row.frame.image) as picture:
                assert np.array_equal(images[i], np.asarray(picture.resize((32, 16), Image.Resampling.BILINEAR)))
            if labels is not None:
                with Image.open(raw / row.frame.label) as picture:
                    assert np.array_equal(labels[i], np.asarray(picture.resize((32, 16), Image.Resampling.NEAREST)))


def test_statistics_are_those_of_the_whole_train_split(tmp_path, raw):
    folder = run(tmp_path)
    stats = json.loads((folder / "stats.json").read_text())
    images, labels = arrays.load_labelled("train", folder)
    assert stats["mean"] == pytest.approx((images / 255).mean((0, 1, 2)).tolist(), abs=1e-6)
    assert stats["std"] == pytest.approx((images / 255).std((0, 1, 2)).tolist(), abs=1e-6)
    assert list(stats["share"].values()) == pytest.approx([(labels == c).mean() for c in range(7)], abs=1e-6)
    assert stats["void_share"] == pytest.approx((labels == 255).mean(), abs=1e-6)


def test_what_is_scored_and_drawn_is_kept_at_native_size(tmp_path, raw):
    run(tmp_path)
    expected = {name: data for name, data in contents(raw).items() if "/train/" not in name}
    assert contents(tmp_path / "native") == expected


def test_a_holdout_takes_whole_drives_of_train_and_leaves_the_official_val_alone(tmp_path, raw):
    official, holdout = choose_splits(raw, "official"), choose_splits(raw, "holdout")
    drives = {split: {frame.drive for frame in holdout[split]} for split in ("train", "val")}
    assert not drives["train"] & drives["val"]
    assert sorted(map(str, holdout["train"] + holdout["val"])) == sorted(map(str, official["train"]))
    assert len(holdout["val"]) == 2  # a seventh of 14
    assert holdout["test"] == official["test"]

    folder = run(tmp_path, HOLDOUT)
    held_out = holdout["val"][0]
    native = tmp_path / "native/gtFine/val" / held_out.drive / f"{held_out.name}_label.png"
    assert native.read_bytes() == (raw / held_out.label).read_bytes()
    assert not (tmp_path / "native/leftImg8bit/val/70").exists()
    assert [row.frame.split for row in arrays.read_rows("val", folder)] == ["val", "val"]


def test_a_holdout_of_one_drive_is_refused(tmp_path):
    raw = write_raw(tmp_path / "raw", {"train": ["1/000001", "1/000002"], "val": ["2/000001"]})
    with pytest.raises(UserError, match="more than one train drive is needed"):
        choose_splits(raw, "holdout")


def test_an_empty_test_split_is_an_empty_array(tmp_path):
    write_raw(tmp_path / "data/raw", {"train": ["1/000001"], "val": ["2/000001"]})
    assert arrays.load_images("test", run(tmp_path)).shape == (0, 16, 32, 3)


@pytest.mark.parametrize("threads", ["1", "5"])
def test_the_same_bytes_for_any_number_of_threads(tmp_path, raw, monkeypatch, threads):
    expected = contents(run(tmp_path))
    monkeypatch.setenv("SEGCORE_THREADS", threads)
    assert contents(run(tmp_path)) == expected


def test_an_error_half_way_leaves_the_old_arrays(tmp_path, raw):
    expected = contents(run(tmp_path)), contents(tmp_path / "native")
    (raw / "leftImg8bit/test/81/000001_image.jpg").write_bytes(b"no JPEG")
    with pytest.raises(UserError, match=r"81/000001_image\.jpg: not a JPEG picture"):
        run(tmp_path)
    assert (contents(tmp_path / "arrays"), contents(tmp_path / "native")) == expected


def test_labels_with_a_palette_are_refused(tmp_path, raw):
    """Fetch has written them anew as 8-bit grey."""
    path = min(raw.glob("gtFine/*/*/*.png"))
    with Image.open(path) as picture:
        path.write_bytes(palette_png(np.asarray(picture)))
    with pytest.raises(
        UserError, match=f"{path.name}: grey of 8 bits was expected; it is stored as P; run `dvc repro`"
    ):
        run(tmp_path)


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
    folder = run(tmp_path)
    path = folder / "val_images.npy"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"val_images\.npy: not a complete \.npy file"):
        arrays.load_labelled("val", folder)


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
        write_raw(root / "data/raw", {"val": ["1/000001"], "test": ["2/000001"]})
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


@pytest.mark.skipif("IDD_LITE_ARCHIVE" not in os.environ, reason="IDD_LITE_ARCHIVE names no archive")
def test_the_holdout_of_idd_lite_is_about_as_large_as_its_official_val(tmp_path):
    import tarfile

    with tarfile.open(os.environ["IDD_LITE_ARCHIVE"]) as archive:
        for name in archive.getnames():
            parts = Path(name).parts
            if len(parts) == 5 and name.endswith("_image.jpg"):
                path = tmp_path.joinpath(*parts[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    found = {split: len(frames) for split, frames in choose_splits(tmp_path, "holdout").items()}
    assert found["test"] == 404
    assert 190 <= found["val"] <= 230
    assert found["train"] + found["val"] == 1403
    assert found["val"] >= splits.HOLDOUT_SHARE * 1403
