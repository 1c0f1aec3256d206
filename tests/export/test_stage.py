"""The stage that exports the model, and compares its predictions with the model's."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from segcore.dataset.frames import Frame, find_image
from segcore.files import arrays
from segcore.files.images import NATIVE, read_image
from segcore.files.onnx import OnnxModel
from segcore.inference.predictor import Predictor, to_native
from segcore.runtime.errors import UserError
from stages import export
from tests.support.idd_lite import CLASSES, save_dataset
from tests.support.protocol import nearest, random_pair, reference_iou
from tests.support.running import assert_fails, run_stage
from tests.support.tiny import contents
from tests.support.tiny_model import SIZE, save_tiny_model

pytestmark = pytest.mark.slow

MODEL = "data/model/erfnet.safetensors"


@pytest.fixture
def workspace(tmp_path):
    """Everything that export reads: 3 val frames, one a PNG of a different size, 4 train frames, a random network."""
    folder = tmp_path / "data/arrays"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(2)
    rows, images = [], []
    for i, (height, width) in enumerate([(45, 64), (50, 70), (45, 64)]):
        frame = Frame("val", str(i), f"{i:06}")
        picture = Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)).resize((width, height))
        for path, content in (
            (frame.image(".png" if i == 1 else ".jpg"), picture),
            (frame.label, Image.fromarray(random_pair(rng, height, width)[0])),
        ):
            (tmp_path / "data/native" / path).parent.mkdir(parents=True)
            content.save(tmp_path / "data/native" / path)
        rows.append(arrays.Row(frame, height, width))
        saved = read_image(find_image(tmp_path / "data/native", frame))
        images.append(np.asarray(saved.resize(SIZE[::-1], Image.Resampling.BILINEAR)))
    np.save(folder / "val_images.npy", np.stack(images))
    np.save(folder / "train_images.npy", rng.integers(0, 256, (4, *SIZE, 3), dtype=np.uint8))
    arrays.write_rows(folder / "frames.csv", rows)
    save_tiny_model(tmp_path / MODEL)
    save_dataset(tmp_path)
    set_precision(tmp_path, "fp32")
    return tmp_path


def set_precision(workspace: Path, precision: str) -> None:
    (workspace / "params.yaml").write_text(yaml.safe_dump({"export": {"precision": precision}}))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_stage_scores_what_it_exported(workspace, precision):
    set_precision(workspace, precision)
    if precision == "fp32":
        (workspace / "data/arrays/train_images.npy").unlink()  # it is not needed
    inputs = contents(workspace)
    done = run_stage("export", workspace, HOME=str(workspace), TMPDIR=str(workspace))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("export val: 3 in ") and done.stderr.count("\n") == 1
    outputs = {"data/model/erfnet.onnx", "metrics/export.json"}
    assert {name: data for name, data in contents(workspace).items() if name not in outputs} == inputs

    exported = OnnxModel(workspace / "data/model/erfnet.onnx")
    assert exported.record.precision == precision
    assert exported.record.model_sha256 == hashlib.sha256((workspace / MODEL).read_bytes()).hexdigest()
    predictor = Predictor(workspace / MODEL, torch.device("cpu"))
    rows, images = arrays.read_rows("val", workspace / "data/arrays"), np.load(workspace / "data/arrays/val_images.npy")
    found, expected, changed = [], [], []
    for row, scores in zip(rows, predictor.scores(images), strict=True):
        [classes], _ = exported.run(np.asarray(read_image(find_image(workspace / "data/native", row.frame)))[None])
        reference = to_native(scores, (row.height, row.width)).numpy()
        with Image.open(workspace / "data/native" / row.frame.label) as label:
            truth = nearest(np.asarray(label), 128, 256)
        found.append((truth, nearest(classes, 128, 256)))
        expected.append((truth, nearest(reference, 128, 256)))
        changed.append((classes != reference).ravel())
    metrics = json.loads((workspace / "metrics/export.json").read_text())
    miou, before = (round(float(np.mean(reference_iou(pairs))), 4) for pairs in (found, expected))
    assert metrics == {
        "miou": miou,
        "miou_change": round(miou - before, 4),
        "pixels_changed": round(float(np.concatenate(changed).mean()), 4),
        "parameters": sum(parameter.numel() for parameter in predictor.network.parameters()),
        "multiply_adds": metrics["multiply_adds"],
    }
    assert metrics["pixels_changed"] < (0.01 if precision == "fp32" else 0.2)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_data_set_of_three_classes_scored_at_native_size(workspace, monkeypatch, precision):
    classes = {"road": (128, 64, 128), "anything else": (0, 60, 160), "sky": (70, 130, 180)}
    save_tiny_model(workspace / MODEL, classes=list(classes))
    save_dataset(workspace, classes=classes, protocol="native", sample=False)
    set_precision(workspace, precision)
    for path in workspace.glob("data/native/gtFine/val/*/*.png"):
        with Image.open(path) as label:
            ids = np.asarray(label)
        Image.fromarray(np.where(ids == 255, ids, ids % 3)).save(path)
    monkeypatch.chdir(workspace)
    export.main()
    exported = OnnxModel(Path("data/model/erfnet.onnx"))
    assert exported.record.classes == list(classes)
    assert exported.record.colours == list(classes.values())
    pairs = []
    for row in arrays.read_rows("val"):
        [ids], _ = exported.run(np.asarray(read_image(find_image(NATIVE, row.frame)))[None])
        with Image.open(NATIVE / row.frame.label) as label:
            pairs.append((np.asarray(label), ids))
    metrics = json.loads(Path("metrics/export.json").read_text())
    assert metrics["miou"] == round(float(np.nanmean(reference_iou(pairs, 3))), 4)
    assert abs(metrics["miou_change"]) < 0.2


def test_frames_without_ground_truth_have_no_score(workspace, monkeypatch):
    for path in workspace.glob("data/native/gtFine/val/*/*.png"):
        with Image.open(path) as label:
            size = label.size
        Image.new("L", size, 255).save(path)
    monkeypatch.chdir(workspace)
    export.main()
    metrics = json.loads((workspace / "metrics/export.json").read_text())
    assert metrics["miou"] is None and metrics["miou_change"] is None


def write_old_outputs(workspace: Path) -> None:
    (workspace / "metrics").mkdir()
    (workspace / "metrics/export.json").write_text("old")
    (workspace / "data/model/erfnet.onnx").write_text("old")


def spoil_frame(workspace: Path) -> None:
    path = next(workspace.glob("data/native/leftImg8bit/val/1/*.png"))
    Image.new("RGB", (64, 45)).save(path)


def spoil_rows(workspace: Path) -> None:
    path = workspace / "data/arrays/frames.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: set_precision(folder, "fp16"),
            "export.precision: input should be 'fp32' or 'int8'",
        ),
        (lambda folder: (folder / MODEL).write_bytes(b""), "erfnet.safetensors: not a complete safetensors file"),
        (lambda folder: save_tiny_model(folder / MODEL, input_size=(16, 32)), "trained on frames of 16×32"),
        (spoil_frame, "000001_image.png: its size is 64×45, in frames.csv 70×50; run `dvc repro`"),
        (
            lambda folder: save_tiny_model(folder / MODEL, classes=["road", *CLASSES[1:]]),
            "erfnet.safetensors: the model predicts road, ",
        ),
        (spoil_rows, "data/arrays: 3 val frames, and 2 in frames.csv; run `dvc repro preprocess`"),
    ],
)
def test_inputs_that_do_not_fit_leave_the_old_outputs(workspace, monkeypatch, spoil, message):
    write_old_outputs(workspace)
    spoil(workspace)
    before = contents(workspace)
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError) as caught:
        export.main()
    assert message in str(caught.value)
    assert contents(workspace) == before


def test_there_has_to_be_a_model(workspace):
    (workspace / MODEL).unlink()
    assert_fails(
        run_stage("export", workspace), "erfnet.safetensors: No such file or directory; an earlier stage makes it"
    )
