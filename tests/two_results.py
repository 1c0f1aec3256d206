"""Results to compare, in a git repository without anything else in it."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import yaml

from segcore.labels import CLASSES
from tests.running import git

FRAMES, METRICS = Path("metrics/frames.csv"), Path("metrics/evaluate.json")
HITS = [50, 10, 20, 30, 40, 60, 70]  # pixels of each class that are right, of 100


def write(hits: list[int], drives: int = 12, pixels: int = 100, seed: object = 1, epochs: int = 5, code: str = "0"):
    """Write a result: one frame a drive, of which every third has one hit more, and every third two."""
    rows = [
        {"drive": str(drive), "frame": f"{drive:06}", "class": name, "tp": hit + drive % 3, "fp": 0}
        | {"fn": pixels - hit - drive % 3}
        for drive in range(drives)
        for name, hit in zip(CLASSES, hits, strict=True)
    ]
    FRAMES.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(FRAMES, index=False)
    iou = {name: hit / 100 for name, hit in zip(CLASSES, hits, strict=True)}
    METRICS.write_text(json.dumps({"miou": round(sum(hits) / len(hits) / 100, 4), "iou": iou}))
    write_lock(seed=seed, epochs=epochs, code=code)


def write_lock(seed: object = 1, epochs: int = 5, code: str = "0") -> None:
    """A dvc.lock of the metrics that are here."""
    md5 = hashlib.md5(METRICS.read_bytes()).hexdigest()
    params = {"train": {"seed": seed, "epochs": epochs}, "model": {"encoder_only": False}}
    deps = [{"path": "data/model/erfnet.safetensors", "md5": md5}, {"path": "segcore/evaluation.py", "md5": "1"}]
    stages = {
        "train": {"deps": [{"path": "segcore/training.py", "md5": code}], "params": {"params.yaml": params}},
        "evaluate": {"deps": deps, "outs": [{"path": str(METRICS), "md5": md5}]},
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


def commit() -> str:
    """Commit all that is here, and return the hash."""
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message=a result")
    return git("rev-parse", "HEAD")
