"""The IDD-Lite protocol against a plain numpy reading of it."""

import json

import numpy as np
import pytest

from segcore.evaluation import Evaluation
from segcore.labels import CLASSES
from tests.protocol import nearest, random_pair, reference_iou


@pytest.fixture
def pairs():
    rng = np.random.default_rng(5)
    return [random_pair(rng), random_pair(rng), random_pair(rng, 100, 90)]


@pytest.fixture
def evaluation(pairs):
    result = Evaluation()
    for i, (truth, prediction) in enumerate(pairs):
        result.add("7", f"{i:06}", truth, prediction)
    return result


def test_scores_are_those_of_the_protocol(pairs, evaluation):
    metrics = evaluation.metrics()
    small = [(nearest(t, 128, 256), nearest(p, 128, 256)) for t, p in pairs]
    assert list(metrics["iou"].values()) == [round(value, 4) for value in reference_iou(small)]
    assert metrics["miou"] == round(np.mean(reference_iou(small)), 4)
    assert metrics["miou_native"] == round(np.mean(reference_iou(pairs)), 4)
    valid = sum(np.sum(t != 255) for t, _ in small)
    assert metrics["pixel_accuracy"] == round(sum(np.sum(t == p) for t, p in small) / valid, 4)
    assert evaluation.valid == sum(np.sum(t != 255) for t, _ in pairs)
    assert evaluation.pixels == sum(t.size for t, _ in pairs)


def test_the_sums_over_frames_give_miou_exactly(evaluation):
    total = evaluation.table().groupby("class", sort=False)[["tp", "fp", "fn"]].sum()
    assert list(total.index) == list(CLASSES)
    iou = total["tp"] / total.sum(axis=1)
    assert round(iou.mean(), 4) == evaluation.metrics()["miou"]
    pixels = sum(cell["pixels"] for cell in evaluation.confusion())
    assert pixels == total["tp"].sum() + total["fn"].sum()


def test_a_mean_over_frames_would_be_another_number(pairs, evaluation):
    """Two frames of different content: the score comes from one matrix, not from a mean of scores."""
    frame = np.zeros((128, 256), dtype=np.uint8)
    wrong = frame.copy()
    wrong[:64] = 1
    result = Evaluation()
    result.add("1", "a", frame, frame)
    result.add("1", "b", frame, wrong)
    assert result.metrics()["iou"]["drivable"] == 0.75
    assert result.metrics()["iou"]["non_drivable"] == 0.0
    assert result.metrics()["iou"]["sky"] is None
    assert result.metrics()["miou"] == 0.375


def test_nothing_but_void_has_no_score():
    result = Evaluation()
    result.add("1", "a", np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8))
    assert result.metrics()["miou"] is None
    assert "NaN" not in json.dumps(result.metrics())
