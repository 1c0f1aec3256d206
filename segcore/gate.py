"""`python -m segcore.gate`: whether dvc.lock, and with it the metrics, are those of this code and these parameters."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from segcore import console, history
from segcore.console import UserError

ADVICE = "commit what `dvc repro` makes, or, if only the data here is of another commit, run `dvc checkout`"


def main() -> None:
    """Fail if a stage would run again: then the metrics beside the code are not its own.

    Reads: what dvc.yaml names. Data that git ignores and that is not here
    counts as dvc.lock says, so that a fresh clone can be asked.

    Exit code: 0 if dvc.lock is up to date, 1 if it is not.
    """
    changes = find_changes()
    if changes:
        raise UserError("\n  ".join(["dvc.lock is out of date:", *changes, ADVICE]))
    print("dvc.lock is up to date")


def find_changes() -> list[str]:
    """What is not as dvc.lock says, each with the stage that it belongs to.

    Raises:
        UserError: if DVC or git fails.
    """
    changes = list(_changes())
    # Not `dvc repro --dry --allow-missing`, which passes over missing code and metrics, too.
    missing = [name for _, name, state in changes if state in ("deleted", "not in cache")]
    data = {name for name in missing if not _is_inside(name)} | _ignored(list(filter(_is_inside, missing)))
    found = [f"{stage}: {name} {state}".rstrip() for stage, name, state in changes if name not in data]
    return found or list(_contradictions())


def _changes() -> Iterator[tuple[str, str, str]]:
    """Stage, file or parameter, and what it is, of all that `dvc status` tells."""
    for stage, entries in json.loads(dvc("status", "--json")).items():
        for entry in entries:
            if isinstance(entry, str):  # as "changed command"
                yield stage, entry, ""
                continue
            for files in entry.values():
                for name, state in files.items():
                    parameters = state if isinstance(state, dict) else {"": state}
                    yield from ((stage, f"{name} {key}".rstrip(), value) for key, value in parameters.items())


def _contradictions() -> Iterator[str]:
    """What a stage read otherwise than dvc.lock, or a .dvc file, has it: of data that is not here DVC does not tell."""
    stages = _read(history.LOCK)["stages"]
    made = {out["path"]: out for stage in stages.values() for out in stage.get("outs", [])}
    for stage, entry in stages.items():
        for dep in entry.get("deps", []):
            path = dep["path"]
            pointer = f"{path}.dvc"
            [made_of] = _read(pointer)["outs"] if Path(pointer).is_file() else [made.get(path, dep)]
            if made_of.get("md5") != dep.get("md5"):
                yield f"{stage}: {path} is another one where it comes from"


def _read(path: str) -> dict[str, Any]:
    return yaml.load(Path(path).read_bytes(), yaml.CSafeLoader)


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _ignored(names: list[str]) -> set[str]:
    """Those of the names that git ignores."""
    command = ["git", "check-ignore", "--stdin", "-z"]
    done = subprocess.run(command, input="\0".join(names), capture_output=True, text=True)
    if done.returncode > 1:  # 1: ignores none of them
        raise UserError(f"git cannot say which files it ignores: {done.stderr.strip()}")
    return set(done.stdout.split("\0"))


def dvc(*arguments: str) -> str:
    """What a command of DVC prints.

    Raises:
        UserError: if it fails.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UserError(f"`dvc {' '.join(arguments)}` failed: {reason}")
    return done.stdout


if __name__ == "__main__":
    console.run(main)
