"""Windows over a picture, and their scores put together."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from segcore.predict.tiles import corners, cut, merge

WINDOW = (4, 6)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 13), (9, 20), (40, 61)])
def test_windows_cover_the_picture_and_overlap_by_half(size):
    covered = np.zeros(size, int)
    for top, left in corners(size, WINDOW):
        assert 0 <= top <= size[0] - WINDOW[0]
        assert 0 <= left <= size[1] - WINDOW[1]
        covered[top : top + WINDOW[0], left : left + WINDOW[1]] += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({corner[axis] for corner in corners(size, WINDOW)})
        assert all(after - before <= -(-WINDOW[axis] // 2) for before, after in pairwise(starts))


def test_the_windows_are_parts_of_the_picture():
    pixels = np.random.default_rng(1).integers(0, 256, (9, 20, 3), dtype=np.uint8)
    for (top, left), window in zip(corners((9, 20), WINDOW), cut(pixels, WINDOW), strict=True):
        assert np.array_equal(window, pixels[top : top + 4, left : left + 6])


def test_one_window_keeps_its_scores():
    scores = torch.randn(7, *WINDOW)
    assert torch.equal(merge(iter([scores]), WINDOW, WINDOW), scores)


@pytest.mark.parametrize("size", [(5, 6), (9, 20), (13, 7)])
def test_scores_that_depend_on_the_place_alone_are_put_back_there(size):
    scores = torch.randn(7, *size, generator=torch.Generator().manual_seed(1))
    parts = (scores[:, top : top + 4, left : left + 6] for top, left in corners(size, WINDOW))
    assert torch.allclose(merge(parts, size, WINDOW), scores, atol=1e-6)


def test_the_middle_of_a_window_counts_more_than_its_edge():
    first, second = torch.zeros(1, 4, 6), torch.ones(1, 4, 6)
    merged = merge(iter([first, second]), (4, 9), WINDOW)[0, 0]
    assert corners((4, 9), WINDOW) == [(0, 0), (0, 3)]
    assert merged.tolist() == pytest.approx([0, 0, 0, 1 / 4, 1 / 2, 3 / 4, 1, 1, 1])


def test_no_more_scores_are_taken_than_the_picture_has_windows():
    scores = iter([torch.zeros(1, 4, 6)] * 5)
    merge(scores, (4, 9), WINDOW)
    assert len(list(scores)) == 3
