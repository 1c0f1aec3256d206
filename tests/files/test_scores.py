"""Scores, confusion matrix and counts are read back as they were written; a damaged file is an error."""

import contextlib
import json
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mutations import mutate
from segcore.files import scores
from segcore.render import ranking
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES

COUNTS = b"drive,frame,class,tp,fp,fn\n1,000024,sky,5,6,7\n1,000024,far,0,6,7\n2,000031,sky,0,0,1\n"


def test_scores_that_are_written_are_read_back(tmp_path):
    written = scores.Scores(miou=0.5, miou_native=None, pixel_accuracy=1.0, iou={"sky": 0.25, "far": None})
    scores.write_scores(tmp_path / "x.json", written)
    assert scores.read_scores(tmp_path / "x.json") == written
    assert "miou_flip" not in (tmp_path / "x.json").read_text()


@pytest.mark.parametrize("classes", [CLASSES, ["road", "a car", "NA"], ["2", "10"], [f"c{i}" for i in range(64)]])
def test_confusion_that_is_written_is_read_back(tmp_path, classes):
    matrix = np.arange(len(classes) ** 2).reshape(len(classes), -1)
    scores.write_confusion(tmp_path / "x.json", matrix, classes)
    table = scores.read_confusion(tmp_path / "x.json")
    assert (table.to_numpy() == matrix).all()
    assert list(table.index) == list(table.columns) == classes
    assert table.index.name == "actual" and table.loc[classes[0], classes[-1]] == len(classes) - 1


@pytest.mark.parametrize("classes", [CLASSES, ["road", "a car", "NA"], ["2", "10"], [f"c{i}" for i in range(64)]])
def test_counts_that_are_written_are_read_back(tmp_path, classes):
    counts = np.arange(3 * len(classes)).reshape(-1, 3)
    scores.write_counts(tmp_path / "x.csv", [("7", "000001", counts), ("07", "1e3", counts + 1)], classes)
    table = scores.read_counts((tmp_path / "x.csv").read_bytes(), "x.csv")
    assert (table[scores.PIXELS].to_numpy() == np.concatenate([counts, counts + 1])).all()
    assert list(table["drive"].unique()) == ["7", "07"] and list(table["frame"].unique()) == ["000001", "1e3"]
    assert scores.classes_of(table) == classes


def test_the_score_of_a_frame_is_the_mean_iou_over_the_classes_in_its_ground_truth():
    found = scores.frame_scores(scores.read_counts(COUNTS + b"1,000024,roadside,0,9,0\n3,000040,sky,0,5,0\n", "x.csv"))
    assert found.to_dict() == {("1", "000024"): (5 / 18 + 0) / 2, ("2", "000031"): 0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("drive,frame,class,tp,fp,fn\n", "not the table that evaluate writes (it has no rows"),
        ("drive,frame,class,tp,fp\n1,1,sky,1,1\n", "not the table that evaluate writes (.*fn"),
        (f"drive,frame,class,tp,fp,fn\n1,1,sky,{10**30},1,1\n", "not the table that evaluate writes ("),
    ],
)
def test_wrong_counts(text, reason):
    with pytest.raises(UserError, match="x.csv: " + reason.replace("(", "\\(")):
        scores.read_counts(text.encode(), "x.csv")


def test_a_drive_in_the_counts_cannot_lead_to_a_different_folder(tmp_path):
    (tmp_path / "frames.csv").write_text("drive,frame,class,tp,fp,fn\n../..,1,sky,1,1,1\n")
    with pytest.raises(UserError, match="do not name a drive"):
        ranking.rank(tmp_path / "frames.csv")


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.integers(0, 2**32).map(lambda seed: mutate(Random(seed), COUNTS)) | st.binary(max_size=50))
def test_counts_of_any_bytes(data):
    with contextlib.suppress(UserError):
        scores.frame_scores(scores.read_counts(data, "x.csv"))


def cells(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"actual": actual, "predicted": predicted, "pixels": 1} for actual, predicted in pairs])


@pytest.mark.parametrize(
    "text",
    [
        *("[]]", "{}", "[]", '[{"actual": "sky", "pixels": 1}]', cells(("", ""))),
        cells(("sky", "sea")),
        cells(("sky", "sky"), ("sky", "sea"), ("sea", "sea")),
        cells(("sky", "sky"), ("sky", "sea"), ("sea", "sky"), ("sea", "sea"), ("sea", "sea")),
        cells(("sky", "sea"), ("sky", "sky"), ("sea", "sky"), ("sea", "sea")),
    ],
)
def test_a_wrong_confusion(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json: not what evaluate writes \(.*; run `dvc repro evaluate`"):
        scores.read_confusion(tmp_path / "x.json")
