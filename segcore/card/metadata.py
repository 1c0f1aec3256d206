"""Metadata at the head of the model card, in YAML, for model hubs.

Source: https://github.com/huggingface/hub-docs, modelcard.md, and docs/hub/repositories-licenses.md for the licences.
"""

import math
import re
from typing import Any

import yaml

from segcore.files.dataset import Dataset

IDENTIFIER = re.compile(r"[a-z][a-z0-9_-]*")


class Dumper(yaml.SafeDumper):
    """Dumper that quotes all text but identifiers, on one line, so that YAML 1.1 and 1.2 read it as text."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if IDENTIFIER.fullmatch(text) else '"'
    ),
)


def describe(name: str, dataset: Dataset, held_out: bool, from_weights: bool, miou: float | None) -> dict[str, Any]:
    """Return the metadata of a model.

    Args:
        name: name of the model.
        dataset: the data set that it was trained on.
        held_out: whether it was scored on drives that were held out of train.
        from_weights: whether training started from existing weights, which have a licence of their own.
        miou: mIoU by the protocol of the data set; if it is ``None``, the metadata has no result.
    """
    data = {"type": slug(dataset.name), "name": dataset.name}
    metadata = licence(dataset, from_weights) | {
        "pipeline_tag": "image-segmentation",
        "library_name": "pytorch",
        "tags": ["semantic-segmentation", "road-scenes", "erfnet", "onnx"],
        "datasets": [data["type"]],
        "metrics": ["mean_iou"],
    }
    if miou is not None:
        protocol = dataset.protocol
        size = "native size" if protocol == "native" else f"{protocol.width}×{protocol.height} pixels"
        result = {
            "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
            "dataset": data | {"split": "holdout" if held_out else "val"},
            "metrics": [{"type": "mean_iou", "value": miou, "name": f"mIoU at {size}, without void"}],
        }
        metadata["model-index"] = [{"name": name, "results": [result]}]
    return metadata


def licence(dataset: Dataset, from_weights: bool) -> dict[str, str]:
    """Return the licence, which is unknown if training started from weights that may have a different one."""
    if dataset.licence.spdx is not None:
        return {"license": "unknown" if from_weights else dataset.licence.spdx.lower()}
    link = {"license_link": dataset.home} if dataset.home else {}
    return {"license": "other", "license_name": slug(dataset.name), **link}


def slug(name: str) -> str:
    """Return a name as an identifier of lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "dataset"


def dump(metadata: dict[str, Any]) -> str:
    """Return metadata as YAML with one value per line."""
    return yaml.dump(metadata, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=math.inf)
