"""`python -m segcore.provenance MODEL`: what made a model, which commits have it, what gives the same bytes again."""

import json
import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from segcore import console, history
from segcore.comparison import Check, compare_files, compare_params, compare_records, file_md5, flatten, show
from segcore.console import UserError
from segcore.history import Commit, History, Inputs
from segcore.revisions import GitError

LOCK = Path(history.LOCK)


def main(model: Annotated[Path, typer.Argument(help="A model file, also one in DVC's cache.")]) -> None:
    """Say what made a model, which commits have it, and what gives the same bytes again.

    Reads: the model's metadata; dvc.lock here and in every commit that git
    has; and of the workspace params.yaml, the code and data/arrays.

    Environment: SEGCORE_DEVICE and SEGCORE_THREADS, as train reads them.

    Exit code: 0 if the file is a model of this pipeline, whatever the answers
    are, and also where git cannot be asked; 1 if it is not.
    """
    about, digest = read_about(model), file_md5(model)
    print(f"{model}: {model.stat().st_size:,} bytes")
    print_field("md5", digest)

    print("\nWhat made it")
    for name, value in flatten(about).items():
        print_field(name.removeprefix("params."), value)

    print(f"\nCommits that brought it into dvc.lock, as {history.MODEL}")
    locked = history.train_inputs(LOCK.read_bytes(), digest) if LOCK.exists() else None
    found = print_history(digest, locked)

    print("\nWhat must match for the same bytes")
    commit = next(iter(found.brought_in), None)
    inputs, source = locked, "here"
    if inputs is None and found.head is not None:
        inputs, source = found.head, "of HEAD"
    elif inputs is None and commit is not None:
        inputs, source = commit.inputs, f"of {commit.short}"
    groups = {
        "": list(compare_records(about)),
        "parameters in params.yaml": list(compare_params(about.get("params"))),
        f"files in dvc.lock {source}": list(compare_files(inputs, about)),
    }
    print_checks(groups)
    print_commands(commit, locked is not None, groups[""])


def read_about(path: Path) -> dict[str, Any]:
    """What :func:`segcore.weights.save_weights` was told of the model, read without its tensors.

    Raises:
        UserError: if there is no such file, or it is no model of this pipeline.
    """
    from safetensors import SafetensorError, safe_open

    from segcore.weights import KEY

    if not path.is_file():
        raise UserError(
            f"{path}: no such file; `dvc checkout` restores the model that dvc.lock names from the cache, `dvc pull` "
            "from the remote"
        )
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(
            f"{path}: not a complete safetensors file ({error}); if dvc.lock names it, `dvc checkout --force` restores "
            "it from the cache, `dvc pull --force` from the remote"
        ) from None
    try:
        about = json.loads(metadata[KEY])
        flatten({"about": about})
    except (KeyError, ValueError, RecursionError):  # the last one of what is nested a thousand times
        about = None
    if not isinstance(about, dict):
        raise UserError(
            f"{path}: safetensors, but not written by this pipeline: it has no metadata under the key {KEY!r}, so "
            "nothing in it says what made it; ask who gave it to you"
        )
    return about


def print_history(digest: str, locked: Inputs | None) -> History:
    """Print the commits; where git cannot be asked that is printed, and no commit has the model."""
    found = History([], head=None, shallow=False)
    try:
        found = history.find_history(digest)
    except GitError as reason:
        print_text(f"not known: {reason}")
    else:
        for commit in found.brought_in:
            print_commit(commit)
        if not found.commits:
            print_text(
                "none that is here: the model was made from changes that were never committed, or elsewhere "
                "(`git fetch --all` and `dvc exp pull` bring what others have pushed)"
            )
        if found.shallow:
            print_text("this clone is shallow, older commits are not known: `git fetch --unshallow` gets them")
        print_text(f"HEAD has it now: {'no' if found.head is None else 'yes'}")
    print_text(f"dvc.lock here has it now: {'no' if locked is None else 'yes'}")
    return found


def print_commit(commit: Commit) -> None:
    """Hash, date and where it is, and its subject below."""
    where = f"experiment {commit.experiment}" if commit.experiment else commit.name
    print_text(f"{commit.short}  {commit.date}  {show(where)}".rstrip())
    print_text(show(commit.subject), indent=11)


def print_checks(groups: dict[str, list[Check]]) -> None:
    """One line for each check with both values where they differ; of a named group those that are the same are one."""
    checks = [check for group in groups.values() for check in group]
    for name, group in groups.items():
        same = [check for check in group if check.verdict == "same"]
        if name and same:
            print_text(f"same     {name}: {len(same)} of {len(group)}")
        for check in group:
            if not (name and check in same):
                print_field(f"{check.verdict:<9}{check.what}", check.model, 40)
                if check.verdict != "same":
                    print_field("         here", check.why if check.here is None else check.here, 40)
    verdicts = [check.verdict for check in checks]
    if set(verdicts) == {"same"}:
        print_text("Nothing differs here: the same bytes are to be expected.")
    else:
        print_text(f"{verdicts.count('differs')} of {len(checks)} differ, {verdicts.count('unknown')} unknown.")


def print_commands(commit: Commit | None, locked: bool, records: list[Check]) -> None:
    """What to type, to get the file and to make it again; from the workspace as it is if only its dvc.lock has it."""
    if commit is None and not locked:
        print("\nTo make it again")
        print_text("No dvc.lock tells all of it: set what differs, `dvc repro train`, and compare the md5.")
        return
    first = ""
    if commit is not None:
        first = f"  git checkout {commit.short}\n"
        if commit.experiment:
            first = f"  dvc exp apply {shlex.quote(commit.experiment)}\n"
    print("\nTo get the file from DVC's cache (dvc pull: from the remote)")
    print(f"{first}  dvc checkout {history.MODEL}")
    print("\nTo make it again (dvc repro --force: even if DVC has the result)")
    print(f"{first}  {settings(records)}dvc repro train")


def settings(records: list[Check]) -> str:
    """The environment that makes train compute as it did for the model, as far as that can be set."""
    differs = {check.what: check for check in records if check.verdict == "differs"}
    text = ""
    if "device" in differs and differs["device"].model.startswith("CPU") and "CPU" not in differs["device"].here:
        text += "SEGCORE_DEVICE=cpu "
    if "threads" in differs:
        text += f"SEGCORE_THREADS={shlex.quote(differs['threads'].model)} "
    return text


def print_field(name: str, value: str, width: int = 24) -> None:
    """A name and its value, which begins ``width`` columns further on."""
    print_text(f"{name:<{width - 2}}  {value}", hanging=width)


def print_text(text: str, indent: int = 2, hanging: int = 0) -> None:
    """Print in 80 columns, broken at spaces only; what is longer without a space stays whole."""
    wrapper = textwrap.TextWrapper(80, " " * indent, " " * (indent + hanging), break_long_words=False)
    wrapper.break_on_hyphens = False
    print(wrapper.fill(text))


if __name__ == "__main__":
    console.run(main)
