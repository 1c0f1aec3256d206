"""IoU against sets of pixels counted one by one."""

import pytest
import torch

from segcore.confusion import confusion_matrix, iou, mean_iou, pixel_accuracy


def iou_by_sets(truth: torch.Tensor, prediction: torch.Tensor, classes: int) -> list[float | None]:
    """The definition, with a Python set of pixels per class."""
    pairs = [(t, p, k) for k, (t, p) in enumerate(zip(truth.tolist(), prediction.tolist(), strict=True)) if t != 255]
    values = []
    for c in range(classes):
        true, predicted = {k for t, _, k in pairs if t == c}, {k for _, p, k in pairs if p == c}
        values.append(len(true & predicted) / len(true | predicted) if true | predicted else None)
    return values


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(3)
    truth = torch.randint(0, 6, (500,), generator=generator).to(torch.uint8)  # class 6 never occurs
    truth[::7] = 255
    prediction = torch.randint(0, 6, (500,), generator=generator).to(torch.uint8)
    return truth, torch.where(torch.rand(500, generator=generator) < 0.5, truth.clamp(max=5), prediction)


def test_iou_is_that_of_sets_of_pixels(pixels):
    truth, prediction = pixels
    expected = iou_by_sets(truth, prediction, 7)
    matrix = confusion_matrix(truth, prediction, 7)
    assert iou(matrix) == pytest.approx(expected)
    assert expected[6] is None
    assert mean_iou(matrix) == pytest.approx(sum(expected[:6]) / 6)


def test_void_counts_neither_in_rows_nor_in_columns(pixels):
    truth, prediction = pixels
    changed = torch.where(truth == 255, torch.zeros_like(prediction), prediction)
    assert torch.equal(confusion_matrix(truth, prediction, 7), confusion_matrix(truth, changed, 7))


def test_rows_are_the_truth():
    matrix = confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([1, 0, 1]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]
    assert pixel_accuracy(matrix) == pytest.approx(2 / 3)


def test_a_class_only_predicted_scores_zero_and_one_nowhere_is_left_out():
    matrix = confusion_matrix(torch.tensor([0, 0]), torch.tensor([0, 1]), 3)
    assert iou(matrix) == [0.5, 0.0, None]
    assert mean_iou(matrix) == 0.25


def test_nothing_but_void_has_no_score():
    matrix = confusion_matrix(torch.tensor([255, 255]), torch.tensor([0, 1]), 3)
    assert mean_iou(matrix) is None
    assert pixel_accuracy(matrix) is None
