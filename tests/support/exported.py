"""Networks with random weights and batch norms as ONNX, and a session that runs them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import nn

from segcore.export.model import export
from segcore.files.model import Record
from segcore.files.onnx import OnnxRecord, make_session
from segcore.network.erfnet import ERFNet
from tests.support.idd_lite import CLASSES, COLOURS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SIZE = (32, 64)  # height, width
RECORD = Record(
    classes=CLASSES,
    input_size=SIZE,
    mean=[0.4, 0.35, 0.3],
    std=[0.2, 0.25, 0.3],
    params={},
    init=None,
    versions={},
    device="CPU",
    precision="fp32",
    threads=1,
)
ABOUT = OnnxRecord(
    classes=CLASSES,
    colours=COLOURS,
    licence="Größe of the frames",
    model_sha256="0" * 64,
    input_size=SIZE,
    precision="fp32",
)


def random_network(encoder_only: bool = False, classes: list[str] = CLASSES) -> ERFNet:
    """Return a network whose every weight and statistic counts."""
    torch.manual_seed(3)
    return randomise(ERFNet(len(classes), encoder_only))


def randomise(module: nn.Module) -> nn.Module:
    """Give the batch norms of a module random weights, of either sign, and statistics; set it to evaluation."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 0.5, 0.7)
            nn.init.normal_(layer.bias, 0, 0.3)
            nn.init.normal_(layer.running_mean, 0, 0.3)
            nn.init.uniform_(layer.running_var, 0.3, 2)
    return module.eval()


def export_random(encoder_only: bool = True, classes: list[str] = CLASSES) -> onnx.ModelProto:
    """Return a random network, exported; the colours of its classes are those of IDD-Lite by turns."""
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(classes))]
    record = RECORD.model_copy(update={"classes": classes})
    about = ABOUT.model_copy(update={"classes": classes, "colours": colours})
    return export(random_network(encoder_only, classes), record, about)


def save_random(path: Path) -> Path:
    """Write a random network, exported."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_random().SerializeToString())
    return path


def run(model: onnx.ModelProto, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class ids and the confidences."""
    return session(model).run(["classes", "confidence"], {"image": images})


def session(model: onnx.ModelProto) -> "InferenceSession":
    """Return a session that runs the model."""
    return make_session(model.SerializeToString(), threads=1)
