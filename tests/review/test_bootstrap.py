"""The paired bootstrap over drives and seeds."""

import itertools
import math

import numpy as np
import pytest

from segcore.review import bootstrap


def counts(seed, drives, classes=3, low=1):
    return np.random.default_rng(seed).integers(low, 100, (drives, classes, 3)).astype(float)


def intervals(base, new):
    """The intervals of one seed each."""
    return bootstrap.intervals(base[None], new[None])


def iou_and_mean(table):
    """By hand, of counts C×3, where a class without pixels has no score."""
    iou = [tp / (tp + fp + fn) if tp + fp + fn else np.nan for tp, fp, fn in table]
    return np.array([*iou, np.mean([value for value in iou if value == value])])


def test_scores_are_the_iou_of_each_class_and_the_mean_of_those_there_are():
    table = np.array([[6, 2, 4], [0, 0, 0], [0, 1, 0]], dtype=float)
    assert bootstrap.scores(table) == pytest.approx([0.5, np.nan, 0, 0.25], nan_ok=True)
    assert np.isnan(bootstrap.scores(np.zeros((2, 3)))).all()


def test_the_interval_is_that_of_all_draws_there_can_be():
    base, new = counts(1, drives=10), counts(2, drives=10)
    # Each way to draw 10 times from 10, as numbers of times, and in how many orders it comes.
    bars = np.array(list(itertools.combinations(range(19), 9)))
    times = np.diff(bars, axis=1, prepend=-1, append=19) - 1
    orders = np.array([math.prod(map(math.factorial, row)) for row in times.tolist()], dtype=float) ** -1
    differences = bootstrap.scores(np.einsum("rd,dck->rck", times, new)) - bootstrap.scores(
        np.einsum("rd,dck->rck", times, base)
    )
    ends = intervals(base, new)
    for (low, high), values in zip(ends, differences.T, strict=True):
        order = values.argsort()
        below = orders[order].cumsum() / orders.sum()
        exact = values[order][np.searchsorted(below, [0.025, 0.975])]
        assert np.ptp(exact) > 0.08
        assert [low, high] == pytest.approx(exact, abs=0.005)


def test_the_draws_are_the_same_for_both_results():
    base = counts(3, drives=12)
    scarcely = base + np.array([0, 0.001, 0])
    assert np.ptp(intervals(base, scarcely), axis=1).max() < 1e-4
    assert not intervals(base, base).any()


def test_the_same_tables_give_the_same_interval():
    base, new = counts(4, drives=10), counts(5, drives=10)
    assert (intervals(base, new) == intervals(base, new)).all()


def test_a_gain_in_each_drive_is_one_for_sure_and_one_in_a_single_drive_is_not():
    base = np.full((20, 2, 3), 30.0)
    everywhere, somewhere = base.copy(), base.copy()
    everywhere[:, 0, 0] += np.arange(1, 21)
    somewhere[7, 0, 0] += 100
    assert intervals(base, everywhere)[0, 0] > 0
    assert intervals(base, somewhere)[0, 0] == 0 < intervals(base, somewhere)[0, 1]


def test_a_class_that_is_nowhere_has_no_interval_and_one_of_few_drives_has_that_of_the_draws_with_it():
    base, new = counts(6, drives=10), counts(7, drives=10)
    base[:, 1] = new[:, 1] = 0
    base[1:, 2] = new[1:, 2] = 0
    ends = intervals(base, new)
    assert np.isnan(ends[1]).all()
    difference = iou_and_mean(new[0])[2] - iou_and_mean(base[0])[2]
    assert ends[2] == pytest.approx([difference, difference])
    assert not np.isnan(ends[-1]).any()


def test_few_drives_say_nothing_of_others():
    assert np.isnan(intervals(counts(8, drives=9), counts(9, drives=9))).all()
    assert not np.isnan(intervals(counts(8, drives=10), counts(9, drives=10))).any()


def of_seeds(*hits):
    """Counts S×D×C×3 of 10 drives that are all the same, so that only the choice of seeds matters."""
    rows = [[[hit, 0, 100 - hit], [50, 0, 50]] for hit in hits]
    return np.repeat(np.array(rows, dtype=float)[:, None], 10, 1)


@pytest.mark.parametrize(("before", "after", "t"), [(10, 8, 2.120), (5, 5, 2.306), (3, 2, 3.182), (2, 2, 4.303)])
def test_without_drives_the_interval_is_that_of_students_test(before, after, t):
    hits = [50, 54, 52, 55, 56, 57, 58, 60, 62, 66]
    base, new = hits[:before], [hit + 10 for hit in hits[:after]]
    variance = (np.var(base) * before + np.var(new) * after) / (before + after - 2)
    half = t * (variance * (1 / before + 1 / after)) ** 0.5
    change = np.mean(new) - np.mean(base)
    low, high = bootstrap.intervals(of_seeds(*base), of_seeds(*new))[0] * 100
    assert (low, high) == pytest.approx((change - half, change + half), abs=0.08 * half)


def test_seeds_and_drives_both_count():
    random = np.random.default_rng(3)
    base = np.repeat(of_seeds(50, 50, 50, 50)[:, :1], 40, 1)
    new = base + random.normal(0, 5, (1, 40, 1, 1)) * [1, 0, -1] + random.normal(0, 1, (4, 1, 1, 1)) * [1, 0, -1]
    by_drive, both = intervals(base[0], new[0])[0], bootstrap.intervals(base, new)[0]
    assert np.ptp(both) > 1.1 * np.ptp(by_drive)


def test_a_class_that_one_seed_lacks_has_no_interval():
    base, new = of_seeds(50, 60), of_seeds(50, 60)
    base[:, :, 0] = new[:, :, 0] = 0
    new[1, :, 0, 1] = 5  # predicted, but nowhere true
    assert np.isnan(bootstrap.intervals(base, new)[0]).all()


def test_a_wrong_pixel_of_a_class_that_is_true_in_few_drives_costs_little():
    """Without the drives with its truth, a draw has no score before, and would have an IoU of 0 after."""
    base = np.full((12, 3, 3), 30.0)
    base[1:, 2] = 0
    new = base.copy()
    new[5, 2, 1] = 1
    low, high = intervals(base, new)[-1]
    assert -0.01 < low < high <= 0
