"""The classes of IDD-Lite for tests, and data/raw/dataset.json as fetch writes it for the built-in sample."""

from pathlib import Path
from typing import Any

from segcore.files.dataset import DATASET, write_dataset
from segcore.files.description import SETS, read_description
from tests.support.running import ROOT

DESCRIPTION = read_description(ROOT / SETS / "idd_lite.yaml")
SAMPLE = DESCRIPTION.dataset(sample=True)
CLASSES, COLOURS = SAMPLE.names, SAMPLE.colours


def save_dataset(root: Path, **changes: Any) -> None:
    """Write data/raw/dataset.json below ``root``, with ``changes`` of its fields."""
    path = root / DATASET
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dataset(path, SAMPLE.model_copy(update=changes))
