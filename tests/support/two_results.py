"""Results to compare, in a git repository with nothing else in it."""

import hashlib
from pathlib import Path

import pandas as pd
import yaml

from segcore.files.model import MODEL
from segcore.files.scores import COUNTS
from tests.support.idd_lite import CLASSES
from tests.support.running import git

HITS = [50, 10, 20, 30, 40, 60, 70]  # pixels of each class that are right, of 100


def write(
    hits: list[int],
    drives: int = 12,
    pixels: int = 100,
    seed: object = 1,
    epochs: int = 5,
    code: str = "0",
    classes: list[str] = CLASSES,
) -> None:
    """Write a result with one frame per drive. A third of the frames has one hit more, and a third two."""
    rows = [
        {"drive": str(drive), "frame": f"{drive:06}", "class": name, "tp": hit + drive % 3, "fp": 0}
        | {"fn": pixels - hit - drive % 3}
        for drive in range(drives)
        for name, hit in zip(classes, hits, strict=True)
    ]
    COUNTS.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(COUNTS, index=False)
    write_lock(seed, epochs, code)


def write_lock(seed: object = 1, epochs: int = 5, code: str = "0") -> None:
    """Write the dvc.lock of the counts that are here."""
    md5 = hashlib.md5(COUNTS.read_bytes()).hexdigest()
    params = {"train": {"seed": seed, "epochs": epochs}, "model": {"encoder_only": False}}
    deps = [{"path": str(MODEL), "md5": md5}, {"path": "segcore/evaluate", "md5": "1.dir"}]
    stages = {
        "train": {
            "deps": [{"path": "segcore/train", "md5": f"{code}.dir"}],
            "params": {"params.yaml": params},
            "outs": [{"path": str(MODEL), "md5": md5}],
        },
        "evaluate": {"deps": deps, "outs": [{"path": str(COUNTS), "md5": md5}]},
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


def change_rows(**hits: int) -> None:
    """Set the true positives of rows of the counts, given as ``row7=…``, each of 100 pixels."""
    table = pd.read_csv(COUNTS, dtype=str)
    for row, count in hits.items():
        table.loc[int(row.removeprefix("row")), ["tp", "fn"]] = [str(count), str(100 - count)]
    table.to_csv(COUNTS, index=False)


def init() -> str:
    """Start a repository on main with one result, and return the hash of its commit."""
    git("init", "--quiet", "--initial-branch=main")
    write(HITS)
    return commit()


def commit() -> str:
    """Commit all that is here, and return the hash."""
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message=a result")
    return git("rev-parse", "HEAD")
