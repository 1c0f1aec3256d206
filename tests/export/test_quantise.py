"""The network in int8: as onnxruntime's own function quantises it, and near the network in fp32."""

import os
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from segcore.export.quantise import QUANTISED, quantise
from tests.support.exported import SIZE, export_random, run, session
from tests.support.idd_lite import CLASSES
from tests.support.running import ROOT

FRAMES = np.random.default_rng(5).integers(0, 256, (4, *SIZE, 3), dtype=np.uint8)


class Reader:
    """The frames, one at a time, as onnxruntime asks for them."""

    def __init__(self) -> None:
        self.frames = iter(FRAMES)

    def get_next(self):
        frame = next(self.frames, None)
        return None if frame is None else {"image": frame[None]}


@pytest.fixture(scope="module", params=[(True, 7), (False, 7), (False, 3)], ids=str)
def model(request):
    """A random network, the encoder alone or the whole one, for seven or three classes."""
    encoder_only, classes = request.param
    return export_random(encoder_only, CLASSES[:classes])


@pytest.fixture(scope="module")
def quantised(model):
    return quantise(model, FRAMES)


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}


def test_it_is_what_quantize_static_makes(model, quantised, tmp_path):
    from onnxruntime.quantization import QuantType, quantize_static

    (tmp_path / "fp32.onnx").write_bytes(model.SerializeToString())
    nodes = [node for node in model.graph.node if re.search(QUANTISED, node.name)]
    quantize_static(
        tmp_path / "fp32.onnx",
        tmp_path / "int8.onnx",
        Reader(),
        op_types_to_quantize=sorted({node.op_type for node in nodes}),
        nodes_to_quantize=[node.name for node in nodes],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    expected = onnx.load(tmp_path / "int8.onnx")
    found = constants(quantised)
    assert found.keys() == constants(expected).keys()
    for name, value in constants(expected).items():  # whose ranges are rounded differently
        assert found[name].dtype == value.dtype
        np.testing.assert_allclose(
            found[name].astype(float), value, rtol=1e-5, atol=1e-9 if value.dtype == np.float32 else 1
        )
    assert {node.name for node in quantised.graph.node} == {node.name for node in expected.graph.node}


def test_predictions_are_nearly_those_of_fp32(model, quantised):
    classes, confidence = run(model, FRAMES)
    changed, different = run(quantised, FRAMES)
    assert np.mean(changed != classes) < 0.1
    assert 0 < np.abs(different - confidence).mean() < 0.02


def test_sums_of_two_products_fit_into_16_bits(quantised):
    """Processors without VNNI add two products of 8-bit numbers, one of them signed, in 16 bits, and saturate."""
    weights = [value for name, value in constants(quantised).items() if name.endswith("weight_quantized")]
    assert weights and all(value.dtype == np.int8 for value in weights)
    assert max(np.abs(value.astype(int)).max() for value in weights) * 255 * 2 < 2**15


def test_inputs_outputs_and_metadata_stay(model, quantised):
    assert list(quantised.metadata_props) == list(model.metadata_props)
    assert list(quantised.graph.input) == list(model.graph.input)
    assert list(quantised.graph.output) == list(model.graph.output)
    assert (quantised.ir_version, list(quantised.opset_import)) == (model.ir_version, list(model.opset_import))
    assert (quantised.producer_name, quantised.producer_version) == ("segcore", "")


def test_weights_take_a_quarter_of_the_bytes(model, quantised):
    assert quantised.ByteSize() < 0.3 * model.ByteSize()


def test_nothing_is_said_and_no_file_is_written(model, tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    session(quantise(model, FRAMES))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import hashlib
from segcore.export.quantise import quantise
from tests.export.test_quantise import FRAMES
from tests.support.exported import export_random
model = export_random(encoder_only=False)
for each in (model, quantise(model, FRAMES)):
    print(hashlib.sha256(each.SerializeToString(deterministic=True)).hexdigest())
"""


@pytest.mark.slow
def test_files_have_the_same_bytes_with_other_threads_and_other_hashes():
    first, second = (
        subprocess.check_output(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=os.environ | {"SEGCORE_THREADS": number, "PYTHONHASHSEED": number},
            text=True,
        )
        for number in ("1", "2")
    )
    assert first == second
    assert len({*first.split()}) == 2
