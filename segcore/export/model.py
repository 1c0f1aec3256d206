"""The exported model: frames of any size in, class ids and confidences at that size out.

The graph also contains the resize to the network's input size, the normalisation, and the interpolation of the scores
to the size of the frame, so that a program needs nothing but an ONNX runtime.
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from segcore.export.graph import Graph
from segcore.export.network import erfnet
from segcore.files.dataset import Dataset
from segcore.files.model import Record
from segcore.files.onnx import OnnxRecord, metadata
from segcore.network.erfnet import ERFNet

FRAMES = ["batch", "height", "width"]


def describe(weights: Path, record: Record, dataset: Dataset, precision: str) -> OnnxRecord:
    """Return the metadata for an export in ``precision`` of the file ``weights``.

    Args:
        record: the record of that file.
        dataset: the data set that it was trained on.
    """
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return OnnxRecord(
        classes=record.classes,
        colours=dataset.colours,
        licence=dataset.terms(started_from_weights=record.init is not None),
        model_sha256=digest,
        input_size=record.input_size,
        precision=precision,
    )


def export(network: ERFNet, record: Record, about: OnnxRecord) -> onnx.ModelProto:
    """Return a network as an ONNX model, with batch norm and dropout as in evaluation.

    Its input is ``image``, RGB frames, uint8 B×H×W×3; its outputs are ``classes``, uint8 B×H×W, and ``confidence``, the
    probability of that class, float32 B×H×W.

    Args:
        record: the network's input size and the normalisation.
        about: the metadata.
    """
    graph = Graph()
    x = resized(graph, "image", record.input_size)
    x = normalised(graph, x, record.mean, record.std)
    scores = erfnet(graph, network, x)
    scores = to_native(graph, scores, "image")
    best_class(graph, scores)
    confidence(graph, scores)
    model = graph.model(
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [*FRAMES, 3])],
        [
            helper.make_tensor_value_info("classes", TensorProto.UINT8, FRAMES),
            helper.make_tensor_value_info("confidence", TensorProto.FLOAT, FRAMES),
        ],
        metadata(about),
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def resized(graph: Graph, images: str, size: tuple[int, int]) -> str:
    """Resize uint8 B×H×W×3 as preprocess does: bilinear, with antialiasing.

    On uint8 onnxruntime rounds after each axis, as Pillow does. ``exclude_outside`` ignores what is beyond the border,
    as Pillow does.
    """
    sizes = graph.constant("resized.sizes", np.array(size, np.int64))
    return graph.add(
        "Resize", "resized", images, "", "", sizes, axes=[1, 2], mode="linear", antialias=1, exclude_outside=1
    )


def normalised(graph: Graph, images: str, mean: list[float], std: list[float]) -> str:
    """Turn uint8 B×H×W×3 into normalised float32 B×3×H×W."""

    def channels(name: str, values: np.ndarray) -> str:
        return graph.constant(name, values.astype(np.float32).reshape(3, 1, 1))

    x = graph.add("Cast", "float", images, to=TensorProto.FLOAT)
    x = graph.add("Transpose", "channels_first", x, perm=[0, 3, 1, 2])
    x = graph.add("Div", "unit_range", x, graph.constant("maximum", np.array(255, np.float32)))
    x = graph.add("Sub", "centred", x, channels("mean", np.array(mean)))
    scale = 1 / np.maximum(np.array(std, np.float32), np.float32(1e-3))  # as segcore.network.tensors.Normalise
    return graph.add("Mul", "normalised", x, channels("scale", scale))


def to_native(graph: Graph, scores: str, images: str) -> str:
    """Interpolate scores B×C×h×w to the size of ``images`` B×H×W×3."""
    size = graph.add("Shape", "native_size", images, start=1, end=3)
    return graph.add("Resize", "native_scores", scores, "", "", size, axes=[2, 3], mode="linear")


def best_class(graph: Graph, scores: str) -> str:
    """Turn scores B×C×H×W into the ids of the best class, uint8 B×H×W; the first class wins a tie."""
    best = graph.add("ArgMax", "best_class", scores, axis=1, keepdims=0)
    return graph.add("Cast", "classes", best, to=TensorProto.UINT8)


def confidence(graph: Graph, scores: str) -> str:
    """Turn scores B×C×H×W into the softmax of the best class, float32 B×H×W: 1 / Σ exp(score - best)."""
    axis = graph.constant("class_axis", np.array([1], np.int64))
    best = graph.add("ReduceMax", "best_score", scores, axis, keepdims=1)
    odds = graph.add("Exp", "odds", graph.add("Sub", "below_best", scores, best))
    total = graph.add("ReduceSum", "total_odds", odds, axis, keepdims=0)
    return graph.add("Reciprocal", "confidence", total)
