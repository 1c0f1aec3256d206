"""Outliers of a data set, on frames made by hand."""

import numpy as np
import pytest

from segcore.dataset.classes import VOID
from segcore.describe import outliers
from segcore.describe.outliers import count_classes, divergence, most_alike, thumbnail


def test_pixels_of_each_class_and_of_void_are_counted():
    labels = np.array([[[0, 0, 6], [VOID, 3, 0]], [[1, 1, 1], [1, 1, 1]]], dtype=np.uint8)
    assert count_classes(labels, 7).tolist() == [[3, 0, 0, 1, 0, 0, 1, 1], [0, 6, 0, 0, 0, 0, 0, 0]]


def test_divergence_is_the_entropy_of_the_middle_less_the_mean_entropy():
    def entropy(mix):
        return -sum(p * np.log2(p) for p in mix if p)

    counts = np.array([[8, 0, 0], [0, 2, 6], [1, 1, 2]])  # of different sizes
    usual = np.array([9, 3, 8]) / 20
    expected = []
    for row in counts:
        mix = row / row.sum()
        expected.append(entropy((mix + usual) / 2) - (entropy(mix) + entropy(usual)) / 2)
    assert divergence(counts) == pytest.approx(expected)
    assert divergence(np.array([[3, 1], [30, 10]])) == pytest.approx([0, 0])


def test_the_product_of_thumbnails_is_a_correlation_that_brightness_and_contrast_do_not_change():
    rng = np.random.default_rng(1)
    one, other = (np.repeat(rng.integers(40, 90, (16, 32, 1), dtype=np.uint8), 3, axis=2) for _ in range(2))
    expected = np.corrcoef(one[..., 0].ravel(), other[..., 0].ravel())[0, 1]
    assert thumbnail(one) @ thumbnail(other) == pytest.approx(expected, abs=1e-6)
    assert thumbnail(one) @ thumbnail(2 * one + 30) == pytest.approx(1)
    assert thumbnail(one) @ thumbnail(255 - one) == pytest.approx(-1)
    assert not thumbnail(np.full((16, 32, 3), 7, np.uint8)).any()


@pytest.mark.parametrize("block", [1, 3, 1024])
@pytest.mark.parametrize("same", [False, True])
def test_each_frame_is_paired_with_the_one_most_like_it(monkeypatch, same, block):
    monkeypatch.setattr(outliers, "BLOCK", block)
    vectors = np.random.default_rng(2).normal(size=(9, 4)).astype(np.float32)
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    expected = set()
    for i in range(9):
        others = [j for j in range(9) if j != i and (groups[i] == groups[j]) == same]
        best = max(others, key=lambda j: vectors[i] @ vectors[j])
        expected.add((min(i, best), max(i, best)))
    pairs = most_alike(vectors, groups, same=same)
    assert {(pair.first, pair.second) for pair in pairs} == expected
    assert len(pairs) == len(expected)
    assert [pair.correlation for pair in pairs] == sorted((pair.correlation for pair in pairs), reverse=True)
    assert pairs[0].correlation == pytest.approx(vectors[pairs[0].first] @ vectors[pairs[0].second])


def test_a_frame_with_nothing_to_compare_is_in_no_pair():
    vectors = np.eye(3, dtype=np.float32)
    assert most_alike(vectors, np.zeros(3, int), same=False) == []
    assert [(pair.first, pair.second) for pair in most_alike(vectors, np.array([0, 0, 1]), same=True)] == [(0, 1)]
