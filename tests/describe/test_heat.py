"""Heat maps of the places of classes."""

import numpy as np

from segcore.dataset.classes import VOID
from segcore.describe.heat import count_frames, draw_heat


def test_the_frames_with_a_class_are_counted_at_each_place():
    labels = np.random.default_rng(1).choice(np.array([0, 1, 2, VOID], np.uint8), (300, 4, 6))
    expected = np.stack([(labels == number).sum(0) for number in range(3)])
    np.testing.assert_array_equal(count_frames(labels, 3), expected)


def test_the_largest_number_is_light_and_none_is_dark():
    grey = np.asarray(draw_heat(np.array([[0, 1], [2, 4]])).convert("L"), int)
    assert grey[0, 0] < 10 < grey[0, 1] < grey[1, 0] < grey[1, 1]
    assert grey[1, 1] > 240
    assert np.asarray(draw_heat(np.zeros((2, 2)))).max() == 10
