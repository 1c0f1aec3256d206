"""Small trainings: runs in this process, and the inputs of the stage, arrays of 5 and 2 frames of 32×64 pixels."""

import json
import re
import shutil
import subprocess
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from segcore.network.erfnet import ModelParams
from segcore.network.tensors import FrameStore
from segcore.train.augment import AugmentParams
from segcore.train.checkpoint import DIGEST
from segcore.train.loop import Data, Event, Training
from segcore.train.recipe import Recipe, TrainParams
from segcore.train.run_folder import CHECKPOINTS
from tests.support.idd_lite import CLASSES
from tests.support.running import ROOT, run_stage
from tests.support.tiny import contents

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
    "validate_every": 1,
}
CPU = torch.device("cpu")
PLAIN = AugmentParams(flip=True, shift=0, scale_min=1, scale_max=1, brightness=0, contrast=0, saturation=0)
ENVIRONMENT = {"SEGCORE_THREADS": "1", "SEGCORE_DEVICE": "cpu"}


def data(
    frames: int = 6, store: type[FrameStore] = FrameStore, where: torch.device = CPU, classes: list[str] = CLASSES
) -> Data:
    """Return frames whose left half is dark and of the first class, and whose right half is bright and of the last."""
    images = np.random.default_rng(0).integers(0, 60, (frames, 32, 64, 3), dtype=np.uint8)
    images[:, :, 32:] += 180
    labels = np.zeros((frames, 32, 64), dtype=np.uint8)
    labels[:, :, 32:] = len(classes) - 1
    labels[:, :2] = 255
    stores = [store(images, labels, where) for _ in range(2)]
    share = [0.5, *[0.0] * (len(classes) - 2), 0.5]
    return Data(*stores, classes, mean=[0.47] * 3, std=[0.35] * 3, share=share)


def recipe(encoder_only: bool = False, augment: AugmentParams = PLAIN, **changes: Any) -> Recipe:
    """Return a recipe with these ``changes`` of section ``train``."""
    train = TrainParams(**(PARAMS | changes))
    return Recipe(train=train, model=ModelParams(encoder_only=encoder_only), augment=augment)


def make(frames: int = 6, store: type[FrameStore] = FrameStore, where: torch.device = CPU, **changes: Any) -> Training:
    """Return a run on :func:`data` with the :func:`recipe` of these ``changes``."""
    return Training(recipe(**changes), data(frames, store, where), where)


def finish(run: Training) -> list[Event]:
    """Run it to its end, and return its events."""
    return list(run.events())


def write_inputs(root: Path, seed: int = 2, classes: list[str] = CLASSES) -> None:
    """Write arrays of noise, their statistics, and params.yaml."""
    folder = root / "data/arrays"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for split, count in {"train": 5, "val": 2}.items():
        np.save(folder / f"{split}_images.npy", rng.integers(0, 256, (count, 32, 64, 3), dtype=np.uint8))
        np.save(folder / f"{split}_labels.npy", rng.integers(0, len(classes), (count, 32, 64), dtype=np.uint8))
    share = dict.fromkeys(classes, 0.1428)
    stats = {"mean": [0.5] * 3, "std": [0.3] * 3, "share": share, "void_share": 0.1}
    (folder / "stats.json").write_text(json.dumps(stats))
    shutil.copyfile(ROOT / "data/random_start.yaml", root / "data/random_start.yaml")
    write_params(root, epochs=3, batch_size=2, validate_every=2)


def write_params(root: Path, **changes: Any) -> None:
    """Write the project's params.yaml with changes in section ``train``."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"] |= changes
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def stage(root: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess:
    """Run the train stage in ``root``, on one thread."""
    return run_stage("train", root, *arguments, **(ENVIRONMENT | options))


def results(root: Path) -> dict[str, bytes]:
    """Return the files below ``root`` except checkpoints."""
    return {name: data for name, data in contents(root).items() if not name.startswith(str(CHECKPOINTS))}


def saved_steps(root: Path) -> list[int]:
    """Return the steps of the checkpoints of interrupted runs below ``root``."""
    found = glob(f"{root / CHECKPOINTS}/*/*.safetensors")  # noqa: PTH207 - Path.glob fails where a folder vanishes
    return sorted(int(path.name[:9]) for path in map(Path, found) if not path.with_name(DIGEST).exists())


def started_at(said: str) -> int:
    """Return the step at which a training began, from what it printed."""
    found = re.search(r"(?:starting|going on) at step (\d+) of", said)
    assert found, said
    return int(found[1])
