"""Check whether dvc.lock, and with it the metrics, was made from this code and these parameters."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from segcore.repository.dvc import LOCK, dvc, read_stages
from segcore.runtime.errors import UserError

ADVICE = "commit what `dvc repro` makes, or, if only the data here is of a different commit, run `dvc checkout`"


def find_changes() -> list[str]:
    """Return each difference between the workspace and dvc.lock, as a line that begins with its stage.

    Data that git ignores may be missing, so that this works in a fresh clone.

    Raises:
        UserError: if DVC or git fails.
    """
    changes = list(_changes())
    # Not `dvc repro --dry --allow-missing`, which accepts missing code and metrics, too.
    missing = [name for _, name, state in changes if state in ("deleted", "not in cache")]
    data = {name for name in missing if not _is_inside(name)} | _ignored(list(filter(_is_inside, missing)))
    found = [f"{stage}: {name} {state}".rstrip() for stage, name, state in changes if name not in data]
    return found or list(_contradictions())


def _changes() -> Iterator[tuple[str, str, str]]:
    """Yield the stage, the file, folder or parameter, and its state, of each line of `dvc status`."""
    for stage, entries in json.loads(dvc("status", "--json")).items():
        for entry in entries:
            if isinstance(entry, str):  # for example "changed command"
                yield stage, entry, ""
                continue
            for files in entry.values():
                for name, state in files.items():
                    parameters = state if isinstance(state, dict) else {"": state}
                    yield from ((stage, f"{name} {key}".rstrip(), value) for key, value in parameters.items())


def _contradictions() -> Iterator[str]:
    """Yield inputs whose recorded digest disagrees with their producer, which DVC does not check for missing data."""
    stages = read_stages(Path(LOCK).read_bytes())
    recorded = {out["path"]: (name, out.get("md5")) for name, stage in stages.items() for out in stage.get("outs", [])}
    for name, stage in stages.items():
        for dep in stage.get("deps", []):
            path, md5 = dep["path"], dep.get("md5")
            pointer = Path(f"{path}.dvc")
            if pointer.is_file():
                [out] = yaml.load(pointer.read_bytes(), yaml.CSafeLoader)["outs"]
                recorded[path] = str(pointer), out.get("md5")
            producer, made = recorded.get(path, ("", md5))
            if made != md5:
                yield f"{name}: {path} differs from the version that {producer} recorded"


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _ignored(names: list[str]) -> set[str]:
    """Return those of the names that git ignores."""
    command = ["git", "check-ignore", "--stdin", "-z"]
    done = subprocess.run(command, input="\0".join(names), capture_output=True, text=True)
    if done.returncode > 1:  # 1: none is ignored
        raise UserError(f"git cannot say which files it ignores: {done.stderr.strip()}")
    return set(done.stdout.split("\0"))
