"""Quantise the network of an exported model to int8, using the ranges of its values on training frames.

This does what ``onnxruntime.quantization.quantize_static`` does, but writes no files, and gives the same bytes on every
run.
"""

import re
from typing import TYPE_CHECKING

import numpy as np
import onnx

from segcore.files.onnx import make_session

if TYPE_CHECKING:
    from onnxruntime.quantization.calibrate import TensorsData

FRAMES = 100  # to find the ranges on
# Pattern of the names of the nodes to quantise. The first block and the classifier stay in fp32: a third fewer pixels
# change their class, in the same time.
QUANTISED = r"^(encoder|decoder)\.layers\."


def quantise(model: onnx.ModelProto, frames: np.ndarray) -> onnx.ModelProto:
    """Return a model whose network computes in int8, with the inputs, outputs and metadata of ``model``.

    Args:
        model: a model as :func:`segcore.export.model.export` returns it.
        frames: frames of train, uint8 N×H×W×3 at the network's input size; at most ``FRAMES`` of them are used.
    """
    from onnxruntime.quantization import QDQQuantizer, QuantType

    inferred = onnx.shape_inference.infer_shapes(model)
    network = [node for node in model.graph.node if re.search(QUANTISED, node.name)]
    chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int)
    values = sorted({name for node in network for name in (node.input[0], node.output[0])})
    quantizer = QDQQuantizer(
        inferred,
        per_channel=True,
        reduce_range=True,  # weights of 7 bits: with 8, sums saturate on processors without VNNI
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges(model, values, frames[chosen]),
        nodes_to_quantize=[node.name for node in network],
        nodes_to_exclude=[],
        op_types_to_quantize=sorted({node.op_type for node in network}),
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantised: onnx.ModelProto = quantizer.model.model
    quantised.producer_name, quantised.producer_version = model.producer_name, model.producer_version
    del quantised.metadata_props[:], quantised.graph.value_info[:]  # notes for the tools of onnxruntime
    quantised.metadata_props.extend(model.metadata_props)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def ranges(model: onnx.ModelProto, values: list[str], frames: np.ndarray) -> "TensorsData":
    """Return the minimum and maximum of each of ``values`` over all frames."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in values)
    session = make_session(watched.SerializeToString(), threads=1)  # with more, sums are rounded in a different order
    low, high = np.full(len(values), np.inf, np.float32), np.full(len(values), -np.inf, np.float32)
    for frame in frames:
        found = [np.asarray(value) for value in session.run(values, {"image": frame[None]})]
        low = np.minimum(low, [value.min() for value in found])
        high = np.maximum(high, [value.max() for value in found])
    return TensorsData(CalibrationMethod.MinMax, dict(zip(values, zip(low, high, strict=True), strict=True)))
