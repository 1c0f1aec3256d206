"""Build an ONNX graph node by node, with names that are the same on every run."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# The lowest versions with the operators used here: Resize has axes and antialias since opset 18, of onnx 1.13.
OPSET, IR_VERSION = 18, 8


class Graph:
    """A graph under construction. The name of a value is also the name of the node that computes it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output.

        Args:
            inputs: names of values; the empty string stands for an optional input that is left out.
            attributes: as in https://onnx.ai/onnx/operators.
        """
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant, and return its name."""
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def model(
        self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], metadata: dict[str, str]
    ) -> onnx.ModelProto:
        """Return the model, with the metadata in the given order."""
        graph = helper.make_graph(self.nodes, "erfnet", inputs, outputs, [*self._constants.values()])
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="segcore",
        )
        helper.set_model_props(model, metadata)
        return model
