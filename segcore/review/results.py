"""Load the results to compare: those of a commit, an experiment or the workspace."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from segcore.files.scores import COUNTS, FRAME, classes_of, read_counts
from segcore.repository.dvc import LOCK
from segcore.repository.git import GitError, find_commit, git, is_shallow, read_at
from segcore.runtime.errors import UserError

MAIN, MAINS = "main", ("refs/heads/main", "refs/remotes/origin/main", "refs/remotes/origin/HEAD")


class Result(NamedTuple):
    """A result: its name and commit, its counts per frame and class, their file's MD5, and the content of dvc.lock.

    The commit of the workspace is empty, as is the content of a missing dvc.lock.
    """

    name: str
    commit: str
    counts: pd.DataFrame
    digest: str
    lock: bytes


def load(name: str) -> Result:
    """Return the result of a commit or an experiment, or of the workspace if ``name`` is empty.

    Raises:
        GitError: if git cannot be asked.
        OSError: if the workspace has no counts.
        UserError: if there is no such commit, it has no counts, or they are not what evaluate writes.
    """
    if not name:
        table, path = COUNTS.read_bytes(), Path(LOCK)
        return _result("the workspace", "", table, path.read_bytes() if path.exists() else b"")
    commit = find_commit(name)
    shown = commit[:7] if name == commit else name
    table = read_at(commit, str(COUNTS))
    if table is None:
        raise UserError(f"{shown} has no {COUNTS}: it is older than this pipeline's metrics; name a different commit")
    return _result(shown, commit, table, read_at(commit, LOCK) or b"")


def default_base(workspace: bool = True) -> str:
    """Return the commit that a change in the workspace, or else in HEAD, is compared with.

    On a branch: the commit where it left main. On main: HEAD if it is about the workspace and that has different
    counts, else the commit before HEAD.

    Raises:
        GitError: if git cannot be asked.
        UserError: if there is no commit before HEAD, or no branch main to find out what HEAD changed.
    """
    head = find_commit("HEAD")
    mains = git("for-each-ref", "--format=%(refname)", *MAINS).decode().split()
    left = {_merge_base(head, ref) for ref in mains}
    branch = git("branch", "--show-current").decode().strip()  # empty where HEAD is detached
    if branch != MAIN and left and head not in left:
        return min(left, key=lambda base: int(git("rev-list", "--count", f"{base}..{head}")))
    if not left and not workspace:
        raise UserError(
            f"where this branch left main is not known, as no main or origin/main is here{_deepen()}: name a BASE"
        )
    if workspace and COUNTS.read_bytes() != read_at(head, str(COUNTS)):
        return head
    before = git("rev-list", "--max-count=1", "--skip=1", "--first-parent", head).decode().strip()
    if not before:
        raise UserError(f"no commit before HEAD is here{_deepen()} to compare with: name a BASE")
    return before


def check_same_classes(base: Result, new: Result) -> None:
    """Raise :class:`UserError` unless both have the same classes in the same order."""
    before, after = classes_of(base.counts), classes_of(new.counts)
    if before == after:
        return
    pairs = (base.name, before, after), (new.name, after, before)
    only = [(result, [name for name in own if name not in other]) for result, own, other in pairs]
    differ = [f"only {result} has {', '.join(names)}" for result, names in only if names]
    what = "different classes"
    if not differ:
        what = "the same classes in a different order"
        differ = [f"{result} has {', '.join(own)}" for result, own, _ in pairs]
    raise UserError(
        f"{base.name} and {new.name} have {what}, and cannot be compared: {'; '.join(differ)}; run both with the same "
        "fetch.dataset"
    )


def check_same_frames(base: Result, new: Result) -> None:
    """Raise :class:`UserError` unless both have the same frames with the same ground truth."""
    for result in (base, new):
        if result.counts.duplicated([*FRAME, "class"]).any():
            raise UserError(f"{COUNTS} of {result.name}: duplicate row for one frame and class; run `dvc repro`")
    truths = [ground_truth(result.counts) for result in (base, new)]
    if not truths[0].equals(truths[1]):
        before, after = (set(result.counts.groupby(FRAME).groups) for result in (base, new))
        what = f"different frames ({len(before ^ after)} are in only one of them)"
        also = ""
        if before == after:
            what = "different ground truth of the same frames"
            also = ", the same protocol in the description of fetch.dataset"
        raise UserError(
            f"{base.name} and {new.name} are scored on {what}, and cannot be compared; run both with the same "
            f"fetch.source{also} and section preprocess"
        )


def ground_truth(counts: pd.DataFrame) -> pd.Series:
    """Return the number of pixels of each class in each frame."""
    rows = counts.set_index([*FRAME, "class"])
    return (rows["tp"] + rows["fn"]).sort_index()


def _result(name: str, commit: str, table: bytes, lock: bytes) -> Result:
    counts = read_counts(table, f"{COUNTS} of {name}" if commit else str(COUNTS))
    return Result(name, commit, counts, hashlib.md5(table).hexdigest(), lock)


def _merge_base(head: str, ref: str) -> str:
    try:
        return git("merge-base", head, ref).decode().strip()
    except GitError:
        raise UserError(f"{ref} and HEAD have no commit in common here{_deepen()}: name a BASE") from None


def _deepen() -> str:
    return " (the clone is shallow: `git fetch --unshallow`)" if is_shallow() else ""
