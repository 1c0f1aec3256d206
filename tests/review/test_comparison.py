"""The comparison of two results: the verdict on each class, and the frames to show."""

import re

import pandas as pd
import pytest

from segcore.files.scores import COUNTS
from segcore.review.comparison import Comparison, compare
from segcore.review.results import load
from segcore.runtime.errors import UserError
from tests.support.two_results import HITS, change_rows, commit, init, write


@pytest.fixture(autouse=True)
def first(own_git) -> str:
    return init()


def compare_with_head() -> Comparison:
    return compare(load("HEAD"), load(""))


def rows(comparison: Comparison) -> list[str]:
    """The rows of its tables."""
    return [" ".join(row) for table in comparison.tables().values() for row in table.rows]


def test_each_class_has_its_iou_before_and_after_and_a_verdict():
    write([55, 10, 20, 25, 40, 60, 70])
    found = compare_with_head()
    assert found.title == "HEAD → the workspace: 12 frames of 12 drives"
    assert rows(found)[0] == "mIoU 0.4100 0.4100 +0.0000 same +0.0000 to +0.0000"
    assert "drivable 0.5100 0.5600 +0.0500 better +0.0500 to +0.0500" in rows(found)
    assert "vehicles 0.3100 0.2600 -0.0500 worse -0.0500 to -0.0500" in rows(found)
    assert "sky 0.7100 0.7100 +0.0000 same +0.0000 to +0.0000" in rows(found)


@pytest.mark.parametrize("count", [2, 3, 19, 64])
def test_classes_are_those_of_the_results_in_their_order(count):
    classes = [f"class {i}" for i in range(count)]
    hits = [20 + i for i in range(count)]
    write(hits, classes=classes)
    commit()
    write([hits[0] + 5, *hits[1:]], classes=classes)
    found = compare_with_head()
    assert [line.name for line in found.lines] == ["mIoU", *classes]
    assert rows(found)[1] == "class 0 0.2100 0.2600 +0.0500 better +0.0500 to +0.0500"
    mean = (20 + count - 1 + 20) / 2 / 100 + 0.01
    assert (found.lines[0].base, found.lines[0].new) == pytest.approx((mean, mean + 0.05 / count))


def test_results_of_different_classes_are_refused():
    write(HITS[:3], classes=["road", "a car", "sky"])
    with pytest.raises(UserError, match=r"only HEAD has drivable, .*; only the workspace has road, a car;"):
        compare_with_head()


def test_a_gain_in_one_drive_alone_is_no_evidence():
    change_rows(row0=90)
    assert any(re.fullmatch(r"drivable 0\.5100 0\.5433 .* no evidence .*", row) for row in rows(compare_with_head()))


def test_a_gain_in_all_of_few_drives_is_no_evidence():
    write(HITS, drives=9)
    commit()
    write([55, *HITS[1:]], drives=9)
    found = compare_with_head()
    assert "9 frames of 9 drives; fewer than 10 drives are too few" in found.title
    assert "drivable 0.5100 0.5600 +0.0500 – –" in rows(found)


def test_the_frames_that_changed_most_come_first():
    change_rows(row7=0, row14=80)
    *_, worse, better, total = rows(compare_with_head())
    assert worse.startswith("1/000001 ")
    assert worse.endswith(f" {-0.51 / 7:+.4f}")
    assert better.startswith("2/000002 ")
    assert better.endswith(f" {0.28 / 7:+.4f}")
    assert total.split() == ["all", "frames", "1", "up,", "1", "down"]


def test_a_class_that_occurs_nowhere_has_a_dash():
    table = pd.read_csv(COUNTS, dtype={"drive": str, "frame": str})
    table.loc[table["class"] == "living", ["tp", "fp", "fn"]] = 0
    table.to_csv(COUNTS, index=False)
    commit()
    assert "living – – – – –" in rows(compare_with_head())


def test_a_change_that_seeds_make_too_is_called_noise(first):
    write([57, *HITS[1:]], seed=2)
    commit()

    def verdict(hits: list[int], name: str) -> str:
        write(hits, epochs=6)
        [line] = [line for line in compare(load(first), load("")).lines if line.name == name]
        return line.verdict

    assert verdict([57, 20, *HITS[2:]], "drivable") == "seed noise"
    assert verdict([57, 20, *HITS[2:]], "non_drivable") == "better"
    assert verdict([43, *HITS[1:]], "drivable") == "seed noise"
    assert verdict([42, *HITS[1:]], "drivable") == "worse"


def test_up_to_half_of_the_shown_frames_became_worse():
    changes = {f"row{7 * drive}": 30 if drive < 7 else 95 for drive in range(12)}
    change_rows(**changes)
    found = compare_with_head().shown
    assert (found["change"] < 0).tolist() == [True] * 5 + [False] * 5


def test_if_few_frames_became_better_more_that_became_worse_are_shown():
    change_rows(**{f"row{7 * drive}": 30 if drive < 11 else 95 for drive in range(12)})
    found = compare_with_head().shown
    assert (found["change"] < 0).tolist() == [True] * 9 + [False]
