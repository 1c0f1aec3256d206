"""Commits and experiments by name, and the files in them, as git has them."""

import io
import re
import subprocess
from collections.abc import Collection, Iterable

from segcore.runtime.errors import UserError

# DVC keeps the experiment NAME as one commit on top of the commit that it started from: refs/exps/01/23456789…/NAME.
EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,}/(.+)")
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the folder without files, which git always knows


class GitError(UserError):
    """Git cannot be asked here, or does not have what it was asked for.

    All functions of this module raise it.
    """


def git(*arguments: str, given: str = "", accepted: Collection[int] = (0,)) -> bytes:
    """Return the output of a git command, which gets ``given`` as its input, and ends with an accepted exit code."""
    try:
        done = subprocess.run(["git", *arguments], input=given.encode(), capture_output=True)
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    if done.returncode not in accepted:
        reason = " ".join(done.stderr.decode(errors="replace").split())  # its last lines may be advice
        raise GitError(f"git says: {reason or f'exit code {done.returncode}'}")
    return done.stdout


def experiment_names() -> dict[str, str]:
    """Return the names of DVC's experiments by the hashes of their commits, without those that wait in a queue."""
    said = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").decode(errors="replace")
    found = (line.split(" ", 1) for line in said.splitlines())
    return {key: match[1] for key, ref in found if (match := EXPERIMENT.fullmatch(ref))}


def find_commit(name: str) -> str:
    """Return the hash of the commit with this name: any name that git knows, or that of an experiment of DVC.

    Raises:
        UserError: if nothing has that name, or several experiments have it.
    """
    try:
        return git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    except GitError:
        found = [key for key, experiment in experiment_names().items() if experiment == name]
    if not found:
        raise UserError(
            f"{name}: no commit, branch, tag or experiment has this name; `git branch --all` and `dvc exp list --all` "
            "list them, `git fetch --all` and `dvc exp pull` bring what others have pushed"
        )
    if len(found) > 1:
        raise UserError(f"{name}: {len(found)} experiments have this name; give a hash instead: {', '.join(found)}")
    return found[0]


def read_at(commit: str, path: str) -> bytes | None:
    """Return the content of a file in a commit, or None if it is not there; ``path`` is relative to here."""
    return read_each([commit], path).get(commit)


def read_each(commits: Iterable[str], path: str) -> dict[str, bytes]:
    """Return the content of a file by commit, for those of ``commits`` that have it; ``path`` is relative to here."""
    asked = sorted(commits)
    answers = io.BytesIO(git("cat-file", "--batch", given="".join(f"{commit}:./{path}\n" for commit in asked)))
    found = {}
    for commit in asked:
        header = answers.readline().split()  # hash, kind and size, or what was asked and "missing"
        if header[-1] != b"missing":
            found[commit] = answers.read(int(header[-1]))
            answers.read(1)
    return found


def fetch_files(commit: str) -> None:
    """Fetch the files of a commit, at and below here, that a partial clone lacks, all at once."""
    git("diff", "--numstat", "--no-ext-diff", "--no-textconv", EMPTY_TREE, commit, "--", ".")


def changed(path: str, fields: tuple[str, ...] = ("%H",)) -> list[list[str]]:
    """List the commits that changed a file, newest first: for each, the ``fields``, which are git's pretty formats.

    All commits that a ref or HEAD leads to are searched. What waits in DVC's queue is left out: it is a copy of the
    workspace, not a result.
    """
    # rev-list is a plumbing command, so no configuration changes its output. By default it skips a branch whose changes
    # a merge dropped, hence the full history.
    refs = ("--exclude=refs/exps/celery/*", "--all")
    form = "%x00" + "%x00".join(fields)
    listed = git("rev-list", "--full-history", f"--format={form}", *refs, "--", path).decode(errors="replace")
    return [line.split("\0")[1:] for line in listed.split("\n") if "\0" in line]


def changed_since(commit: str, path: str) -> list[str]:
    """List the files at or below ``path`` that git tracks and that differ here from those in ``commit``."""
    return git("diff", "--name-only", "--relative", commit, "--", path).decode(errors="replace").splitlines()


def is_shallow() -> bool:
    """Return whether older commits are missing here."""
    return git("rev-parse", "--is-shallow-repository").strip() == b"true"
