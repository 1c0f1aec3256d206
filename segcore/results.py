"""Results to set side by side: of a commit, of an experiment, of the workspace."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from segcore import history
from segcore.console import UserError
from segcore.counts import read_counts
from segcore.revisions import GitError, find_commit, git, is_shallow, read_at

COUNTS, METRICS = "metrics/frames.csv", "metrics/evaluate.json"
FRAME = ["drive", "frame"]
MAIN, MAINS = "main", ("refs/heads/main", "refs/remotes/origin/main")


class Result(NamedTuple):
    """A result: its name, its commit (none of the workspace), its counts, and the bytes of dvc.lock and evaluate.json.

    ``counts`` are those of :func:`segcore.counts.read_counts`. What is missing of the two files is empty.
    """

    name: str
    commit: str
    counts: pd.DataFrame
    lock: bytes
    metrics: bytes


def load(name: str) -> Result:
    """The result of a commit or an experiment, or of the workspace if ``name`` is empty.

    Raises:
        GitError: if git cannot be asked.
        OSError: if the workspace has no counts.
        UserError: if there is no such commit, it has no counts, or they are not what evaluate writes.
    """
    if not name:
        counts = read_counts(Path(COUNTS).read_bytes(), COUNTS)
        lock, metrics = (path.read_bytes() if path.exists() else b"" for path in (Path(history.LOCK), Path(METRICS)))
        return Result("the workspace", "", counts, lock, metrics)
    commit = find_commit(name)
    shown = commit[:7] if name == commit else name
    table = read_at(commit, COUNTS)
    if table is None:
        raise UserError(f"{shown} has no {COUNTS}: it is older than this pipeline's metrics; name another commit")
    lock, metrics = (read_at(commit, path) or b"" for path in (history.LOCK, METRICS))
    return Result(shown, commit, read_counts(table, f"{COUNTS} of {shown}"), lock, metrics)


def default_base() -> str:
    """Where this branch left main; on main HEAD, if the workspace has other counts than it, else the commit before.

    Raises:
        GitError: if git cannot be asked.
        UserError: if there is no commit before.
    """
    head = find_commit("HEAD")
    there = git("for-each-ref", "--format=%(refname)", *MAINS).decode().split()
    left = {_merge_base(head, ref) for ref in there}
    if _branch() != MAIN and left and head not in left:
        return min(left, key=lambda base: int(git("rev-list", "--count", f"{base}..{head}")))
    if Path(COUNTS).read_bytes() != read_at(head, COUNTS):
        return head
    before = git("rev-list", "--max-count=1", "--skip=1", "--first-parent", head).decode().strip()
    if not before:
        raise UserError(f"no commit before HEAD is here{_deepen()}, and the workspace has HEAD's metrics: name a BASE")
    return before


def check_same_frames(base: Result, new: Result) -> None:
    """Raise :class:`UserError` unless both have the same frames with the same ground truth."""
    truths = []
    for result in (base, new):
        truth = result.counts.set_index([*FRAME, "class"])
        if not truth.index.is_unique:
            raise UserError(f"{COUNTS} of {result.name}: a class of a frame is in it twice; run `dvc repro`")
        truths.append((truth["tp"] + truth["fn"]).sort_index())
    if not truths[0].equals(truths[1]):
        frames = [set(truth.index.droplevel("class")) for truth in truths]
        what = f"other frames ({len(frames[0] ^ frames[1])} are in one of them only)"
        if frames[0] == frames[1]:
            what = "other ground truth of the same frames"
        raise UserError(
            f"{base.name} and {new.name} are scored on {what}, and cannot be compared; run both with the same "
            "fetch.source and section preprocess"
        )


def _merge_base(head: str, ref: str) -> str:
    try:
        return git("merge-base", head, ref).decode().strip()
    except GitError:
        raise UserError(f"{ref} and HEAD have no commit in common here{_deepen()}: name a BASE") from None


def _branch() -> str:
    """The branch that is checked out; empty where HEAD is detached."""
    return git("branch", "--show-current").decode().strip()


def _deepen() -> str:
    return " (the clone is shallow: `git fetch --unshallow`)" if is_shallow() else ""
