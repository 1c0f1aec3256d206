"""Training in small: the inputs of the stage, arrays of 5 and 2 frames, 32×64 pixels, and runs in this process."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
import yaml

from segcore.augment import AugmentParams
from segcore.erfnet import ModelParams
from segcore.frames import FrameStore
from segcore.labels import CLASSES
from segcore.training import Data, Training, TrainParams
from stages.train import CHECKPOINTS
from tests.running import ROOT, run_stage

PARAMS = {
    "init": ROOT / "data/random_start.yaml",
    "seed": 1,
    "epochs": 2,
    "batch_size": 2,
    "optimizer": "adamw",
    "lr": 0.005,
    "weight_decay": 0.0,
    "schedule": "one_cycle",
    "class_weights": "none",
    "precision": "fp32",
    "ema": 0.0,
    "validate_every": 1,
}
CPU = torch.device("cpu")
PLAIN = AugmentParams(flip=True, shift=0, scale_min=1, scale_max=1, brightness=0, contrast=0, saturation=0)
ENVIRONMENT = {"SEGCORE_THREADS": "1", "SEGCORE_DEVICE": "cpu"}


def data(frames: int = 6, store=FrameStore, where=CPU) -> Data:
    """Frames whose left half is dark and of class 0, and whose right half is bright and of class 6."""
    images = np.random.default_rng(0).integers(0, 60, (frames, 32, 64, 3), dtype=np.uint8)
    images[:, :, 32:] += 180
    labels = np.zeros((frames, 32, 64), dtype=np.uint8)
    labels[:, :, 32:] = 6
    labels[:, :2] = 255
    stores = [store(images, labels, where) for _ in range(2)]
    return Data(*stores, mean=[0.47] * 3, std=[0.35] * 3, share=[0.5, 0, 0, 0, 0, 0, 0.5])


def make(frames: int = 6, store=FrameStore, where=CPU, **changes) -> Training:
    model = ModelParams(encoder_only=changes.pop("encoder_only", False))
    return Training(TrainParams(**(PARAMS | changes)), model, PLAIN, data(frames, store, where), where)


def write_inputs(root: Path, seed: int = 2) -> None:
    """Arrays of noise, their statistics, and params.yaml."""
    folder = root / "data/arrays"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for split, count in {"train": 5, "val": 2}.items():
        np.save(folder / f"{split}_images.npy", rng.integers(0, 256, (count, 32, 64, 3), dtype=np.uint8))
        np.save(folder / f"{split}_labels.npy", rng.integers(0, 7, (count, 32, 64), dtype=np.uint8))
    share = dict.fromkeys(CLASSES, 0.1428)
    stats = {"mean": [0.5] * 3, "std": [0.3] * 3, "share": share, "void_share": 0.1}
    (folder / "stats.json").write_text(json.dumps(stats))
    shutil.copyfile(ROOT / "data/random_start.yaml", root / "data/random_start.yaml")
    write_params(root, epochs=3, batch_size=2, validate_every=2)


def write_params(root: Path, **changes) -> None:
    """The project's params.yaml with changes in section ``train``."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"] |= changes
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def stage(root: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the train stage in ``root``, on one thread."""
    return run_stage("train", root, *arguments, **(ENVIRONMENT | options))


def saved_steps(root: Path) -> list[int]:
    """The steps of the checkpoints that lie below ``root``."""
    return sorted(int(path.name[:9]) for path in (root / CHECKPOINTS).glob("*/*.safetensors"))


def started_at(said: str) -> int:
    """The step at which a training began that said so."""
    return int(re.search(r"(?:starting|going on) at step (\d+) of", said)[1])
