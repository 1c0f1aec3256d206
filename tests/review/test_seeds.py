"""Seed noise: which results differ in nothing but the seed."""

from pathlib import Path

import pytest

from segcore.files.scores import SCORES
from segcore.review.comparison import compare
from segcore.review.results import load
from segcore.review.seeds import MIOU, seed_scores
from tests.support.old_layout import write_old
from tests.support.two_results import HITS, commit, init, write, write_lock


@pytest.fixture(autouse=True)
def first(own_git) -> str:
    return init()


def noise(base: str) -> str:
    return compare(load(base), load("")).noise


def test_they_are_the_results_of_the_same_parameters_and_code(first):
    assert "not known: no result here is of HEAD's recipe with a different seed" in noise("HEAD")
    write([57, *HITS[1:]], seed=2)
    commit()
    for other in ({"seed": 3, "epochs": 6}, {"seed": 4, "code": "2"}):
        write([99] * 7, **other)
        commit()
    write([54, *HITS[1:]], epochs=6)
    found = f"The mIoU of 2 seeds of {first[:7]}'s recipe differs by up to 0.0100 (1: 0.4000, 2: 0.4100)."
    assert found in noise(first)
    write([64, *HITS[1:]], seed=3)
    assert "differs by up to 0.0200 (1: 0.4000, 2: 0.4100, 3: 0.4200)." in noise(first)


@pytest.mark.parametrize("scores", ['{"miou": null}', '{"miou"', "[]", '{"miou_native": 0.5}'])
def test_scores_without_miou_do_not_count(scores):
    SCORES.write_text(scores)
    write_lock(seed=2)
    commit()
    assert "not known" in noise("HEAD~1")


@pytest.mark.parametrize("lock", ["<<<<<<<", "stages: []", "[]", "\xff"])
def test_an_unreadable_dvc_lock_does_not_count(lock):
    Path("dvc.lock").write_text(lock, encoding="latin-1")
    commit()
    assert "not known: no result here" in noise("HEAD~1")
    assert "not known: HEAD's dvc.lock does not say" in noise("HEAD")


def test_scores_of_a_different_run_than_dvc_lock_records_do_not_count():
    write([57, *HITS[1:]], seed=2)
    SCORES.write_text('{"miou": 0.9}')
    commit()
    assert "not known" in noise("HEAD~1")


def test_results_of_the_old_layout_are_read_and_have_seeds_of_their_own(first):
    write_old()
    old = commit()
    write_old(seed=2, miou=0.7412)
    commit()
    found = seed_scores(load(old), load(first))
    assert {seed: scores[MIOU] for seed, scores in found.items()} == {1: 0.7387, 2: 0.7412}
    assert found[1]["sky"] == 0.9425
    assert "1 frames of 1 drives" in compare(load(old), load("")).title
