"""The lines of docs/datasets.md, run in a small workspace: a data set of colour masks, then one that starts from it."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from segcore.files.model import MODEL, read_record
from tests.support import tiny
from tests.support.workspace import ROOT, Workspace

pytestmark = pytest.mark.system

TEXT = (ROOT / "docs/datasets.md").read_text()
COLOURS = np.array([(128, 64, 128), (220, 20, 60), (70, 130, 180), (0, 0, 142), (0, 0, 0)], dtype=np.uint8)
CLASSES = ["road", "people", "rest"]


def block(heading: str, language: str) -> str:
    """The block of code below a heading."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return found


def masks(counts: dict[str, int]) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """Pictures and masks of noise in the folders that the document names, and the class ids of each mask."""
    files: dict[str, bytes] = {}
    truth: dict[str, np.ndarray] = {}
    for split, count in counts.items():
        for number in range(count):
            drawn = np.random.default_rng(number).integers(0, len(COLOURS), (24, 32))
            files[f"images/{split}/{number}.jpg"] = tiny.jpeg((32, 24), seed=number)
            files[f"masks/{split}/{number}.png"] = tiny.png(COLOURS[drawn])
            truth[f"gtFine/{split}/{split}/{number}_label.png"] = np.array([0, 1, 2, 2, 255])[drawn]
    return files, truth


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A workspace in which the lines of "Your own data" have run, with the ids of the masks."""
    workspace = Workspace.create(tmp_path_factory.mktemp("street") / "workspace")
    workspace.set_parameter("export.precision", "fp32")  # takes half the time
    files, truth = masks({"train": 6, "val": 2})
    tiny.write_folder(workspace.root / "data/street", files)
    heading = "Your own data in ten minutes"
    (workspace.root / "data/sets/street.yaml").write_text(block(heading, "yaml"))
    said = workspace.run("bash", "-ec", block(heading, "sh"))
    return workspace, truth, said


def test_the_masks_become_class_ids(street):
    workspace, truth, said = street
    assert "the colours of a mask" in said
    for name, expected in truth.items():
        with Image.open(workspace.root / "data/raw" / name) as label:
            np.testing.assert_array_equal(np.asarray(label), expected)


def test_the_classes_are_in_the_model_and_the_scores(street):
    workspace, _, said = street
    assert read_record(workspace.root / MODEL)["classes"] == CLASSES
    assert list(json.loads((workspace.root / "metrics/evaluate.json").read_text())["iou"]) == CLASSES
    assert "evaluate.json" in said  # dvc metrics show


def test_pictures_are_predicted(street):
    workspace, _, _ = street
    predicted = {path.name for path in (workspace.root / "predictions").iterdir()}
    assert {f"{number}_{kind}" for number in range(2) for kind in ("label.png", "overlay.jpg")} <= predicted


def test_the_model_is_the_start_for_other_classes(street):
    workspace, _, _ = street
    shutil.copyfile(workspace.root / "data/sample.tar.gz", workspace.root / "data/idd-lite.tar.gz")
    said = workspace.run("bash", "-ec", "exec 2>&1\n" + block("From one set to another", "sh"))
    assert "decoder.output_conv keeps its random start: the file has it for the classes road, people, rest" in said
    assert len(read_record(workspace.root / MODEL)["classes"]) == 7
