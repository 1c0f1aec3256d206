"""The protocol of IDD-Lite and scores at native size, against a plain numpy reading of them."""

import numpy as np
import pytest

from segcore.dataset.frames import Frame
from segcore.files.dataset import FixedSize
from segcore.files.scores import read_confusion, read_counts, write_confusion, write_counts, write_scores
from segcore.inference.protocol import Evaluation
from segcore.network.iou import class_counts
from tests.support.idd_lite import CLASSES, SAMPLE
from tests.support.protocol import nearest, random_pair, reference_iou


@pytest.fixture
def pairs():
    rng = np.random.default_rng(5)
    return [random_pair(rng), random_pair(rng), random_pair(rng, 100, 90)]


@pytest.fixture
def evaluation(pairs):
    return evaluate(pairs, CLASSES)


def evaluate(pairs, classes, protocol=SAMPLE.protocol) -> Evaluation:
    result = Evaluation(classes, protocol)
    for i, (truth, prediction) in enumerate(pairs):
        result.add(Frame("val", "7", f"{i:06}"), truth, prediction)
    return result


def test_scores_are_those_of_the_protocol(pairs, evaluation):
    scores = evaluation.scores()
    small = [(nearest(t, 128, 256), nearest(p, 128, 256)) for t, p in pairs]
    assert list(scores.iou.values()) == [round(value, 4) for value in reference_iou(small)]
    assert scores.miou == round(np.mean(reference_iou(small)), 4)
    assert scores.miou_native == round(np.mean(reference_iou(pairs)), 4)
    valid = sum(np.sum(t != 255) for t, _ in small)
    assert scores.pixel_accuracy == round(sum(np.sum(t == p) for t, p in small) / valid, 4)
    valid = sum(int(np.sum(t != 255)) for t, _ in pairs)
    void = sum(t.size for t, _ in pairs) - valid
    assert evaluation.summary() == f"ground truth of val: {valid:,} valid and {void:,} void pixels"


@pytest.mark.parametrize("count", [2, 3, 19])
@pytest.mark.parametrize(
    "protocol", ["native", FixedSize(width=64, height=32, resampling="nearest"), SAMPLE.protocol], ids=str
)
def test_scores_of_any_classes_by_any_protocol(count, protocol):
    rng, classes = np.random.default_rng(count), [f"class {i}" for i in range(count)]
    pairs = [random_pair(rng, *size, count) for size in ((60, 80), (100, 90))]
    evaluation = evaluate(pairs, classes, protocol)
    compared = pairs
    if protocol != "native":
        compared = [tuple(nearest(ids, protocol.height, protocol.width) for ids in pair) for pair in pairs]
    scores = evaluation.scores()
    assert scores.iou == {
        name: round(value, 4) for name, value in zip(classes, reference_iou(compared, count), strict=True)
    }
    assert scores.miou == evaluation.miou == round(np.mean(reference_iou(compared, count)), 4)
    assert scores.miou_native == round(np.mean(reference_iou(pairs, count)), 4)
    assert (scores.miou == scores.miou_native) == (protocol == "native")
    valid = sum(np.sum(t != 255) for t, _ in compared)
    assert evaluation.confusion.sum() == valid
    assert scores.pixel_accuracy == round(sum(np.sum(t == p) for t, p in compared) / valid, 4)
    assert evaluation.native.sum() == sum(np.sum(t != 255) for t, _ in pairs)
    assert np.array_equal(sum(counts for _, _, counts in evaluation.frames), class_counts(evaluation.confusion))


def test_the_sums_over_frames_give_miou_exactly(tmp_path, evaluation):
    write_counts(tmp_path / "frames.csv", evaluation.frames, CLASSES)
    counts = read_counts((tmp_path / "frames.csv").read_bytes(), "frames.csv")
    total = counts.groupby("class", sort=False)[["tp", "fp", "fn"]].sum()
    assert list(total.index) == CLASSES
    iou = total["tp"] / total.sum(axis=1)
    assert round(iou.mean(), 4) == evaluation.scores().miou
    write_confusion(tmp_path / "confusion.json", evaluation.confusion, CLASSES)
    confusion = read_confusion(tmp_path / "confusion.json")
    assert np.array_equal(confusion.to_numpy(), evaluation.confusion)
    assert confusion.to_numpy().sum() == total["tp"].sum() + total["fn"].sum()


def test_a_mean_over_frames_would_be_a_different_number(pairs, evaluation):
    """Two frames of different content: the score comes from one matrix, not from a mean of scores."""
    frame = np.zeros((128, 256), dtype=np.uint8)
    wrong = frame.copy()
    wrong[:64] = 1
    result = evaluate([(frame, frame), (frame, wrong)], CLASSES)
    assert result.scores().iou["drivable"] == 0.75
    assert result.scores().iou["non_drivable"] == 0.0
    assert result.scores().iou["sky"] is None
    assert result.scores().miou == 0.375


def test_nothing_but_void_has_no_score(tmp_path):
    result = evaluate([(np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8))], CLASSES)
    assert result.scores().miou is None
    write_scores(tmp_path / "evaluate.json", result.scores())
    assert "NaN" not in (tmp_path / "evaluate.json").read_text()
