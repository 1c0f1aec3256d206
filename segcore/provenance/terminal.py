"""Print what made a model, which commits have it, and what gives the same bytes again."""

import shlex
import textwrap
from pathlib import Path
from typing import Any

from segcore.files.model import MODEL, NotOurs, read_record
from segcore.provenance.differences import Check, compare_files, compare_params, compare_record, digest, flatten, show
from segcore.repository.dvc import LOCK, read_stages
from segcore.repository.git import GitError, read_at
from segcore.repository.history import Commit, History, find_history, train_inputs
from segcore.runtime.errors import UserError


def report(model: Path) -> None:
    """Print what made a model, which commits have it, what must match for the same bytes, and the commands to type.

    Reads the model's record, dvc.lock here and in every commit that git has, and params.yaml, the code and data/arrays
    of the workspace. If git cannot be asked, the reason stands in place of the commits.

    Raises:
        UserError: if the file is not a model of this pipeline.
    """
    record, md5 = read(model), digest(model)
    print(f"{model}: {model.stat().st_size:,} bytes")
    print_field("md5", md5)

    print("\nWhat made it")
    shown = record | {"init": "none: random weights"} if record.get("init", "") is None else record
    for name, value in flatten(shown).items():
        print_field(name.removeprefix("params."), value)

    print(f"\nCommits that brought it into dvc.lock, as {MODEL}")
    lock = Path(LOCK).read_bytes() if Path(LOCK).exists() else b""
    locked = train_inputs(lock, md5)
    found = print_history(md5, lock)

    print("\nWhat must match for the same bytes")
    known = [(locked, "here"), (found.head, "of HEAD"), *((it.inputs, f"of {it.short}") for it in found.brought_in)]
    inputs, source = next(((inputs, source) for inputs, source in known if inputs is not None), (None, "here"))
    locked_in = next((commit.short for commit in found.commits if commit.inputs == inputs), None)
    groups = {
        "": list(compare_record(record)),
        "parameters in params.yaml": list(compare_params(record.get("params"))),
        f"files in dvc.lock {source}": list(compare_files(inputs, record, locked_in)),
    }
    print_checks(groups, locked_in)
    print_commands(next(iter(found.brought_in), None), locked is not None, groups[""])


def read(path: Path) -> dict[str, Any]:
    """Return the record of a model.

    Raises:
        UserError: if there is no such file, or it is not a model of this pipeline.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; `dvc checkout` restores the model that dvc.lock names from the cache, `dvc pull` "
            "from the remote"
        )
    try:
        return read_record(path)
    except NotOurs as error:
        raise UserError(
            f"{path}: {error}; if dvc.lock names it, `dvc checkout --force` restores it from the cache, `dvc pull "
            "--force` from the remote; otherwise ask whoever gave it to you"
        ) from None


def print_history(md5: str, lock: bytes) -> History:
    """Print the commits that have the model and return them; where git cannot be asked, print why and return none.

    ``lock`` is the content of dvc.lock here.
    """
    found = History([], head=None, shallow=False)
    try:
        found = find_history(md5)
    except GitError as reason:
        print_text(f"not known: {reason}")
    else:
        for commit in found.brought_in:
            where = f"experiment {commit.experiment}" if commit.experiment else commit.name
            print_text(f"{commit.short}  {commit.date}  {show(where)}".rstrip())
            print_text(show(commit.subject), indent=11)
        if not found.commits:
            print_text(
                "none here: the model was made from changes that were never committed, or elsewhere "
                "(`git fetch --all` and `dvc exp pull` bring what others have pushed)"
            )
        if found.shallow:
            print_text("this clone is shallow, so older commits are not known: `git fetch --unshallow` gets them")
        print_text(f"HEAD has it now: {has_model(read_at('HEAD', LOCK) or b'', md5)}")
    print_text(f"dvc.lock here has it now: {has_model(lock, md5)}")
    return found


def has_model(lock: bytes, md5: str) -> str:
    """Return whether a dvc.lock, empty if there is none, has the model: yes, no, or why that is not known."""
    try:
        if lock:
            read_stages(lock)
    except ValueError:
        return "not known: DVC did not write this dvc.lock; perhaps it has a merge conflict"
    return "no" if train_inputs(lock, md5) is None else "yes"


def print_checks(groups: dict[str, list[Check]], locked_in: str | None) -> None:
    """Print each check, with both values if they differ; the checks of a named group that are the same, as one line."""
    for name, group in groups.items():
        same = [check for check in group if check.verdict == "same"]
        if name and same:
            print_text(f"same     {name}: {len(same)} of {len(group)}")
        for check in group:
            if name and check in same:
                continue
            print_field(f"{check.verdict:<9}{check.what}", check.model, 40)
            if check.verdict == "unknown":
                print_field("         here", check.detail, 40)
            elif check.verdict == "differs":
                print_field("         here", str(check.here), 40)
                if check.detail:
                    print_field(f"         changed since {locked_in}", check.detail, 40)
    verdicts = [check.verdict for group in groups.values() for check in group]
    if set(verdicts) == {"same"}:
        print_text("Nothing differs here: expect the same bytes.")
    else:
        print_text(f"{verdicts.count('differs')} of {len(verdicts)} differ, {verdicts.count('unknown')} unknown.")


def print_commands(commit: Commit | None, locked: bool, checks: list[Check]) -> None:
    """Print what to type to get the file, and to make it again.

    Args:
        commit: the newest commit that brought the model in. Without one the commands start from the workspace.
        locked: whether dvc.lock here has the model.
        checks: those of device, processes and threads, which environment variables set.
    """
    if commit is None and not locked:
        print("\nTo make it again")
        print_text("No dvc.lock here has all of it: set what differs, run `dvc repro train`, and compare the md5.")
        return
    first = ""
    if commit is not None:
        apply = f"dvc exp apply {shlex.quote(commit.experiment)}"
        first = f"  {apply if commit.experiment else f'git checkout {commit.short}'}\n"
    print("\nTo get the file from DVC's cache (dvc pull: from the remote)")
    print(f"{first}  dvc checkout {MODEL}")
    print("\nTo make it again (dvc repro --force: even if DVC has the result)")
    print(f"{first}  {settings(checks)}dvc repro train")


def settings(checks: list[Check]) -> str:
    """Return the environment variables that make train compute as it did for the model, as far as they can."""
    differs = {check.what: check for check in checks if check.verdict == "differs"}
    text = ""
    if "device" in differs and differs["device"].model.startswith("CPU") and "CPU" not in str(differs["device"].here):
        text += "SEGCORE_DEVICE=cpu "
    for name in ("processes", "threads"):
        if name in differs:
            text += f"SEGCORE_{name.upper()}={shlex.quote(differs[name].model)} "
    return text


def print_field(name: str, value: str, width: int = 24) -> None:
    """Print a name and, from column ``width`` on, its value."""
    print_text(f"{name:<{width - 2}}  {value}", hanging=width)


def print_text(text: str, indent: int = 2, hanging: int = 0) -> None:
    """Print in 80 columns, broken at spaces only: a longer word stays whole."""
    wrapper = textwrap.TextWrapper(80, " " * indent, " " * (indent + hanging), break_long_words=False)
    wrapper.break_on_hyphens = False
    print(wrapper.fill(text))
