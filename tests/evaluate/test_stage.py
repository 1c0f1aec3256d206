"""The stage that predicts and applies the protocol of the data set."""

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from segcore.dataset.frames import Frame
from segcore.files import arrays
from segcore.inference.predictor import Predictor, to_native
from segcore.inference.protocol import Evaluation
from segcore.runtime.errors import UserError
from stages import evaluate
from tests.support.idd_lite import CLASSES, SAMPLE, save_dataset
from tests.support.protocol import nearest, random_pair, reference_iou
from tests.support.running import assert_fails, run_stage
from tests.support.tiny import contents
from tests.support.tiny_model import SIZE, save_tiny_model, tiny_network

pytestmark = pytest.mark.slow
MODEL = "data/model/erfnet.safetensors"


@pytest.fixture
def workspace(tmp_path):
    """Everything that evaluate reads: 3 val and 2 test frames, one of another native size, and a random network."""
    folder = tmp_path / "data/arrays"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(2)
    rows = []
    for split, count in {"val": 3, "test": 2}.items():
        images = rng.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
        np.save(folder / f"{split}_images.npy", images)
        for i in range(count):
            height, width = (50, 70) if i == 1 else (45, 64)
            frame = Frame(split, str(i), f"{i:06}")
            rows.append(arrays.Row(frame, height, width))
            if split == "val":
                path = tmp_path / "data/native" / frame.label
                path.parent.mkdir(parents=True)
                Image.fromarray(random_pair(rng, height, width)[0]).save(path)
    np.save(folder / "val_labels.npy", rng.integers(0, 7, (3, *SIZE), dtype=np.uint8))
    arrays.write_rows(folder / "frames.csv", rows)
    save_tiny_model(tmp_path / MODEL)
    save_dataset(tmp_path)
    set_flip(tmp_path, False)
    return tmp_path


def set_flip(workspace: Path, flip: bool) -> None:
    (workspace / "params.yaml").write_text(yaml.safe_dump({"evaluate": {"flip": flip}}))


def test_the_stage_predicts_at_native_size_and_scores_what_it_wrote(workspace):
    done = run_stage("evaluate", workspace)
    assert done.returncode == 0, done.stderr
    pairs = []
    for row in arrays.read_rows("val", workspace / "data/arrays") + arrays.read_rows("test", workspace / "data/arrays"):
        path = workspace / "data/predictions" / row.frame.prediction
        with Image.open(path) as picture:
            assert picture.mode == "L"
            assert picture.size == (row.width, row.height)
            prediction = np.asarray(picture)
        if row.frame.split == "val":
            with Image.open(workspace / "data/native" / row.frame.label) as picture:
                pairs.append((np.asarray(picture), prediction))
    assert len(contents(workspace / "data/predictions")) == 5
    metrics = json.loads((workspace / "metrics/evaluate.json").read_text())
    small = [(nearest(t, 128, 256), nearest(p, 128, 256)) for t, p in pairs]
    assert metrics["miou_native"] == round(np.mean(reference_iou(pairs)), 4)
    assert metrics["miou"] == round(np.mean(reference_iou(small)), 4)
    table = pd.read_csv(workspace / "metrics/frames.csv", dtype={"frame": str})
    assert len(table) == 3 * 7
    assert set(table["frame"]) == {"000000", "000001", "000002"}
    assert len(json.loads((workspace / "metrics/confusion.json").read_text())) == 49
    void = sum(np.sum(t == 255) for t, _ in pairs)
    assert f"{sum(t.size for t, _ in pairs) - void:,} valid and {void:,} void pixels" in done.stdout
    assert "Warning" not in done.stderr


def test_predictions_are_scores_interpolated_to_native_size(workspace):
    """The centre of each prediction is that of the network called directly."""
    assert run_stage("evaluate", workspace).returncode == 0
    network = tiny_network()
    images = torch.from_numpy(np.load(workspace / "data/arrays/val_images.npy")).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        scores = network((images - 0.4) / 0.3)
    expected = torch.nn.functional.interpolate(scores[1:2], (50, 70), mode="bilinear").argmax(1)[0].numpy()
    with Image.open(workspace / "data/predictions/val/1/000001_label.png") as picture:
        assert np.mean(np.asarray(picture) == expected) > 0.995  # ties fall either way


def test_flip_scores_the_mean_of_a_frame_and_its_mirror_beside_the_plain_predictions(workspace):
    assert run_stage("evaluate", workspace).returncode == 0
    plain = contents(workspace / "data/predictions")
    metrics = json.loads((workspace / "metrics/evaluate.json").read_text())
    set_flip(workspace, True)
    assert run_stage("evaluate", workspace).returncode == 0
    assert contents(workspace / "data/predictions") == plain
    images, rows = np.load(workspace / "data/arrays/val_images.npy"), arrays.read_rows("val", workspace / "data/arrays")
    predictor = Predictor(workspace / MODEL, torch.device("cpu"))
    pairs = []
    for row, scores, mirrored in zip(
        rows, predictor.scores(images), predictor.scores(images, mirrored=True), strict=True
    ):
        prediction = to_native(scores.softmax(0) + mirrored.softmax(0), (row.height, row.width)).numpy()
        with Image.open(workspace / "data/native" / row.frame.label) as picture:
            pairs.append((nearest(np.asarray(picture), 128, 256), nearest(prediction, 128, 256)))
    flipped = json.loads((workspace / "metrics/evaluate.json").read_text())
    assert flipped.pop("miou_flip") == round(np.mean(reference_iou(pairs)), 4) != metrics["miou"]
    assert flipped == metrics


def test_no_test_frames_is_fine(workspace):
    np.save(workspace / "data/arrays/test_images.npy", np.empty((0, *SIZE, 3), dtype=np.uint8))
    rows = arrays.read_rows("val", workspace / "data/arrays")
    arrays.write_rows(workspace / "data/arrays/frames.csv", rows)
    done = run_stage("evaluate", workspace)
    assert done.returncode == 0, done.stderr


def test_a_data_set_of_three_classes_scored_at_native_size(workspace):
    classes = ["road", "anything else", "sky"]
    save_tiny_model(workspace / MODEL, classes=classes)
    save_dataset(workspace, classes=dict.fromkeys(classes, (0, 0, 0)), protocol="native")
    truths = {}
    for path in workspace.glob("data/native/gtFine/val/*/*.png"):
        with Image.open(path) as picture:
            label = np.asarray(picture)
        truths[path.name] = np.where(label == 255, label, label % 3)
        Image.fromarray(truths[path.name]).save(path)
    done = run_stage("evaluate", workspace)
    assert done.returncode == 0, done.stderr
    pairs = []
    for row in arrays.read_rows("val", workspace / "data/arrays"):
        with Image.open(workspace / "data/predictions" / row.frame.prediction) as picture:
            pairs.append((truths[row.frame.label.name], np.asarray(picture)))
    metrics = json.loads((workspace / "metrics/evaluate.json").read_text())
    iou = [None if np.isnan(value) else round(value, 4) for value in reference_iou(pairs, 3)]
    assert metrics["iou"] == dict(zip(classes, iou, strict=True))
    assert metrics["miou"] == metrics["miou_native"] == round(np.nanmean(reference_iou(pairs, 3)), 4)
    counts = pd.read_csv(workspace / "metrics/frames.csv")
    assert counts["class"].tolist() == classes * 3
    assert counts[["tp", "fn"]].to_numpy().sum() == sum(np.sum(truth != 255) for truth, _ in pairs)
    assert len(json.loads((workspace / "metrics/confusion.json").read_text())) == 9


def test_labels_with_more_classes_than_the_data_set_are_refused(workspace, monkeypatch):
    save_tiny_model(workspace / MODEL, classes=CLASSES[:6])
    save_dataset(workspace, classes=dict.fromkeys(CLASSES[:6], (0, 0, 0)))
    before = contents(workspace)
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError, match=r"_label\.png: 6 is no id of the 6 classes; run `dvc repro`"):
        evaluate.main()
    assert contents(workspace) == before


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, "erfnet.safetensors: not a complete safetensors file"),
        (lambda path: path.write_bytes(b""), "erfnet.safetensors: not a complete safetensors file"),
        (lambda path: save_tiny_model(path, {"w": torch.zeros(2)}), "erfnet.safetensors: its weights are not ERFNet's"),
        (
            lambda path: save_tiny_model(path, classes=["road", "car"]),
            "erfnet.safetensors: the model predicts road, car, and the classes of the built-in sample are drivable, ",
        ),
        (
            lambda path: save_tiny_model(path, classes=["road", *CLASSES[1:]]),
            "It cannot be scored on a data set with different classes; run `dvc repro`",
        ),
        (
            lambda path: save_tiny_model(path, params={"model": {"encoder_only": False}}),
            "erfnet.safetensors: its weights are not ERFNet's",
        ),
        (
            lambda path: save_tiny_model(path, input_size=(160, 320)),
            "trained on frames of 160×320, and these are 32×64",
        ),
        (lambda path: save_tiny_model(path, params={}), "erfnet.safetensors: not written by this pipeline"),
    ],
)
def test_a_model_that_does_not_fit_leaves_the_old_outputs(workspace, monkeypatch, spoil, message):
    write_old_outputs(workspace)
    spoil(workspace / MODEL)
    before = contents(workspace)
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError) as caught:
        evaluate.main()
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500
    assert contents(workspace) == before


def write_old_outputs(workspace: Path) -> None:
    (workspace / "data/predictions/val").mkdir(parents=True)
    (workspace / "data/predictions/val/old").write_text("old")
    (workspace / "metrics").mkdir()
    (workspace / "metrics/evaluate.json").write_text("old")


def missing_model(workspace: Path) -> None:
    (workspace / MODEL).unlink()


def missing_description(workspace: Path) -> None:
    (workspace / "data/raw/dataset.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "environment", "message"),
    [
        (missing_model, {}, "erfnet.safetensors: No such file or directory; an earlier stage makes it"),
        (missing_description, {}, "data/raw/dataset.json: No such file or directory; an earlier stage makes it"),
        (lambda _: None, {"SEGCORE_DEVICE": "tpu"}, "SEGCORE_DEVICE: cpu, cuda or cuda:N was expected; it is 'tpu'"),
        (lambda _: None, {"SEGCORE_DEVICE": "cuda:99"}, "SEGCORE_DEVICE=cuda:99: torch sees"),
        (lambda _: None, {"SEGCORE_THREADS": "0"}, "SEGCORE_THREADS: a whole number of at least 1 was expected"),
    ],
)
def test_the_stage_ends_with_a_message(workspace, spoil, environment, message):
    write_old_outputs(workspace)
    spoil(workspace)
    before = contents(workspace)
    done = run_stage("evaluate", workspace, **environment)
    assert_fails(done, message)
    assert contents(workspace) == before


@pytest.mark.skipif("IDD_LITE_ARCHIVE" not in os.environ, reason="IDD_LITE_ARCHIVE names no archive")
def test_the_pixels_of_idd_lites_validation_split():
    """The published totals: a loader that sees different ones is wrong."""
    result = Evaluation(CLASSES, SAMPLE.protocol)
    with tarfile.open(os.environ["IDD_LITE_ARCHIVE"]) as archive:
        for member in archive:
            if "/gtFine/val/" in member.name and member.name.endswith("_label.png"):
                label = np.asarray(Image.open(archive.extractfile(member)))
                result.add(
                    Frame("val", "any", Path(member.name).stem),
                    label,
                    np.where(label == 255, 0, label).astype(np.uint8),
                )
    assert result.summary() == "ground truth of val: 14,815,509 valid and 3,051 void pixels"
    assert result.native[0].sum() == 4_709_943
    assert set(result.scores().iou.values()) == {1.0}


def test_two_processes_write_the_same_bytes(workspace):
    frames = 20  # three batches
    folder = workspace / "data/arrays"
    rows = arrays.read_rows("val", folder) + arrays.read_rows("test", folder)
    rng = np.random.default_rng(3)
    for number in range(3, frames):
        frame = Frame("val", str(number), f"{number:06}")
        rows.insert(number, arrays.Row(frame, 45, 64))
        path = workspace / "data/native" / frame.label
        path.parent.mkdir(parents=True)
        Image.fromarray(random_pair(rng, 45, 64)[0]).save(path)
    np.save(folder / "val_images.npy", rng.integers(0, 256, (frames, *SIZE, 3), dtype=np.uint8))
    arrays.write_rows(folder / "frames.csv", rows)
    set_flip(workspace, True)
    results = []
    for number in ("1", "2"):
        done = run_stage("evaluate", workspace, SEGCORE_PROCESSES=number, SEGCORE_THREADS="1", SEGCORE_DEVICE="cpu")
        assert done.returncode == 0, done.stderr
        results.append((done.stdout, contents(workspace)))
    assert results[0] == results[1]
