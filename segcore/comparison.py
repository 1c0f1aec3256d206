"""What a model was made from, against this machine and workspace: what must match for the same bytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from segcore.console import UserError
from segcore.digests import md5
from segcore.history import Inputs
from segcore.records import ARRAYS, data_and_machine

# Recorded, but not chosen: these follow from the code and the data, which are compared themselves.
DERIVED = {"classes", "input_size", "mean", "std"}
# Inputs of train that change its scores and no weight.
VALIDATION = {"data/arrays/val_images.npy", "data/arrays/val_labels.npy"}
MISSING = "missing"


class Check(NamedTuple):
    """One thing that must match: its value for the model and here; ``None`` if it cannot be compared, and why."""

    what: str
    model: str
    here: str | None
    why: str = ""

    @property
    def verdict(self) -> str:
        if self.here is None:
            return "unknown"
        return "same" if self.here == self.model else "differs"


def compare_records(about: dict[str, Any]) -> Iterator[Check]:
    """The model's data, versions and machine, as its metadata has them, and what train would record here."""
    here = records_here(about)
    recorded = flatten({name: value for name, value in about.items() if name not in {*DERIVED, "params"}})
    for name, value in recorded.items():
        yield Check(name, value, here.get(name), "nothing to compare it with")


def records_here(about: dict[str, Any]) -> dict[str, str]:
    """What ``describe`` of stages/train.py would record of this machine and workspace, flat."""
    from segcore import device

    where = device.find_device()
    recorded = flatten(about)
    # The parameter, because what it became depends on the hardware.
    wanted = recorded.get("params.train.precision", recorded.get("precision", "fp32"))
    return flatten(data_and_machine(where, device.usable_precision(wanted, where), file_md5) | start_here())


def start_here() -> dict[str, str | None]:
    """What train would record of the weights that params.yaml names to start from; nothing if it names none."""
    from segcore import params, pretrained, training

    try:
        return {"init": pretrained.digest(params.load("train", training.TrainParams).init)}
    except (UserError, OSError):
        return {}


def compare_params(recorded: Any) -> Iterator[Check]:
    """The parameters of the model, and those of params.yaml as train would read them."""
    from segcore import augment, erfnet, params, training

    sections = {"train": training.TrainParams, "model": erfnet.ModelParams, "augment": augment.AugmentParams}
    recorded = recorded if isinstance(recorded, dict) else {}
    for section in [*sections, *(recorded.keys() - sections.keys())]:
        model = flatten({section: recorded[section]} if section in recorded else {})
        try:
            if section not in sections:
                raise UserError(f"train reads no section {section} here")
            here = flatten({section: params.load(section, sections[section]).model_dump(exclude={"init"})})
        except (UserError, FileNotFoundError) as error:
            why = str(error) if isinstance(error, UserError) else f"{params.PARAMS}: {MISSING}"
            yield Check(section, f"{len(model)} parameters", None, why)
            continue
        for name in model | here:
            yield Check(name, model.get(name, "not recorded"), here.get(name, "unknown to train"))


def compare_files(inputs: Inputs | None, about: dict[str, Any]) -> Iterator[Check]:
    """The inputs of train in a dvc.lock that has the model, and those here; not those that the model itself records."""
    if inputs is None:
        yield Check("the code", "not recorded", None, "no dvc.lock that can be read here has the model")
        return
    recorded = flatten(about)
    for name, digest in inputs.items():
        path = Path(name)
        if name not in VALIDATION and not (path.parent == ARRAYS and f"md5.{path.name}" in recorded):
            yield Check(name, digest, file_md5(path))


def file_md5(path: Path) -> str:
    """The digest that dvc.lock has for the file."""
    return md5(path) if path.is_file() else MISSING


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """The leaves of a tree by their path, as ``train.lr``, each as text."""
    leaves = {}
    for key, value in tree.items():
        name = prefix + show(key)
        if isinstance(value, dict) and value:
            leaves |= flatten(value, f"{name}.")
        else:
            leaves[name] = ", ".join(map(show, value)) if isinstance(value, (list, tuple)) else show(value)
    return leaves


def show(value: Any) -> str:
    """A value as text that leaves the terminal as it is, whatever somebody wrote into a model or a commit."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else repr(text)
