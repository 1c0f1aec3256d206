"""IoU from counts of pixels, against masks compared pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from segcore.network.confusion import confusion_matrix
from segcore.network.iou import class_counts, class_iou, mean_iou
from tests.support.protocol import random_pair, reference_iou


def counts(truth: np.ndarray, prediction: np.ndarray, classes: int = 7) -> np.ndarray:
    return class_counts(confusion_matrix(torch.from_numpy(truth), torch.from_numpy(prediction), classes).numpy())


def test_iou_is_that_of_the_reference():
    rng = np.random.default_rng(3)
    pairs = [random_pair(rng, 30, 40) for _ in range(3)]
    for truth, prediction in pairs:
        truth[truth == 6] = 255
        prediction[prediction == 6] = 5
    expected = reference_iou(pairs)
    total = sum(counts(*pair) for pair in pairs)
    assert math.isnan(expected[6])
    np.testing.assert_allclose(class_iou(total), expected)
    assert mean_iou(total) == pytest.approx(sum(expected[:6]) / 6)


def test_counts_are_true_positives_false_positives_and_false_negatives():
    assert class_counts(np.array([[5, 2, 0], [1, 3, 0], [4, 0, 0]])).tolist() == [[5, 5, 2], [3, 2, 1], [0, 0, 4]]


def test_a_class_only_predicted_or_only_true_scores_zero_and_an_absent_one_is_left_out():
    found = counts(np.array([0, 0, 0, 3]), np.array([0, 0, 1, 0]), classes=4)
    np.testing.assert_array_equal(class_iou(found), [0.5, 0, np.nan, 0])
    assert mean_iou(found) == 0.5 / 3


def test_without_a_valid_pixel_there_is_no_score():
    found = counts(np.array([255, 255]), np.array([0, 1]))
    assert np.isnan(class_iou(found)).all()
    assert math.isnan(mean_iou(found))


def test_many_at_once_give_the_same_and_warn_of_nothing(recwarn):
    rng = np.random.default_rng(4)
    many = rng.integers(0, 3, (5, 2, 7, 3))
    many[0, 0] = 0
    for i, j in np.ndindex(5, 2):
        np.testing.assert_array_equal(class_iou(many)[i, j], class_iou(many[i, j]))
        np.testing.assert_array_equal(mean_iou(many)[i, j], mean_iou(many[i, j]))
    assert recwarn.list == []
