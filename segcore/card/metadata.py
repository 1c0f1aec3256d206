"""Metadata at the head of the model card, in YAML, for model hubs.

Source: https://github.com/huggingface/hub-docs, modelcard.md, and docs/hub/repositories-licenses.md for the licences.
"""

import math
import re
from typing import Any

import yaml

IDENTIFIER = re.compile(r"[a-z][a-z0-9_-]*")


class Dumper(yaml.SafeDumper):
    """Dumper that quotes all text but identifiers, on one line, so that YAML 1.1 and 1.2 read it as text."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if IDENTIFIER.fullmatch(text) else '"'
    ),
)


def describe(name: str, sample: bool, held_out: bool, from_weights: bool, miou: float | None) -> dict[str, Any]:
    """Return the metadata of a model.

    Args:
        name: name of the model.
        sample: whether it was trained on the built-in sample.
        held_out: whether it was scored on drives that were held out of train.
        from_weights: whether training started from existing weights, which have a licence of their own.
        miou: mIoU by the protocol of IDD-Lite; if it is ``None``, the metadata has no result.
    """
    if sample:
        dataset = {"type": "erfnet-idd-lite-sample", "name": "the built-in sample of drawn street scenes"}
        licence = {"license": "unknown" if from_weights else "mit"}
    else:
        dataset = {"type": "idd-lite", "name": "IDD-Lite"}
        licence = {"license": "other", "license_name": "idd", "license_link": "https://idd.insaan.iiit.ac.in/"}
    metadata = licence | {
        "pipeline_tag": "image-segmentation",
        "library_name": "pytorch",
        "tags": ["semantic-segmentation", "road-scenes", "erfnet", "onnx"],
        "datasets": [dataset["type"]],
        "metrics": ["mean_iou"],
    }
    if miou is not None:
        result = {
            "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
            "dataset": dataset | {"split": "holdout" if held_out else "val"},
            "metrics": [{"type": "mean_iou", "value": miou, "name": "mIoU at 256×128 pixels, without void"}],
        }
        metadata["model-index"] = [{"name": name, "results": [result]}]
    return metadata


def dump(metadata: dict[str, Any]) -> str:
    """Return metadata as YAML with one value per line."""
    return yaml.dump(metadata, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=math.inf)
