"""The model card: the stage run for real, on files made by hand."""

import hashlib
import json
import subprocess
import sys

import pytest
import yaml

from segcore.dataset.classes import CLASSES
from segcore.dataset.frames import Frame
from segcore.files import arrays, model
from segcore.network.erfnet import ERFNet
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
    cells = {(name, name): RIGHT[name] for name in CLASSES}
    cells |= {(name, TAKEN_FOR.get(name, "drivable")): SIZE - RIGHT[name] for name in CLASSES if RIGHT[name] < SIZE}
    cells = [{"actual": actual, "predicted": seen, "pixels": pixels} for (actual, seen), pixels in cells.items()]
    scores = {"miou": 0.5, "miou_native": 0.51, "pixel_accuracy": 0.6, "iou": dict.fromkeys(CLASSES, 0.25)}
    scores["iou"]["living"] = None
    lines = ["drive,frame,class,tp,fp,fn", "0007,a,sky,1,0,3", "12,b,sky,3,0,1", "12,c,sky,2,0,2", "12,c,far,0,0,0"]
    write(tmp_path, "evaluate.json", json.dumps(scores))
    write(tmp_path, "confusion.json", json.dumps(cells))
    write(tmp_path, "frames.csv", "\n".join(lines))
    write(tmp_path, "export.json", json.dumps(EXPORTED))
    set_source(tmp_path, "data/sample.tar.gz")
    return tmp_path


def save(project, **other):
    """Write a model with ``RECORD``, changed by ``other``."""
    network = ERFNet(len(CLASSES))
    model.save_weights(project / "data/model/erfnet.safetensors", network.state_dict(), RECORD | other)


def write(project, name, text):
    (project / "metrics").mkdir(exist_ok=True)
    (project / "metrics" / name).write_text(text)


def set_source(project, source, validation="official"):
    sections = {
        "fetch": {"source": source, "sha256": None},
        "preprocess": {"validation": validation},
        "export": {"precision": "int8"},
    }
    (project / "params.yaml").write_text(yaml.safe_dump(sections))


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


def test_data_and_licence_are_those_of_the_source(project):
    text = card(project)
    rows, lines = section(text, "Data")
    assert "\n---\n\n# Model card: ERFNet on the built-in sample\n" in text
    assert lines[0] == "Street scenes drawn by this repository."
    assert "Scored on the val split that came with it." in lines
    assert rows[2:] == [["train", "3", "2"], ["val", "3", "2"], ["test", "0", "0"]]
    assert "forbid" not in text
    set_source(project, "/somewhere/idd-lite.tar.gz", "holdout")
    text = card(project)
    assert "\n---\n\n# Model card: ERFNet on IDD-Lite\n" in text
    assert "Scored on drives that were held out of train." in section(text, "Data")[1]
    assert "forbid passing them on" in " ".join(section(text, "Licence")[1])
    assert "somewhere" not in text


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
    set_source(project, "/somewhere/idd-lite.tar.gz", "holdout")
    save(project, init="0123abcd")
    head = yaml.safe_load(card(project).split("---\n")[1])
    assert head["license_name"] == "idd"
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
        ("params.yaml", b"fetch: {source: 3}\n", "params.yaml: fetch.source: input should be a valid string"),
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
