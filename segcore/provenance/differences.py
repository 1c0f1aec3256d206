"""Compare what a model was made from with this machine and workspace: all that must match for the same bytes."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from segcore.files import params
from segcore.files.arrays import ARRAYS
from segcore.network import device
from segcore.repository.git import changed_since
from segcore.repository.history import Inputs
from segcore.runtime import processes
from segcore.runtime.errors import UserError
from segcore.runtime.threads import thread_count
from segcore.runtime.typed import Strict
from segcore.train.recipe import Recipe, TrainParams
from segcore.train.record import VALIDATED_ON, data_and_machine, init_digest, md5

DERIVED = {"classes", "input_size", "mean", "std"}  # follow from the code and the data, which are compared themselves
VALIDATION = {str(ARRAYS / name) for name in VALIDATED_ON}  # train reads them for its scores, not for the weights
MISSING = "missing"


class Check(NamedTuple):
    """One thing that must match: its value for the model, and here.

    ``here`` is None where it cannot be compared. ``detail`` says why it cannot, or which files of a folder differ.
    """

    what: str
    model: str
    here: str | None
    detail: str = ""

    @property
    def verdict(self) -> str:
        if self.here is None:
            return "unknown"
        return "same" if self.here == self.model else "differs"


def compare_record(record: dict[str, Any]) -> Iterator[Check]:
    """Compare the model's data, start, versions and machine with what train would record here."""
    here = record_here(record)
    if processes.wanted() > 1:
        record = {"processes": 1} | record  # which is recorded only if there were several
    for name, value in flatten(
        {key: value for key, value in record.items() if key not in {*DERIVED, "params"}}
    ).items():
        yield Check(name, value, here.get(name), "" if name in here else "nothing to compare it with")


def record_here(record: dict[str, Any]) -> dict[str, str]:
    """Return what train would record here, as flat text, with the precision that was asked for the model.

    If train would find no device, the reason stands in its place.
    """
    no_device = ""
    try:
        where = device.find_device()
    except UserError as error:
        where, no_device = torch.device("cpu"), f"none: {str(error).splitlines()[0]}"
    recorded = flatten(record)
    # The parameter comes first: the precision that it led to depends on the hardware.
    wanted = recorded.get("params.train.precision", recorded.get("precision", "fp32"))
    here = data_and_machine(where, device.usable_precision(wanted, where), digest)
    here["device"] = no_device or here["device"]
    here |= {"processes": processes.wanted(), "threads": thread_count(processes.wanted())}
    with suppress(UserError, OSError):  # a bad params.yaml has its own checks; its file may be missing
        here["init"] = init_digest(params.load("train", TrainParams).init)
    return flatten(here)


def compare_params(recorded: Any) -> Iterator[Check]:
    """Compare the parameters in the model's record with those of params.yaml, as train would record them."""
    recorded = recorded if isinstance(recorded, dict) else {}
    for section in [*Recipe.model_fields, *(recorded.keys() - Recipe.model_fields.keys())]:
        model = flatten({section: recorded[section]}) if section in recorded else {}
        try:
            if section not in Recipe.model_fields:
                raise UserError(f"train reads no section {section} here")
            kind = cast(type[Strict], Recipe.model_fields[section].annotation)
            here = flatten(Recipe.model_construct(None, **{section: params.load(section, kind)}).recorded())
        except (UserError, FileNotFoundError) as error:
            why = str(error) if isinstance(error, UserError) else f"{params.PARAMS}: {MISSING}"
            yield Check(section, f"{len(model)} parameters", None, why)
            continue
        for name in model | here:
            yield Check(name, model.get(name, "not recorded"), here.get(name, "unknown to train"))


def compare_files(inputs: Inputs | None, record: dict[str, Any], commit: str | None) -> Iterator[Check]:
    """Compare the inputs of train with those here, except those in its record: see :func:`compare_record`.

    Args:
        inputs: as a dvc.lock with the model records them.
        commit: the commit with this dvc.lock, if there is one: what has changed since in a folder is listed.
    """
    if inputs is None:
        yield Check("the code", "not recorded", None, "no dvc.lock that can be read here has the model")
        return
    recorded = flatten(record)
    for name, model in inputs.items():
        path = Path(name)
        if name in VALIDATION or (path.parent == ARRAYS and f"md5.{path.name}" in recorded):
            continue
        here = digest(path)
        changed = changed_since(commit, name) if commit is not None and here != model and path.is_dir() else []
        yield Check(name, model, here, ", ".join(map(show, changed)))


def digest(path: Path) -> str:
    """Return the digest that dvc.lock would have for this file or folder, or ``MISSING``.

    Raises:
        UserError: if DVC cannot read .dvcignore.
    """
    if path.is_file():
        return md5(path)
    if not path.is_dir():
        return MISSING
    from dvc.fs import localfs
    from dvc.ignore import DvcIgnoreFilter
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB

    try:
        ignore: Any = DvcIgnoreFilter(localfs, str(Path.cwd()))
    except UnicodeError as error:
        raise UserError(f".dvcignore: {error}") from None
    _, _, tree = build(HashFileDB(localfs, ""), str(path.absolute()), localfs, "md5", ignore=ignore, dry_run=True)
    return str(tree.oid)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the leaves of a tree as text, by their paths, for example ``train.lr``."""
    leaves = {}
    for key, value in tree.items():
        name = prefix + show(key)
        if isinstance(value, dict) and value:
            leaves |= flatten(value, f"{name}.")
        else:
            leaves[name] = ", ".join(map(show, value)) if isinstance(value, (list, tuple)) else show(value)
    return leaves


def show(value: Any) -> str:
    """Return a value as text without control characters, which a model or a commit could send to the terminal."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else repr(text)
