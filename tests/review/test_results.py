"""Results by name, which of them a change is compared with, and which can be compared."""

import hashlib
from pathlib import Path

import pytest

from segcore.files.scores import COUNTS
from segcore.repository.git import GitError
from segcore.review.results import check_same_classes, check_same_frames, default_base, load
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES
from tests.support.running import git
from tests.support.two_results import HITS, commit, init, write


@pytest.fixture
def first(own_git) -> str:
    """The first commit of a repository, on main, with a result."""
    return init()


def commit_other(first_class: int) -> str:
    write([first_class, *HITS[1:]])
    return commit()


def test_on_main_it_is_head_or_where_the_workspace_is_the_same_the_commit_before(first):
    second = commit_other(55)
    assert default_base() == first
    write([60, *HITS[1:]])
    assert default_base() == second


def test_on_a_branch_it_is_where_that_left_main(first):
    git("checkout", "--quiet", "-b", "side")
    commit_other(55)
    commit_other(60)
    git("checkout", "--quiet", "main")
    commit_other(10)
    git("checkout", "--quiet", "side")
    assert default_base() == first
    git("checkout", "--quiet", "--detach")
    assert default_base() == first


def test_commits_of_main_that_nobody_pushed_are_main_too(first, monkeypatch, tmp_path):
    git("clone", "--quiet", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    second, third = commit_other(55), commit_other(60)
    assert default_base() == second
    git("checkout", "--quiet", "-b", "side")
    commit_other(65)
    assert default_base() == third
    git("branch", "--quiet", "--delete", "--force", "main")
    assert default_base() == first  # where it left what was pushed


def test_without_main_it_is_the_commit_before(first):
    git("branch", "--move", "trunk")
    commit_other(55)
    assert default_base() == first


def test_the_first_commit_has_none_before_it(first):
    with pytest.raises(UserError, match="no commit before HEAD is here to compare with: name a BASE"):
        default_base()


def test_a_shallow_clone_is_told_to_be_deepened(first, monkeypatch, tmp_path):
    commit_other(55)
    git("clone", "--quiet", "--depth=1", f"file://{tmp_path}/project", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    with pytest.raises(UserError, match="the clone is shallow: `git fetch --unshallow`"):
        default_base()


def test_a_result_has_the_counts_lock_and_metrics_of_its_commit(first):
    commit_other(55)
    old, new = load(first), load("")
    assert (old.name, old.commit) == (first[:7], first)
    assert (new.name, new.commit) == ("the workspace", "")
    assert (old.counts.loc[0, "tp"], new.counts.loc[0, "tp"]) == (50, 55)
    assert new.digest == hashlib.md5(COUNTS.read_bytes()).hexdigest() != old.digest
    assert new.lock == Path("dvc.lock").read_bytes() != old.lock
    assert load("main").name == "main"


def test_what_is_no_commit_and_no_experiment_is_an_error(first):
    with pytest.raises(UserError, match="nowhere: no commit, branch, tag or experiment has this name"):
        load("nowhere")
    with pytest.raises(UserError, match="--all: no commit"):
        load("--all")


def test_two_experiments_of_a_name_are_told_apart_by_hash(first):
    second = commit_other(55)
    for commit_of_one, base in ((first, "1" * 38), (second, "2" * 38)):
        git("update-ref", f"refs/exps/ab/{base}/twin", commit_of_one)
    with pytest.raises(UserError, match=f"twin: 2 experiments have this name.*({first}|{second})"):
        load("twin")
    git("update-ref", "-d", f"refs/exps/ab/{'1' * 38}/twin")
    assert load("twin").commit == second


def test_a_commit_without_counts_is_an_error(first):
    git("rm", "--quiet", str(COUNTS))
    commit()
    with pytest.raises(UserError, match=r"HEAD has no metrics/frames\.csv"):
        load("HEAD")


def test_a_workspace_without_counts_is_an_error(first):
    COUNTS.unlink()
    with pytest.raises(FileNotFoundError, match=r"metrics/frames\.csv"):  # which becomes a message
        load("")


def test_outside_of_git_there_are_no_commits(own_git):
    with pytest.raises(GitError, match="not a git repository"):
        load("HEAD")


@pytest.mark.parametrize(
    ("other", "what"),
    [({"drives": 13}, r"different frames \(1 are in only one of them\)"), ({"pixels": 99}, "different ground truth")],
)
def test_results_of_different_frames_are_not_compared(first, other, what):
    write(HITS, **other)
    with pytest.raises(UserError, match=f"HEAD and the workspace are scored on {what}"):
        check_same_frames(load("HEAD"), load(""))


def test_different_ground_truth_may_be_that_of_a_different_protocol(first):
    write(HITS, pixels=400)
    with pytest.raises(UserError, match=r"fetch\.source, the same protocol in the description of fetch\.dataset and"):
        check_same_frames(load("HEAD"), load(""))


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            [*CLASSES[:5], "a", "b"],
            "have different classes, .*: only HEAD has far, sky; only the workspace has a, b; run",
        ),
        (CLASSES[:5], "have different classes, .*: only HEAD has far, sky; run both with the same fetch.dataset"),
        ([*CLASSES, "a"], "have different classes, and cannot be compared: only the workspace has a; run"),
        (
            [*CLASSES[1:], CLASSES[0]],
            "have the same classes in a different order, and cannot be compared: HEAD has drivable, non_drivable, .*, "
            "sky; the workspace has non_drivable, .*, sky, drivable; run",
        ),
    ],
)
def test_results_of_different_classes_are_not_compared(first, classes, said):
    write([30] * len(classes), classes=classes)
    with pytest.raises(UserError, match=f"^HEAD and the workspace {said}"):
        check_same_classes(load("HEAD"), load(""))


def test_a_duplicate_row_is_an_error(first):
    lines = COUNTS.read_text().splitlines()
    COUNTS.write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(UserError, match="of the workspace: duplicate row for one frame and class"):
        check_same_frames(load("HEAD"), load(""))
