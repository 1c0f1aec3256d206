"""The project as DVC sees it: the workspace, or a commit, whose files are read from git and not checked out."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.fs import GitFileSystem
from dvc.repo import Repo
from dvc.scm import SCM

from segcore.repository.dvc import LOCK, explain
from segcore.repository.git import fetch_files, read_at
from segcore.runtime.errors import UserError

CONFLICT = re.compile(rb"^<<<<<<< ", re.MULTILINE)
EDIT = "keep the lines that are right, and remove the others and the markers"
REMAKE = (
    f"`rm {LOCK} && dvc repro` makes it and metrics/ again from the merged code and parameters, and takes what ran "
    "here before from DVC's cache; then `git add --all && git commit`"
)


@contextmanager
def open_project(commit: str = "") -> Iterator[Repo]:
    """Open the project in the workspace or, if ``commit`` is given, as git has it there.

    Raises:
        GitError: if git cannot get all files of the commit.
        UserError: if DVC cannot read the project, or is at work in the workspace.
    """
    try:
        with _open_at(commit) if commit else Repo() as repo, repo.lock:
            yield repo
    except (UserError, OSError):
        raise
    except Exception as error:  # those of the libraries below DVC, too
        raise UserError(find_conflict(commit) or f"DVC says: {explain(error)}") from error


def find_conflict(commit: str = "") -> str:
    """Return which of DVC's files has the markers of a merge, and what to do; empty if none has."""
    for name, remedy in (("dvc.yaml", EDIT), ("params.yaml", EDIT), (LOCK, REMAKE)):
        path = Path(name)
        content = read_at(commit, name) if commit else path.read_bytes() if path.is_file() else None
        if content and CONFLICT.search(content):
            return f"{name} has a merge conflict: {remedy}"
    return ""


def _open_at(commit: str) -> Repo:
    root = Repo.find_root()
    fetch_files(commit)  # DVC would wait forever for a file that a partial clone lacks
    scm = SCM(root)
    inside = os.path.normpath(f"/{os.path.relpath(root, scm.root_dir)}")
    return Repo(inside, fs=GitFileSystem(scm=scm, rev=commit), scm=scm)
