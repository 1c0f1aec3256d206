"""A made data set in the layout of Cityscapes, two archives in a folder, through all stages at 512×1024."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from segcore.files.description import read_description
from segcore.files.model import MODEL, read_record
from segcore.files.onnx import ONNX, OnnxModel
from tests.support.tiny import png
from tests.support.workspace import ROOT, SMALL, Workspace

pytestmark = pytest.mark.system

SETTINGS = SMALL | {
    "fetch.source": "data/cityscapes",
    "fetch.dataset": "data/sets/cityscapes.yaml",
    "preprocess.height": 512,
    "preprocess.width": 1024,
    "train.batch_size": 1,
    "export.precision": "fp32",
    "evaluate.flip": False,
}
FRAMES = {
    "train": ("aachen/aachen_000000_000019", "bochum/bochum_000000_000313"),
    "val": ("lindau/lindau_000000_000019",),
    "test": ("berlin/berlin_000000_000019",),
}
CLASSES = list(read_description(ROOT / "data/sets/cityscapes.yaml").classes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workspace in which all stages have run."""
    workspace = Workspace.create(tmp_path_factory.mktemp("large") / "workspace")
    source = workspace.root / "data/cityscapes"
    source.mkdir()
    write_archives(source)
    for name, value in SETTINGS.items():
        workspace.set_parameter(name, value)
    workspace.repro()
    return workspace


def write_archives(source):
    rng = np.random.default_rng(0)
    with (
        zipfile.ZipFile(source / "leftImg8bit_trainvaltest.zip", "w") as images,
        zipfile.ZipFile(source / "gtFine_trainvaltest.zip", "w") as labels,
    ):
        for split, frames in FRAMES.items():
            for frame in frames:
                ids = np.kron(rng.integers(0, 34, (8, 16)), np.ones((128, 128))).astype(np.uint8)
                picture = np.stack([ids * 7, 255 - ids * 7, ids], axis=2)
                images.writestr(f"leftImg8bit/{split}/{frame}_leftImg8bit.png", png(picture))
                labels.writestr(f"gtFine/{split}/{frame}_gtFine_labelIds.png", png(ids if split != "test" else ids * 0))
                labels.writestr(f"gtFine/{split}/{frame}_gtFine_color.png", png(picture))
                labels.writestr(f"gtFine/{split}/{frame}_gtFine_polygons.json", json.dumps({"objects": []}))


def test_the_arrays_are_of_the_size_asked_for(finished):
    arrays = finished.root / "data/arrays"
    assert np.load(arrays / "train_images.npy", mmap_mode="r").shape == (2, 512, 1024, 3)
    assert np.load(arrays / "val_labels.npy", mmap_mode="r").shape == (1, 512, 1024)
    assert {*np.unique(np.load(arrays / "train_labels.npy"))} == {*range(19), 255}


def test_the_models_have_the_classes_of_the_data_set(finished):
    assert read_record(finished.root / MODEL)["classes"] == CLASSES
    assert OnnxModel(finished.root / ONNX).record.classes == CLASSES


def test_the_scores_are_those_at_native_size(finished):
    scores = json.loads((finished.root / "metrics/evaluate.json").read_text())
    assert list(scores["iou"]) == CLASSES
    assert scores["miou"] == scores["miou_native"]
    with Image.open(finished.root / "data/predictions/test/berlin/berlin_000000_000019_label.png") as prediction:
        assert prediction.size == (2048, 1024)


def test_the_card_names_the_data_set(finished):
    card = (finished.root / "metrics/model-card.md").read_text()
    assert "ERFNet on Cityscapes" in card
    assert "IDD" not in card
    assert all(name in card for name in CLASSES)
