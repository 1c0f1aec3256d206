"""Check whether dvc.lock, and with it the metrics, was made from this code and these parameters."""

import os
from collections.abc import Iterator
from pathlib import Path

from dvc.stage import Stage

from segcore.repository.dvc import LOCK
from segcore.repository.git import find_commit, git, read_at
from segcore.repository.project import find_conflict, open_project
from segcore.runtime.errors import UserError

MISSING = "missing"
ADVICE = "commit what `dvc repro` makes, or, if only the data here is of a different commit, run `dvc checkout`"
DIFFERS = f"{LOCK} here differs from HEAD's"


def check(workspace: bool) -> str:
    """Return that dvc.lock is up to date in HEAD, or in the workspace.

    Raises:
        GitError: if git cannot be asked.
        UserError: if it is not, or cannot be read.
    """
    where, commit = ("the workspace", "") if workspace else ("HEAD", find_commit("HEAD"))
    changes = find_changes(commit)
    note = _uncommitted(commit) if commit else ""
    if not changes:
        return f"{LOCK} of {where} is up to date{note and f'; {note}'}"
    advice = ADVICE if workspace else "commit what `dvc repro` makes, and the files that it reads"
    if note:
        advice = f"{note}: perhaps you only have to commit it, with metrics/" if note == DIFFERS else note
    raise UserError("\n  ".join([f"{LOCK} of {where} is out of date:", *changes, advice]))


def find_changes(commit: str = "") -> list[str]:
    """Return each difference between dvc.lock and the files of a commit, or of the workspace, as a line of text.

    Data that git does not have may be missing, as in a fresh clone: then dvc.lock is trusted, unless it contradicts
    itself. In a commit nothing but the files in git is looked at.

    Raises:
        GitError: if git cannot be asked.
        UserError: if DVC cannot read the project.
    """
    # Not `dvc repro --dry --allow-missing`, which accepts missing code and metrics, too.
    with open_project(commit) as project:
        stages = {_name(stage): stage for stage in project.index.stages}
        for name in ("dvc.yaml", LOCK):
            if not project.fs.exists(project.fs.join(project.root_dir, name)):
                return [f"{name} is missing"]
        changes = list(_changes(stages, in_git=bool(commit)))
        # Data may be elsewhere, but a description or a start that git does not have is no data.
        missing = [name for _, name, state in changes if state == MISSING and not name.endswith(".yaml")]
        data = {(name, MISSING) for name in _ignored(missing)}
        found = [f"{stage}: {name} {state}".rstrip() for stage, name, state in changes if (name, state) not in data]
        return found or list(_contradictions(stages))


def _name(stage: Stage) -> str:
    """Return the name of a stage of dvc.yaml, or the file that has the stage, for example ``data/frames.dvc``."""
    path, name = os.path.relpath(stage.path, stage.repo.root_dir), getattr(stage, "name", "")
    return name if name and path == "dvc.yaml" else f"{path}:{name}".rstrip(":")


def _changes(stages: dict[str, Stage], in_git: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the stage, the file, folder or parameter, and its state, of each change; missing data is none."""
    data = [out.fs_path for stage in stages.values() for out in stage.outs if out.use_cache]
    for name, stage in stages.items():
        for entry in (*stage.deps, *stage.outs):
            inside = _is_inside(entry.def_path)
            is_data = not inside or any(Path(entry.fs_path).is_relative_to(out) for out in data)
            for path, state in entry.workspace_status().items() if inside or not in_git else ():
                if isinstance(state, dict):
                    yield from ((name, f"{path} {key}", value) for key, value in state.items())
                elif not entry.hash_info:
                    yield name, path, f"is not in {LOCK}"
                elif state != "deleted" or not is_data:
                    yield name, path, MISSING if state == "deleted" else state
        if stage.changed_stage():
            yield name, "changed command", ""


def _contradictions(stages: dict[str, Stage]) -> Iterator[str]:
    """Yield inputs whose recorded digest disagrees with their producer, which DVC does not check for missing data."""
    recorded = {out.fs_path: (name, out.hash_info) for name, stage in stages.items() for out in stage.outs}
    for name, stage in stages.items():
        for dep in stage.deps:
            producer, made = recorded.get(dep.fs_path, ("", dep.hash_info))
            if made != dep.hash_info:
                yield f"{name}: {dep} differs from the version that {producer} recorded"


def _uncommitted(commit: str) -> str:
    """Return whether dvc.lock here differs from that of the commit or has a conflict, as text; empty if neither."""
    lock = Path(LOCK)
    if not lock.is_file() or lock.read_bytes() == read_at(commit, LOCK):
        return ""
    return find_conflict() or DIFFERS


def _is_inside(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def _ignored(names: list[str]) -> set[str]:
    """Return those of the names that git ignores."""
    if not names:
        return set()
    said = git("check-ignore", "--stdin", "-z", given="\0".join(names), accepted=(0, 1))  # 1: none is ignored
    return set(said.decode().split("\0"))
