"""Seeds: which results differ in nothing but the seed."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

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
    assert "not known: no result here is of HEAD's recipe with a different seed. In HEAD, `dvc exp run" in noise("HEAD")
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
    commit_seed(4, 61, code="better")
    assert seeds_of(first) == seeds_of(moved) == [1, 2, 3]
    assert seeds_of("HEAD") == [4]
    commit_seed(3, 60, code="moved again")
    commit_seed(5, 62, code="moved again")
    assert seeds_of(first) == [1, 2, 3, 5]


def test_counts_of_several_seeds_prove_nothing(first):
    """A network that has learnt nothing predicts one class everywhere."""
    commit_seed(2, 0)
    commit_seed(3, 0)
    commit_seed(3, 0, epochs=6)
    commit_seed(4, 60, epochs=6)
    assert seeds_of(first) == [1, 2, 3]
    assert seeds_of("HEAD") == [3, 4]


def test_scores_of_a_different_model_than_the_one_of_train_do_not_count(first):
    """`dvc exp run train` trains with a different seed, and evaluates nothing."""
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    lock["stages"]["train"]["params"]["params.yaml"]["train"]["seed"] = 2
    lock["stages"]["train"]["outs"][0]["md5"] = "1"
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    commit()
    assert seeds_of(first) == [1]
    assert seeds_of("HEAD") == []


def test_a_seed_with_different_scores_in_different_runs_is_named(first):
    commit_seed(2, 57)
    commit_seed(2, 58)
    assert "With HEAD's recipe, seed 2 gave different scores in different runs: versions of libraries" in noise("HEAD")
    assert "different runs" not in noise("HEAD~2") or "seed 2" in noise("HEAD~2")


def test_seeds_with_different_ground_truth_do_not_count(first):
    write([57, *HITS[1:]], seed=2, pixels=120)
    commit()
    write([57, *HITS[1:]], seed=3, drives=13)
    commit()
    assert seeds_of(first) == [1]


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
    commit_seed(2, 51)
    commit_seed(4, 55)
    new = commit_seed(1, 70, epochs=6)
    assert not compare(load(first), load(new)).pooled
    commit_seed(3, 72, epochs=6)
    commit_seed(5, 74, epochs=6)
    found = compare_pooled(first, new)
    drivable = found.lines[1]
    assert (drivable.base, drivable.new) == pytest.approx((0.53, 0.73))  # of 51, 52, 56 and 71, 73, 75 of 100 pixels
    assert f"3 seeds of {first[:7]}'s recipe (mIoU by seed: 1: 0.4100, 2: 0.4114, 4: 0.4171)" in found.noise
    assert f"and 3 seeds of {new[:7]}'s (1: 0.4386, 3: 0.4414, 5: 0.4443)" in found.noise
    assert found.frames["change"].to_list() == pytest.approx([0.2 / 7] * 12)  # of the two results alone
    assert drivable.verdict == "better"
    assert drivable.low < 0.15 and drivable.high > 0.25  # though every drive has the same change


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


def test_counts_that_are_no_table_do_not_count(first):
    COUNTS.write_text("damaged")
    write_lock(seed=2)  # with its digest
    commit()
    assert seeds_of(first) == [1]


@pytest.mark.parametrize("epochs", ["2026-01-01", "&a [*a]"])
def test_values_that_dvc_does_not_write_do_not_count(first, epochs):
    Path("dvc.lock").write_text(Path("dvc.lock").read_text().replace("epochs: 5", f"epochs: {epochs}"))
    commit()
    assert seeds_of("HEAD") == []


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
    assert seed_scores(Seeds(set(), {}, [])).empty


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
