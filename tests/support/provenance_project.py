"""A small git repository with a model in it and all that it was made from, and the report on that model."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from segcore.files.model import save_weights
from segcore.network import device
from tests.support.running import git
from tests.support.workspace import ROOT

CPU = torch.device("cpu")
MODEL = Path("data/model/erfnet.safetensors")
ARRAYS = ("train_images.npy", "train_labels.npy", "stats.json")
SCRIPT, PACKAGE = "stages/train.py", "segcore/train"  # the code in dvc.lock: a file and a folder
LOOP = "segcore/train/loop.py"
OTHER = "0" * 32  # the digest of another model
VAL = ("data/arrays/val_images.npy", "data/arrays/val_labels.npy")


def recorded_params() -> dict[str, Any]:
    """Return params.yaml as a model records it: of the weights to start from, it records the digest instead."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    del params["train"]["init"]
    return {section: params[section] for section in ("train", "model", "augment")}


class Project:
    """The working folder as a git repository: a model, and all that it was made from."""

    def __init__(self) -> None:
        for name in (SCRIPT, LOOP, f"{PACKAGE}/recipe.py", *VAL, *(f"data/arrays/{name}" for name in ARRAYS)):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(f"content of {name}")
        shutil.copyfile(ROOT / "params.yaml", "params.yaml")
        MODEL.parent.mkdir()
        self.md5 = self.make_model()
        self.git("init", "--quiet", "--initial-branch=main")
        Path(".git/info/exclude").write_text("data\n")

    def make_model(self, **other: Any) -> str:
        """Write a model as train would have made it here, but for ``other``, and return its digest."""
        about = {
            "classes": ["drivable", "sky"],
            "input_size": [160, 320],
            "mean": [0.5, 0.25, 0.125],
            "params": recorded_params(),
            "init": None,
            "md5": {name: md5(f"data/arrays/{name}") for name in ARRAYS},
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "device": device.name(CPU),
            "precision": device.usable_precision("bf16", CPU),
            "threads": 1,
        }
        save_weights(MODEL, {"a": torch.zeros(2)}, about | other)
        return md5(MODEL)

    def lock(self, model: str, name: str = str(MODEL), stage: str = "train", **other: Any) -> None:
        """Write a dvc.lock that has the model with the digest ``model`` at ``name`` as an output of ``stage``."""
        deps = [{"path": path, "md5": md5(path)} for path in (SCRIPT, PACKAGE, *VAL, f"data/arrays/{ARRAYS[0]}")]
        outs = [{"path": name, "md5": model}, {"path": "metrics/train.json", "md5": "1" * 32}]
        Path("dvc.lock").write_text(yaml.safe_dump({"stages": {stage: {"deps": deps, "outs": outs}}, **other}))

    def commit(self, subject: str, *options: str) -> str:
        """Commit all, and return the hash as it is shown."""
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={subject}", *options)
        return self.git("rev-parse", "--short", "HEAD")

    def commit_lock(self, model: str, **other: Any) -> str:
        self.lock(model, **other)
        return self.commit(f"dvc.lock with {model[:4]}")

    git = staticmethod(git)


class Answer:
    """What the report printed, taken apart."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [line.strip() for line in text.splitlines()]
        self.flat = " ".join(text.split())
        # By hash, what stands behind the date.
        self.commits = dict(re.findall(r"^  ([0-9a-f]{7,})  \d{4}-\d\d-\d\d *(.*)$", text, re.MULTILINE))
        shown = re.findall(r"^  (same|differs|unknown) +(\S+)  .*\n( +here +\S.*)?", text, re.MULTILINE)
        self.checks = {what: verdict for verdict, what, _ in shown}
        self.not_same = {what: here.split(maxsplit=1)[1] for verdict, what, here in shown if verdict != "same"}
        self.commands = [line for line in self.lines if re.match(r"(\w+=\S+ )*(dvc|git) ", line)]


def md5(path: str | Path) -> str:
    """Return the digest of a file or a folder as DVC defines it."""
    path = Path(path)
    if not path.is_dir():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = [{"md5": md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(listed).encode()).hexdigest() + ".dir"
