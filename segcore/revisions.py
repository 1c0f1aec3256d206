"""Commits and experiments by name, and their files, as git has them."""

import io
import re
import subprocess
from collections.abc import Iterable

from segcore.console import UserError

# DVC's experiment NAME is one commit on top of the commit that it started from: refs/exps/01/23456789…/NAME.
EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,}/(.+)")


class GitError(Exception):
    """Git cannot be asked here, or does not have what it was asked for; the text says why."""


def git(*arguments: str, given: str = "") -> bytes:
    """What git answers; ``given`` is its standard input.

    Raises:
        GitError: if git is not installed, or says no.
    """
    try:
        return subprocess.run(["git", *arguments], input=given.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(f"git says: {reason[0] if reason else f'exit code {error.returncode}'}") from None


def experiment_names() -> dict[str, str]:
    """The names of DVC's experiments by the hashes of their commits; what waits in a queue is not among them.

    Raises:
        GitError: as :func:`git`.
    """
    said = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").decode(errors="replace")
    found = (line.split(" ", 1) for line in said.splitlines())
    return {key: match[1] for key, ref in found if (match := EXPERIMENT.fullmatch(ref))}


def find_commit(name: str) -> str:
    """The hash of the commit with this name: whatever git takes for one, or an experiment of DVC.

    Raises:
        GitError: as :func:`git`.
        UserError: if nothing has that name, or more than one experiment.
    """
    try:
        return git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    except GitError:
        found = [key for key, experiment in experiment_names().items() if experiment == name]
    if not found:
        raise UserError(
            f"{name}: no commit, branch, tag or experiment of this name; `git branch --all` and `dvc exp list --all` "
            "list them, `git fetch --all` and `dvc exp pull` bring what others have pushed"
        )
    if len(found) > 1:
        raise UserError(f"{name}: {len(found)} experiments have this name; say which by its hash: {', '.join(found)}")
    return found[0]


def read_at(commit: str, path: str) -> bytes | None:
    """The content of a file, by its path from here, in a commit, or nothing if the commit does not have it.

    Raises:
        GitError: as :func:`git`.
    """
    return read_each([commit], path).get(commit)


def read_each(commits: Iterable[str], path: str) -> dict[str, bytes]:
    """The content of a file in each of these commits that has it.

    Raises:
        GitError: as :func:`git`.
    """
    asked = sorted(commits)
    answers = io.BytesIO(git("cat-file", "--batch", given="".join(f"{commit}:./{path}\n" for commit in asked)))
    found = {}
    for commit in asked:
        header = answers.readline().split()  # hash, kind and size, or what was asked and "missing"
        if header[-1] != b"missing":
            found[commit] = answers.read(int(header[-1]))
            answers.read(1)
    return found


def changed(path: str, fields: tuple[str, ...] = ("%H",)) -> list[list[str]]:
    """Of each commit in which a file is another than before, newest first, those fields of git's pretty formats.

    All that a ref or HEAD leads to; what waits in DVC's queue is left out: it is a stash of the workspace, no result.

    Raises:
        GitError: as :func:`git`.
    """
    # Plumbing, which no configuration changes. Full history, because by default git passes over a branch whose changes
    # a merge dropped.
    refs = ("--exclude=refs/exps/celery/*", "--all")
    form = "%x00" + "%x00".join(fields)
    listed = git("rev-list", "--full-history", f"--format={form}", *refs, "--", path).decode(errors="replace")
    return [line.split("\0")[1:] for line in listed.split("\n") if "\0" in line]


def is_shallow() -> bool:
    """Whether older commits are missing here.

    Raises:
        GitError: as :func:`git`.
    """
    return git("rev-parse", "--is-shallow-repository").strip() == b"true"
