"""Which commits have a model: those whose dvc.lock names its digest as an output of the stage train."""

import io
import re
import subprocess
from dataclasses import dataclass

import yaml

LOCK = "dvc.lock"
MODEL = "data/model/erfnet.safetensors"
# DVC's experiment NAME is one commit on top of the commit that it started from: refs/exps/01/23456789…/NAME.
EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,}/(.+)")

# Path and md5 of each file that the stage train read.
Inputs = dict[str, str]


class NoHistory(Exception):
    """Git cannot be asked here; the text says why."""


@dataclass(frozen=True)
class Commit:
    """A commit whose dvc.lock names the model, and what train read for it, as that dvc.lock has it.

    ``brought_in`` says that the model was in none of its parents' dvc.lock. Only then are ``name``, the commit relative
    to a tag or a branch (``main~2``), and ``experiment`` looked up; both are empty where there is none.
    """

    hash: str
    short: str
    date: str
    subject: str
    inputs: Inputs
    brought_in: bool
    name: str = ""
    experiment: str = ""


@dataclass(frozen=True)
class History:
    """The commits that have a model in a dvc.lock that they changed, newest first.

    ``head``: what train read for it by HEAD's dvc.lock, if that has the model. ``shallow``: git does not have the older
    commits here.
    """

    commits: list[Commit]
    head: Inputs | None
    shallow: bool

    @property
    def brought_in(self) -> list[Commit]:
        return [commit for commit in self.commits if commit.brought_in]


def find_history(md5: str) -> History:
    """Look for the model in the dvc.lock of every commit that a ref or HEAD leads to.

    What waits in DVC's queue is left out: it is a stash of the workspace, and not a result.

    Raises:
        NoHistory: if git is not installed, or this is no repository of it.
    """
    shallow = _git("rev-parse", "--is-shallow-repository").strip() == b"true"
    # Plumbing, which no configuration changes. Full history, because by default git passes over a branch whose changes
    # a merge dropped.
    fields = "%x00".join(["%H", "%P", "%h", "%cs", "%s"])
    refs = ("--exclude=refs/exps/celery/*", "--all")
    listed = _git("rev-list", "--full-history", f"--format={fields}", *refs, "--", LOCK).decode(errors="replace")
    rows = [line.split("\0") for line in listed.split("\n") if "\0" in line]
    found = _inputs(md5, {"HEAD"}.union(*({row[0], *row[1].split()} for row in rows)))
    holding = [row for row in rows if row[0] in found]
    new = {row[0] for row in holding if not found.keys() & set(row[1].split())}
    names, experiments = _names(sorted(new)), _experiments()
    commits = [
        Commit(key, short, date, subject, found[key], key in new, names.get(key, ""), experiments.get(key, ""))
        for key, _, short, date, subject in holding
    ]
    return History(commits, found.get("HEAD"), shallow)


def train_inputs(lock: bytes, md5: str) -> Inputs | None:
    """What train read, from the text of a dvc.lock that has the model with this digest as its output, else nothing."""
    if md5.encode() not in lock:  # parsing takes milliseconds, of each of the commits
        return None
    try:
        stage = yaml.load(lock, yaml.CSafeLoader)["stages"]["train"]
        held = any(out["path"] == MODEL and out["md5"] == md5 for out in stage["outs"])
        return {dep["path"]: dep["md5"] for dep in stage["deps"]} if held else None
    except (yaml.YAMLError, KeyError, TypeError):  # not as DVC writes it: a conflict, or a version before this form
        return None


def _inputs(md5: str, revisions: set[str]) -> dict[str, Inputs]:
    """As :func:`train_inputs`, of those revisions whose dvc.lock names the model; others may have no dvc.lock."""
    asked = sorted(revisions)
    answers = io.BytesIO(_git("cat-file", "--batch", given="".join(f"{revision}:./{LOCK}\n" for revision in asked)))
    found, parsed = {}, {}
    for revision in asked:
        header = answers.readline().split()  # hash, kind and size, or what was asked and "missing"
        if header[-1] == b"missing":
            continue
        lock = answers.read(int(header[-1]) + 1)
        if lock not in parsed:
            parsed[lock] = train_inputs(lock, md5)
        if parsed[lock] is not None:
            found[revision] = parsed[lock]
    return found


def _names(hashes: list[str]) -> dict[str, str]:
    """Each commit relative to a tag or a branch that contains it, if one does."""
    if not hashes:
        return {}
    said = _git("name-rev", "--exclude=refs/exps/*", "--name-only", *hashes).split()
    names = (name.decode(errors="replace").removeprefix("tags/").removesuffix("^0") for name in said)
    return {key: name for key, name in zip(hashes, names, strict=True) if name != "undefined"}


def _experiments() -> dict[str, str]:
    said = _git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").decode(errors="replace")
    found = (line.split(" ", 1) for line in said.splitlines())
    return {key: match[1] for key, ref in found if (match := EXPERIMENT.fullmatch(ref))}


def _git(*arguments: str, given: str = "") -> bytes:
    try:
        return subprocess.run(["git", *arguments], input=given.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise NoHistory("git is not installed") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise NoHistory(f"git says: {reason[0] if reason else f'exit code {error.returncode}'}") from None
