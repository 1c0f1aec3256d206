"""The gate on quality: whether a result is shown to be not worse."""

import pytest

from segcore.files.scores import COUNTS
from segcore.review.comparison import compare
from segcore.review.quality import Answer, check, judge
from segcore.review.results import load
from segcore.runtime.errors import UserError
from tests.support.running import git
from tests.support.two_results import HITS, change_rows, commit, init, write


@pytest.fixture(autouse=True)
def first(own_git) -> str:
    return init()


def answer(margin: float = 0.005) -> tuple[bool, str]:
    return judge(compare(load("HEAD"), load("")), margin)


def judge_them(base: str, new: str) -> Answer:
    return judge(compare(load(base), load(new)), 0.01)


def test_a_gain_is_not_worse():
    write([57, *HITS[1:]])
    passed, text = answer(0)
    assert passed
    assert text == (
        "HEAD → the workspace: mIoU 0.4100 → 0.4200, change +0.0100, 95 % interval over drives alone +0.0100 to "
        "+0.0100: not worse, as the interval does not go below 0; classes better: drivable"
    )


def test_a_loss_for_sure_is_worse_however_wide_the_margin():
    write([43, 11, *HITS[2:]])
    passed, text = answer(0.5)
    assert not passed
    assert text.endswith(" to -0.0086: worse; classes better: non_drivable; classes worse: drivable")


@pytest.mark.parametrize(("beyond", "passes"), [(-0.0001, False), (0, True), (0.01, True), (float("nan"), False)])
def test_an_uncertain_loss_passes_if_the_margin_covers_the_interval(beyond, passes):
    change_rows(row0=100, row7=0, row14=0)
    line = compare(load("HEAD"), load("")).lines[0]
    assert line.low < -0.01 < 0 < line.high
    margin = round(beyond - line.low, 4)
    passed, text = answer(margin)
    assert passed == passes
    assert (f": not worse, as the interval does not go below {-margin:g}" in text) == passes
    assert (f": may be worse, as the interval goes below {-margin:g}" in text) == (not passes)


def test_few_drives_show_nothing_but_the_same_counts_do():
    write(HITS, drives=9)
    commit()
    assert answer() == (
        True,
        "HEAD → the workspace: mIoU 0.4100 → 0.4100: not worse, with the same metrics/frames.csv",
    )
    write([57, *HITS[1:]], drives=9)
    passed, text = answer()
    assert not passed
    assert text.endswith("may be worse, as fewer than 10 drives are too few for an interval")


def test_a_loss_no_larger_than_that_of_seeds_is_not_called_worse(first):
    write([40, *HITS[1:]], seed=2)
    commit()
    write([43, *HITS[1:]], seed=3)
    passed, text = judge(compare(load(first), load("")), 0.005)
    assert not passed
    assert text.endswith("may be worse, as the interval goes below -0.005")
    assert judge(compare(load(first), load("")), 0.02)[0]


def test_seeds_of_both_sides_count_together(first):
    """The two results are a loss, and the means over the seeds a gain."""
    write([49, *HITS[1:]], epochs=6)
    new = commit()
    assert "mIoU 0.4100 → 0.4086, change -0.0014, 95 % interval over drives alone" in judge_them(first, new).text
    for seed, epochs, hits in ((2, 5, 52), (3, 5, 54), (2, 6, 53), (3, 6, 55)):
        write([hits, *HITS[1:]], seed=seed, epochs=epochs)
        commit()
    passed, text = judge_them(first, new)
    assert passed
    assert "mean mIoU 0.4129 → 0.4133, change +0.0005, 95 % interval over drives and 3 and 3 seeds" in text


def test_a_base_whose_counts_are_not_those_of_its_run_is_refused(first):
    write([20, *HITS[1:]])
    COUNTS.write_text(COUNTS.read_text().replace(",20,", ",19,"))
    commit()
    write([57, *HITS[1:]])
    with pytest.raises(UserError, match=r"metrics/frames\.csv of HEAD is not the one that its dvc\.lock records"):
        check("HEAD", True, 0.005)


def test_head_is_compared_with_where_it_left_main_or_with_the_commit_before(first):
    write([57, *HITS[1:]])
    with pytest.raises(UserError, match="no commit before HEAD is here"):
        check("", False, 0.005)
    assert "HEAD:" not in check("", True, 0.005)
    second = commit()
    COUNTS.write_text("damaged")  # the workspace does not matter
    assert check("", False, 0.005).startswith(f"{first[:7]} → HEAD: mIoU 0.4100 → 0.4200")
    git("checkout", "--quiet", "--force", "-b", "side")
    for hits in (20, 30):
        write([hits, *HITS[1:]])
        commit()
    with pytest.raises(
        UserError, match=f"^{second[:7]} → HEAD: mIoU 0.4200 → 0.3814, .*: worse; classes worse: drivable$"
    ):
        check("", False, 0.005)
    git("branch", "--move", "main", "trunk")
    with pytest.raises(UserError, match=r"where this branch left main is not known, .* name a BASE"):
        check("", False, 0.005)
    write([90, *HITS[1:]])
    assert check(first, True, 0.005).startswith(f"{first[:7]} → the workspace: mIoU 0.4100 → 0.4671")


def test_results_that_cannot_be_compared_do_not_pass():
    write(HITS, drives=13)
    with pytest.raises(UserError, match="scored on different frames"):
        check("HEAD", True, 0.005)
