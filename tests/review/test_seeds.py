"""Seeds: which results differ in nothing but the seed."""

from pathlib import Path

import pandas as pd
import pytest

from segcore.files.scores import COUNTS
from segcore.review.comparison import Comparison, compare
from segcore.review.results import load
from segcore.review.seeds import MIOU, Seeds, find_seeds, seed_scores
from tests.support.old_layout import write_old
from tests.support.two_results import HITS, commit, init, write, write_lock


@pytest.fixture(autouse=True)
def first(own_git) -> str:
    return init()


def noise(base: str) -> str:
    return compare(load(base), load("")).noise


def seeds_of(name: str) -> list[int]:
    [seeds] = find_seeds(load(name))
    return list(seeds.counts)


def commit_seed(seed: int, hits: int, **recipe) -> str:
    """Commit a result in which the first class has this many hits."""
    write([hits, *HITS[1:]], seed=seed, **recipe)
    return commit()


def test_they_are_the_results_of_the_same_parameters_and_code(first):
    assert "not known: no result here is of HEAD's recipe with a different seed; in HEAD, `dvc exp run" in noise("HEAD")
    commit_seed(2, 57)
    commit_seed(3, 99, epochs=6)
    commit_seed(4, 99, code="2")
    write([54, *HITS[1:]], epochs=6)
    assert f"The mIoU of 2 seeds of {first[:7]}'s recipe differs by up to 0.0100 (1: 0.4100, 2: 0.4200)." in (
        compare(load(first), load("HEAD")).noise
    )
    write([54, *HITS[1:]], epochs=7)
    assert "With several seeds of the workspace's recipe, too, means are compared." in noise(first)
    write([64, *HITS[1:]], seed=3)
    assert "differs by up to 0.0200 (1: 0.4100, 2: 0.4200, 3: 0.4300)." in noise(first)


def test_moved_code_that_gave_the_same_counts_with_the_same_seed_is_the_same_recipe(first):
    commit_seed(2, 57)
    moved = commit_seed(1, HITS[0], code="moved")
    commit_seed(3, 60, code="moved")
    commit_seed(4, 60, code="better")
    assert seeds_of(first) == seeds_of(moved) == [1, 2, 3]
    assert seeds_of("HEAD") == [4]
    commit_seed(3, 60, code="moved again")
    commit_seed(5, 61, code="moved again")
    assert seeds_of(first) == [1, 2, 3, 5]


def test_changed_code_that_gave_different_counts_is_a_different_recipe(first):
    commit_seed(2, 57)
    commit_seed(1, HITS[0] + 1, code="changed")
    commit_seed(3, 57, code="changed")  # the counts of a different seed prove nothing
    assert seeds_of(first) == [1, 2]
    assert seeds_of("HEAD") == [1, 3]


def test_of_one_seed_the_result_itself_counts_then_the_newest(first):
    second = commit_seed(2, 57)
    newer = commit_seed(2, 58)
    [old], [new] = find_seeds(load(second)), find_seeds(load(first))
    assert old.counts[2].equals(load(second).counts)
    assert new.counts[2].equals(load(newer).counts)


def compare_pooled(base: str, new: str) -> Comparison:
    found = compare(load(base), load(new))
    assert found.pooled
    return found


def test_several_seeds_of_both_recipes_are_compared_by_their_means(first):
    commit_seed(2, 56)
    new = commit_seed(1, 60, epochs=6)
    assert not compare(load(first), load(new)).pooled
    commit_seed(3, 66, epochs=6)
    found = compare_pooled(first, new)
    drivable = found.lines[1]
    assert (drivable.base, drivable.new) == pytest.approx((0.54, 0.64))  # of 51 and 57, 61 and 67 of 100 pixels
    assert f"2 seeds of {first[:7]}'s recipe (1: 0.4100, 2: 0.4186)" in found.noise
    assert f"2 seeds of {new[:7]}'s recipe (1: 0.4243, 3: 0.4329)" in found.noise
    assert found.frames["change"].to_list() == pytest.approx([0.1 / 7] * 12)  # of the two results alone
    assert drivable.verdict == "better"


def test_the_interval_covers_the_seeds(first):
    """Each draw has one of two seeds on each side: a change of 0.04, 0.1, 0.1 or 0.16."""
    commit_seed(2, 56)
    new = commit_seed(1, 60, epochs=6)
    commit_seed(3, 66, epochs=6)
    line = compare_pooled(first, new).lines[1]
    assert (line.low, line.high) == pytest.approx((0.04, 0.16))


def test_seeds_that_both_sides_have_are_drawn_together(first):
    commit_seed(2, 70)
    commit_seed(1, 52, epochs=6)
    new = commit_seed(2, 71, epochs=6)
    line = compare_pooled(first, new).lines[1]
    assert (line.low, line.high) == pytest.approx((0.01, 0.02))


def test_two_seeds_of_one_recipe_are_compared_alone(first):
    commit_seed(2, 57)
    commit_seed(3, 58)
    found = compare(load(first), load("HEAD"))
    assert not found.pooled
    assert found.lines[1].verdict == "seed noise"


def test_without_its_recipe_a_result_is_compared_alone(first):
    commit_seed(2, 57)
    commit_seed(1, 60, epochs=6)
    commit_seed(2, 66, epochs=6)
    Path("dvc.lock").write_text("stages: []")
    assert not compare(load(first), load("")).pooled


@pytest.mark.parametrize("lock", ["<<<<<<<", "stages: []", "[]", "\xff"])
def test_an_unreadable_dvc_lock_does_not_count(lock):
    Path("dvc.lock").write_text(lock, encoding="latin-1")
    commit()
    assert "not known: no result here" in noise("HEAD~1")
    assert "not known: HEAD's dvc.lock does not say" in noise("HEAD")


@pytest.mark.parametrize("content", [None, "", "drive,frame\n", "different"])
def test_counts_other_than_those_that_dvc_lock_records_do_not_count(first, content):
    write([57, *HITS[1:]], seed=2)
    if content is None:
        COUNTS.unlink()
    else:
        COUNTS.write_text(content)
    commit()
    assert seeds_of(first) == [1]


def test_a_seed_that_is_no_number_does_not_count(first):
    write_lock(seed="two")
    commit()
    assert seeds_of(first) == [1]


def test_the_scores_of_each_seed_are_those_of_its_counts(first):
    commit_seed(2, 57)
    [seeds] = find_seeds(load(first))
    scores = seed_scores(seeds)
    assert scores.index.to_list() == [1, 2]
    assert scores.columns[0] == MIOU
    assert scores["drivable"].to_list() == pytest.approx([0.51, 0.58])
    assert scores[MIOU].to_list() == pytest.approx([0.41, 0.42])
    assert seed_scores(Seeds(set(), {})).empty


def test_results_of_the_old_layout_are_read_and_have_seeds_of_their_own(first):
    write_old()
    old = commit()
    write_old(seed=2, hits=60)
    commit()
    [seeds] = find_seeds(load(old))
    pd.testing.assert_series_equal(
        seed_scores(seeds)["sky"], pd.Series([50 / 100, 60 / 100], [1, 2], name="sky"), check_index_type=False
    )
    assert "1 frames of 1 drives" in compare(load(old), load("")).title
