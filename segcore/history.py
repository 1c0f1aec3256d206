"""Which commits have a model: those whose dvc.lock names its digest as an output of the stage train."""

from dataclasses import dataclass

import yaml

from segcore.revisions import changed, experiment_names, git, is_shallow, read_each

LOCK = "dvc.lock"
MODEL = "data/model/erfnet.safetensors"

# Path and md5 of each file that the stage train read.
Inputs = dict[str, str]


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

    Raises:
        GitError: if git is not installed, or this is no repository of it.
    """
    rows = changed(LOCK, ("%H", "%P", "%h", "%cs", "%s"))
    found = _inputs(md5, {"HEAD"}.union(*({row[0], *row[1].split()} for row in rows)))
    holding = [row for row in rows if row[0] in found]
    new = {row[0] for row in holding if not found.keys() & set(row[1].split())}
    names, experiments = _names(sorted(new)), experiment_names()
    commits = [
        Commit(key, short, date, subject, found[key], key in new, names.get(key, ""), experiments.get(key, ""))
        for key, _, short, date, subject in holding
    ]
    return History(commits, found.get("HEAD"), is_shallow())


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
    found, parsed = {}, {}
    for revision, lock in read_each(revisions, LOCK).items():
        if lock not in parsed:
            parsed[lock] = train_inputs(lock, md5)
        if parsed[lock] is not None:
            found[revision] = parsed[lock]
    return found


def _names(hashes: list[str]) -> dict[str, str]:
    """Each commit relative to a tag or a branch that contains it, if one does."""
    if not hashes:
        return {}
    said = git("name-rev", "--exclude=refs/exps/*", "--name-only", *hashes).split()
    names = (name.decode(errors="replace").removeprefix("tags/").removesuffix("^0") for name in said)
    return {key: name for key, name in zip(hashes, names, strict=True) if name != "undefined"}
