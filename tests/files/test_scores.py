"""Scores, confusion matrix and counts are read back as they were written; a damaged file is an error."""

import contextlib
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mutations import mutate
from segcore.dataset.classes import CLASSES
from segcore.files import scores
from segcore.render import ranking
from segcore.runtime.errors import UserError

COUNTS = b"drive,frame,class,tp,fp,fn\n1,000024,sky,5,6,7\n1,000024,far,0,6,7\n2,000031,sky,0,0,1\n"


def test_scores_that_are_written_are_read_back(tmp_path):
    written = scores.Scores(miou=0.5, miou_native=None, pixel_accuracy=1.0, iou={"sky": 0.25, "far": None})
    scores.write_scores(tmp_path / "x.json", written)
    assert scores.read_scores(tmp_path / "x.json") == written
    assert "miou_flip" not in (tmp_path / "x.json").read_text()


def test_confusion_that_is_written_is_read_back(tmp_path):
    matrix = np.arange(len(CLASSES) ** 2).reshape(len(CLASSES), -1)
    scores.write_confusion(tmp_path / "x.json", matrix)
    table = scores.read_confusion(tmp_path / "x.json")
    assert (table.to_numpy() == matrix).all()
    assert table.index.name == "actual" and table.loc["drivable", "sky"] == len(CLASSES) - 1


def test_counts_that_are_written_are_read_back(tmp_path):
    counts = np.arange(3 * len(CLASSES)).reshape(-1, 3)
    scores.write_counts(tmp_path / "x.csv", [("7", "000001", counts), ("07", "1e3", counts + 1)])
    table = scores.read_counts((tmp_path / "x.csv").read_bytes(), "x.csv")
    assert (table[scores.PIXELS].to_numpy() == np.concatenate([counts, counts + 1])).all()
    assert list(table["drive"].unique()) == ["7", "07"] and list(table["frame"].unique()) == ["000001", "1e3"]


def test_the_score_of_a_frame_is_the_mean_iou_over_the_classes_in_its_ground_truth():
    found = scores.frame_scores(scores.read_counts(COUNTS + b"1,000024,roadside,0,9,0\n3,000040,sky,0,5,0\n", "x.csv"))
    assert found.to_dict() == {("1", "000024"): (5 / 18 + 0) / 2, ("2", "000031"): 0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("drive,frame,class,tp,fp\n1,1,sky,1,1\n", "not the table that evaluate writes (.*fn"),
        (f"drive,frame,class,tp,fp,fn\n1,1,sky,{10**30},1,1\n", "not the table that evaluate writes ("),
        ("drive,frame,class,tp,fp,fn\n1,1,sea,1,1,1\n", "unknown class 'sea'; run `dvc repro`"),
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


@pytest.mark.parametrize(
    "text", ["[]]", "{}", '[{"actual": "sky", "predicted": "sea", "pixels": 1}]', '[{"actual": "sky", "pixels": 1}]']
)
def test_a_wrong_confusion(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json: not what evaluate writes \(.*; run `dvc repro evaluate`"):
        scores.read_confusion(tmp_path / "x.json")
