"""Find the commits that have a model: those whose dvc.lock names its digest as an output of the stage train."""

from dataclasses import dataclass

from segcore.files.model import MODEL
from segcore.repository.dvc import LOCK, digests, read_stages
from segcore.repository.git import changed, experiment_names, git, is_shallow, read_each

# The digest of each file and folder that the stage train read, by path. That of a folder ends in ".dir".
Inputs = dict[str, str]


@dataclass(frozen=True)
class Commit:
    """A commit whose dvc.lock names the model.

    Attributes:
        inputs: what train read for the model, by the dvc.lock of this commit.
        brought_in: whether no parent has the model in its dvc.lock.
        name: the commit relative to a tag or a branch, for example ``main~2``; empty if none, or not brought in.
        experiment: the name of the experiment of DVC that this commit is, or empty.
    """

    short: str
    date: str
    subject: str
    inputs: Inputs
    brought_in: bool
    name: str = ""
    experiment: str = ""


@dataclass(frozen=True)
class History:
    """The commits that changed dvc.lock and have the model in it, newest first.

    Attributes:
        head: what train read for the model by HEAD's dvc.lock; None if that does not have the model.
        shallow: whether older commits are missing here.
    """

    commits: list[Commit]
    head: Inputs | None
    shallow: bool

    @property
    def brought_in(self) -> list[Commit]:
        return [commit for commit in self.commits if commit.brought_in]


def find_history(md5: str) -> History:
    """Search the dvc.lock of every commit that a ref or HEAD leads to for the model with this digest.

    Raises:
        GitError: if git is not installed, or this is not a git repository.
    """
    rows = changed(LOCK, ("%H", "%P", "%h", "%cs", "%s"))
    found = _inputs(md5, {"HEAD"}.union(*({row[0], *row[1].split()} for row in rows)))
    holding = [row for row in rows if row[0] in found]
    new = {row[0] for row in holding if not found.keys() & set(row[1].split())}
    names, experiments = _names(sorted(new)), experiment_names()
    commits = [
        Commit(short, date, subject, found[key], key in new, names.get(key, ""), experiments.get(key, ""))
        for key, _, short, date, subject in holding
    ]
    return History(commits, found.get("HEAD"), is_shallow())


def train_inputs(lock: bytes, md5: str) -> Inputs | None:
    """Return what train read, according to a dvc.lock; None unless the model with this digest is its output there."""
    if md5.encode() not in lock:  # parsing the dvc.lock of every commit would take long
        return None
    try:
        stage = read_stages(lock)["train"]
        return digests(stage["deps"]) if digests(stage["outs"]).get(str(MODEL)) == md5 else None
    except (ValueError, KeyError, TypeError):  # not as DVC writes it: a conflict, or an older version of the format
        return None


def _inputs(md5: str, revisions: set[str]) -> dict[str, Inputs]:
    """Return :func:`train_inputs` by revision, for those whose dvc.lock has the model."""
    locks = read_each(revisions, LOCK)
    parsed = {lock: train_inputs(lock, md5) for lock in set(locks.values())}
    return {revision: inputs for revision, lock in locks.items() if (inputs := parsed[lock]) is not None}


def _names(hashes: list[str]) -> dict[str, str]:
    """Return the name of each commit relative to a tag or a branch that contains it, if one does."""
    if not hashes:
        return {}
    said = git("name-rev", "--exclude=refs/exps/*", "--name-only", *hashes).split()
    names = (name.decode(errors="replace").removeprefix("tags/").removesuffix("^0") for name in said)
    return {key: name for key, name in zip(hashes, names, strict=True) if name != "undefined"}
