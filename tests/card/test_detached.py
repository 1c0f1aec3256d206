"""The advice after a kill, on logs of HEAD made by hand; tests/system/test_after_a_crash.py has real ones."""

from pathlib import Path

import pytest

from segcore.card.detached import advice
from tests.support.running import git

START, DAY = 10**9, 24 * 3600  # seconds; git takes smaller numbers for a year
BEGINS = ["commit: code", "checkout: moving from fix(1) to {}", "dvc: Restore HEAD to 'fix(1)'"]
KILLED = [*BEGINS, "checkout: moving from fix(1) to {}"]
LATER_RUN = ["commit: dvc: commit experiment 0123", "dvc: Restore HEAD to '{}'"]


@pytest.fixture
def write_log(own_git, monkeypatch):
    """A function that makes the log of HEAD these messages, oldest first, one a day; ``{}`` is the commit's hash."""
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    git("init", "--initial-branch=fix(1)")
    git("commit", "--allow-empty", "--message=code")
    commit = git("rev-parse", "HEAD")

    def write_log(messages: list[str]) -> None:
        lines = (
            f"{commit} {commit} A <a@example.org> {START + day * DAY} +0000\t{message.format(commit)}\n"
            for day, message in enumerate(messages, 1)
        )
        Path(".git/logs/HEAD").write_text("".join(lines))

    return write_log


def begin_run(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    """Leave what DVC has during a run that began on this day."""
    monkeypatch.setenv("DVC_EXP_NAME", "mine")
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"{START + day * DAY + 1} +0000")
    saved = git("commit-tree", "-m", "the workspace", "HEAD^{tree}")
    git("update-ref", "refs/exps/exec/EXEC_MERGE", saved)


@pytest.mark.parametrize("later", [[], LATER_RUN, LATER_RUN * 3])
def test_it_names_the_branch_after_a_kill(write_log, later):
    write_log(KILLED + later)
    assert advice() == (
        "HEAD has been detached since a `dvc exp run` was killed; before you commit, run `git switch 'fix(1)'` "
        "(see docs/after-a-crash.md)"
    )


@pytest.mark.parametrize(("day", "is_killed"), [(3, False), (4, True), (40, True)])
def test_during_a_run_it_asks_whether_head_was_detached_before(write_log, monkeypatch, day, is_killed):
    write_log(KILLED)
    begin_run(monkeypatch, day)
    assert (advice() is not None) == is_killed


@pytest.mark.parametrize(
    "messages",
    [
        ["commit: code"],
        BEGINS,
        [*BEGINS, "commit: mine", "checkout: moving from fix(1) to {}"],
        [*BEGINS, "checkout: moving from fix(1) to v1.0"],
        [*KILLED, "dvc: Restore HEAD to 'fix(1)'"],
        [*KILLED, "checkout: moving from {} to fix(1)"],
        [*KILLED, *LATER_RUN, "checkout: moving from {} to fix(1)"],
        [*KILLED, "commit: mine"],
    ],
)
def test_it_says_nothing_if_no_run_was_killed_or_something_else_was_done_since(write_log, messages):
    write_log(messages)
    assert advice() is None


def test_it_says_nothing_if_git_cannot_say(write_log, monkeypatch, tmp_path, capfd):
    write_log(KILLED)
    monkeypatch.setenv("DVC_EXP_NAME", "without a run")
    assert advice() is None
    monkeypatch.delenv("DVC_EXP_NAME")
    Path(".git/logs/HEAD").unlink()
    assert advice() is None
    monkeypatch.chdir(tmp_path)
    assert advice() is None
    monkeypatch.setenv("PATH", "")
    assert advice() is None
    assert capfd.readouterr() == ("", "")
