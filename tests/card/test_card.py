"""The model card: the stage run for real, on files made by hand."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from segcore.dataset.frames import Frame
from segcore.files import arrays, model
from segcore.files.dataset import Licence
from segcore.files.scores import write_confusion
from segcore.network.erfnet import ERFNet
from tests.support.idd_lite import CLASSES, DESCRIPTION, save_dataset
from tests.support.running import ROOT, assert_fails, run_stage

SIZE = 100  # pixels of each class; how many of them are right, and what the others were taken for
RIGHT = {"drivable": 90, "non_drivable": 20, "living": 0, "vehicles": 70, "roadside": 50, "far": 80, "sky": 100}
TAKEN_FOR = {"drivable": "far", "non_drivable": "roadside", "living": "vehicles", "vehicles": "far", "far": "sky"}


RECORD = {
    "classes": CLASSES,
    "input_size": (160, 320),
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "params": {"model": {"encoder_only": False}, "train": {"epochs": 7, "optimizer": "a|b"}},
    "init": None,
    "versions": {"torch": "2.9"},
    "device": "a card",
    "precision": "bf16",
    "threads": 2,
}

EXPORTED = {
    "miou": 0.4987,
    "miou_change": -0.0013,
    "pixels_changed": 0.0102,
    "parameters": 2_064_314,
    "multiply_adds": 2_604_000_000,
}


@pytest.fixture
def project(tmp_path):
    """A model and its metrics: two drives, of which 0007 has the lower score."""
    for folder in ("model", "arrays"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    save(tmp_path)
    frames = [("train", "1"), ("train", "2"), ("train", "2"), ("val", "0007"), ("val", "12"), ("val", "12")]
    rows = [arrays.Row(Frame(split, drive, str(i)), 227, 320) for i, (split, drive) in enumerate(frames)]
    arrays.write_rows(tmp_path / "data/arrays/frames.csv", rows)
    matrix = np.zeros((len(CLASSES), len(CLASSES)), int)
    for i, name in enumerate(CLASSES):
        matrix[i, CLASSES.index(TAKEN_FOR.get(name, "drivable"))] = SIZE - RIGHT[name]
        matrix[i, i] = RIGHT[name]
    write_scores(tmp_path, dict.fromkeys(CLASSES, 0.25) | {"living": None}, matrix)
    lines = ["drive,frame,class,tp,fp,fn", "0007,a,sky,1,0,3", "12,b,sky,3,0,1", "12,c,sky,2,0,2", "12,c,far,0,0,0"]
    write(tmp_path, "frames.csv", "\n".join(lines))
    write(tmp_path, "export.json", json.dumps(EXPORTED))
    set_validation(tmp_path, "official")
    save_dataset(tmp_path)
    return tmp_path


def save(project, **other):
    """Write a model with ``RECORD``, changed by ``other``."""
    network = ERFNet(len(CLASSES))
    model.save_weights(project / "data/model/erfnet.safetensors", network.state_dict(), RECORD | other)


def write_scores(project, iou, matrix):
    """Write evaluate.json and confusion.json."""
    scores = {"miou": 0.5, "miou_native": 0.51, "pixel_accuracy": 0.6, "iou": iou}
    write(project, "evaluate.json", json.dumps(scores))
    write_confusion(project / "metrics/confusion.json", matrix, list(iou))


def write(project, name, text):
    (project / "metrics").mkdir(exist_ok=True)
    (project / "metrics" / name).write_text(text)


def set_validation(project, validation):
    sections = {"preprocess": {"validation": validation}, "export": {"precision": "int8"}}
    (project / "params.yaml").write_text(yaml.safe_dump(sections))


def save_idd_lite(project, **changes):
    """Make the data set IDD-Lite itself, with ``changes`` of its description."""
    save_dataset(project, **dict(DESCRIPTION.dataset(sample=False)) | changes)


def card(project):
    done = run_stage("card", project)
    assert done.returncode == 0, done.stderr
    return (project / "metrics/model-card.md").read_text()


def section(text, title):
    """The cells of the table rows, and the lines, of a section."""
    lines = text.split(f"## {title}\n")[1].split("\n## ")[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")], lines


def test_scores_are_those_of_the_metrics(project):
    text = card(project)
    rows, lines = section(text, "Scores")
    assert {"- mIoU: 0.5000", "- mIoU at native size: 0.5100", "- pixel accuracy: 0.6000"} <= set(lines)
    assert not {word for word in ("mirror", "calibration") if word in text}
    by_class = {row[0]: row[1:] for row in rows[2:]}
    assert list(by_class) == list(CLASSES)
    share = f"{1 / 7:.4f}"
    assert by_class["drivable"] == ["0.2500", "0.9000", f"{90 / 140:.4f}", share]  # 50 pixels of roadside went there
    assert by_class["living"] == ["–", "0.0000", "–", share]
    add = '}, "miou_flip": 0.52, "ece": 0.038}'
    write(project, "evaluate.json", (project / "metrics/evaluate.json").read_text().replace("}}", add))
    assert {
        "- mIoU of predictions averaged over each frame and its mirror image: 0.5200",
        "- expected calibration error of the confidence, at native size: 0.0380",
    } <= set(section(card(project), "Scores")[1])


def test_the_exported_file_has_its_own_scores(project):
    lines = section(card(project), "ONNX file")[1]
    assert lines[-5:] == [
        "- file: `data/model/erfnet.onnx`",
        "- precision: int8",
        "- mIoU: 0.4987",
        "- change of mIoU: -0.0013",
        "- share of pixels with a different class, at native size: 0.0102",
    ]
    write(project, "export.json", json.dumps(EXPORTED | {"miou": None, "miou_change": None}))
    assert {"- mIoU: –", "- change of mIoU: –"} <= set(section(card(project), "ONNX file")[1])


def test_failures_are_named(project):
    rows, _ = section(card(project), "Known failures")
    assert ["living", "vehicles", "1.0000"] in rows
    assert ["vehicles", "far", "0.3000"] in rows
    assert not any(row[0] == "sky" for row in rows)  # none of its pixels is wrong
    assert rows[-2:] == [["0007", "1", "0.2500"], ["12", "2", "0.6250"]]


def test_data_and_licence_are_those_of_the_data_set(project):
    text = card(project)
    rows, lines = section(text, "Data")
    assert "\n---\n\n# Model card: ERFNet on the built-in sample\n" in text
    assert lines[0] == "The built-in sample of drawn street scenes, in the layout of IDD-Lite."
    assert "Scored on the val split that came with it." in lines
    assert rows[2:] == [["train", "3", "2"], ["val", "3", "2"], ["test", "0", "0"]]
    assert "forbid" not in text
    assert "Not for photographs" in section(text, "Use")[1][0]
    save_idd_lite(project)
    set_validation(project, "holdout")
    text = card(project)
    assert section(text, "Data")[1][0] == DESCRIPTION.about
    assert "\n---\n\n# Model card: ERFNet on IDD-Lite\n" in text
    assert "Scored on drives that were held out of train." in section(text, "Data")[1]
    assert section(text, "Licence")[1] == [DESCRIPTION.licence.terms]
    assert section(text, "Use")[1][0].startswith("For research")


def test_the_size_of_the_scores_is_that_of_the_protocol(project):
    first, *_ = section(card(project), "Scores")[1]
    assert first.startswith("On val; void does not count. What is not at native size is at 256×128 pixels, to which ")
    save_dataset(project, protocol="native")
    lines = section(card(project), "Scores")[1]
    assert lines[:3] == ["On val, at native size; void does not count.", "", "- mIoU: 0.5000"]
    assert not any(line.startswith("- mIoU at native size") for line in lines)


def test_classes_are_those_of_the_model_and_its_data_set(project):
    classes = ["road", "sky", "a car"]
    save_idd_lite(project, name="Cities", classes={name: (1, 2, 3) for name in classes})
    save(project, classes=classes)
    write_scores(project, {"road": 0.25, "sky": 0.5, "a car": 0.75}, np.array([[3, 1, 0], [0, 4, 0], [2, 1, 1]]))
    text = card(project)
    assert "# Model card: ERFNet on Cities\n" in text
    assert "- output: the class of each pixel, road, sky, a car" in text
    rows, _ = section(text, "Scores")
    assert rows[2:] == [
        ["road", "0.2500", "0.7500", "0.6000", f"{4 / 12:.4f}"],
        ["sky", "0.5000", "1.0000", f"{4 / 6:.4f}", f"{4 / 12:.4f}"],
        ["a car", "0.7500", "0.2500", "1.0000", f"{4 / 12:.4f}"],
    ]
    assert section(text, "Known failures")[0][2:4] == [["road", "sky", "0.2500"], ["a car", "road", "0.5000"]]
    assert not any(name in text for name in CLASSES if name not in classes)


@pytest.mark.parametrize("classes", [["sky", "road"], [*CLASSES[1:], CLASSES[0]], [*CLASSES, "more"]])
def test_files_of_different_classes_make_no_card(project, classes):
    save_idd_lite(project, classes={name: (1, 2, 3) for name in classes})
    assert_fails(
        run_stage("card", project), "confusion.json and metrics/evaluate.json have different classes; run `dvc"
    )
    assert not (project / "metrics/model-card.md").exists()


def test_special_characters_in_the_description(project):
    name = 'a*b: #1 "<c>"'
    licence = Licence(terms="# *Do not* pass on")
    save_idd_lite(project, name=name, about="- about_ |x|\n\n---\n", licence=licence, home=None)
    text = card(project)
    assert '\n---\n\n# Model card: ERFNet on a\\*b: \\#1 "\\<c\\>"\n' in text
    assert section(text, "Data")[1][0] == "\\- about\\_ \\|x\\| ---"
    assert section(text, "Licence")[1] == ["\\# \\*Do not\\* pass on"]
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["license"], head["license_name"], head.get("license_link")) == ("other", "a-b-1-c", None)
    assert head["model-index"][0]["name"] == f"ERFNet on {name}"
    assert head["model-index"][0]["results"][0]["dataset"]["name"] == name


def test_the_model_and_its_recipe_are_those_of_the_file(project):
    text = card(project)
    digest = hashlib.sha256((project / "data/model/erfnet.safetensors").read_bytes()).hexdigest()
    assert f"SHA-256 `{digest}`" in text
    assert "- learnt parameters: 2,064,314" in text
    assert "- multiply-adds for a frame: 2,604,000,000" in text
    assert "- input: an RGB frame at 320×160 pixels" in text
    assert "- started from: random numbers" in text
    rows, _ = section(text, "Recipe")
    assert rows[2:] == [["model.encoder_only", "false"], ["train.epochs", "7"], ["train.optimizer", '"a\\', 'b"']]
    lines = section(text, "Make it again")[1]
    assert lines[-3:] == ["- device: a card, 2 threads", "- precision: bf16", "- torch: 2.9"]
    save(project, init="0123abcd", params={"model": {"encoder_only": True}})
    text = card(project)
    assert "- started from: weights of md5 0123abcd" in text
    assert "The weights that training started from have terms of their own" in text
    assert "the encoder of ERFNet" in text


def test_it_begins_with_the_metadata_that_hubs_read(project):
    """Read as they do: up to the first line of three dashes."""
    head = yaml.safe_load(card(project).split("---\n")[1])
    assert head["license"] == "mit"
    [model] = head["model-index"]
    assert model["name"] == "ERFNet on the built-in sample"
    assert [metric["value"] for metric in model["results"][0]["metrics"]] == [0.5]
    save_idd_lite(project)
    set_validation(project, "holdout")
    save(project, init="0123abcd")
    head = yaml.safe_load(card(project).split("---\n")[1])
    assert head["license_name"] == "idd-lite"
    assert head["model-index"][0]["results"][0]["dataset"]["split"] == "holdout"


def test_the_same_facts_give_the_same_bytes(project):
    assert card(project) == card(project)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics/evaluate.json", b"{}", "metrics/evaluate.json: not what evaluate writes (miou: Field required)"),
        ("metrics/evaluate.json", b"\xff", "metrics/evaluate.json: not what evaluate writes"),
        ("metrics/confusion.json", b'[{"actual": "sky", "predicted": "sea", "pixels": 1}]', "confusion.json: not what"),
        ("metrics/confusion.json", b'[{"actual": "sky", "predicted": "sky", "pixels": 1%s}]' % (b"0" * 18), "not what"),
        ("metrics/confusion.json", b"[" * 100_000, "confusion.json: not what"),
        ("metrics/frames.csv", b"drive,frame\n", "metrics/frames.csv: not the table that evaluate writes"),
        ("metrics/export.json", b"{}", "metrics/export.json: not what export writes (miou: Field required)"),
        ("data/model/erfnet.safetensors", b"weights", "not a complete safetensors file"),
        ("data/raw/dataset.json", b"{}", "data/raw/dataset.json: not what fetch writes (name: Field required)"),
        (
            "params.yaml",
            b"preprocess: {validation: 3}\n",
            "params.yaml: preprocess.validation: input should be a valid",
        ),
    ],
)
def test_a_damaged_input_ends_with_a_message_and_the_old_card_stays(project, name, content, message):
    write(project, "model-card.md", "old")
    (project / name).write_bytes(content)
    assert_fails(run_stage("card", project), message)
    assert (project / "metrics/model-card.md").read_text() == "old"


def test_a_model_with_an_incomplete_record_ends_with_a_message(project):
    save(project, input_size=None)
    assert_fails(run_stage("card", project), "data/model/erfnet.safetensors: input_size: ")


def test_the_card_needs_no_torch_and_no_onnx():
    code = "import sys, segcore.card.card; print({'torch', 'onnx', 'onnxruntime'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"
