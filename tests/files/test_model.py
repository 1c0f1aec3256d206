"""The model file: it gives back what was saved, equal content has equal bytes, and damage is an error."""

import contextlib
import json
import struct
import warnings
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from benchmarks.mutations import mutate
from segcore.files.model import NotOurs, load_weights, read_record, save_weights
from segcore.inference.predictor import Predictor
from segcore.network.erfnet import ERFNet
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES


def test_tensors_and_record_come_back(tmp_path):
    state = {"b": torch.arange(6.0).view(2, 3).T, "a": torch.tensor(3)}
    save_weights(tmp_path / "m", state, {"z": 1, "a": [1.5, None]})
    loaded, about = load_weights(tmp_path / "m")
    assert about == {"z": 1, "a": [1.5, None]}
    assert set(loaded) == {"a", "b"}
    assert torch.equal(loaded["b"], state["b"])
    assert loaded["a"].item() == 3
    assert read_record(tmp_path / "m") == about


def test_the_order_of_keys_does_not_change_the_bytes(tmp_path):
    tensors = {"b": torch.zeros(2), "a": torch.ones(3)}
    save_weights(tmp_path / "1", tensors, {"x": 1, "y": 2})
    save_weights(tmp_path / "2", dict(reversed(tensors.items())), {"y": 2, "x": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_not_safetensors_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="`dvc repro train` makes data"):
        load_weights(tmp_path / "m")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"segcore": "no JSON"}])
def test_weights_from_a_different_program_are_refused(tmp_path, metadata):
    save_file({"a": torch.zeros(2)}, tmp_path / "m", metadata)
    with pytest.raises(UserError, match="not written by this pipeline"):
        load_weights(tmp_path / "m")


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
SIX_BITS = {"dtype": "F6_E2M3", "shape": [8], "data_offsets": [0, 6]}  # torch has no such numbers
WHOLE = safetensors({"__metadata__": {"segcore": "{}"}, "a": TENSOR}, bytes(8))
dtypes = st.sampled_from(["F32", "F4", "F6_E2M3", "I64", "BOOL", "C64", "X", None])
tensors = st.fixed_dictionaries(
    {"dtype": dtypes, "shape": st.lists(st.sampled_from([0, 1, 2, 16, -1, 2**62]), max_size=3)}
)
metadata = st.none() | st.dictionaries(
    st.sampled_from(["segcore", "format"]), st.sampled_from(["{}", "[" * 9000, "1", "x"])
)


@settings(max_examples=250, derandomize=True, database=None, deadline=None)
@given(
    st.integers(0, 2**32).map(lambda seed: mutate(Random(seed), WHOLE))
    | st.builds(lambda a, about: safetensors({"__metadata__": about, "a": TENSOR | a}, bytes(8)), tensors, metadata)
    | st.binary(max_size=60)
)
def test_any_bytes_load_or_are_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    (folder / "model").write_bytes(data)
    with contextlib.suppress(UserError):
        load_weights(folder / "model")
    with contextlib.suppress(NotOurs):
        read_record(folder / "model")


@pytest.mark.parametrize(
    "data",
    [
        safetensors({"__metadata__": None}),
        safetensors({"__metadata__": {"segcore": "[" * 100_000}}),
        safetensors({"__metadata__": {"segcore": "{}"}, "a": SIX_BITS}, bytes(6)),
    ],
)
def test_what_safetensors_allows_and_this_pipeline_does_not_write_is_refused(tmp_path, data):
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(UserError, match="`dvc repro train` makes data"):
        load_weights(tmp_path / "model")


RECORD = {
    "classes": CLASSES, "input_size": [16, 32], "mean": [0.5] * 3, "std": [0.3] * 3, "precision": "fp32",
    "params": {"model": {"encoder_only": True}}, "init": None, "versions": {}, "device": "CPU", "threads": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.5] * 2}, {"mean": [float("nan")] * 3}, {"mean": "abc"}, {"mean": [[0.5]] * 3}, {"std": None},
        {"mean": [10**400] * 3}, {"std": [float("inf")] * 3}, {"input_size": 3}, {"params": []}, {"classes": "abc"},
        {"classes": []}, {"classes": [*CLASSES[1:], CLASSES[1]]}, {"classes": [*CLASSES[1:], "\x1b[31m"]},
        {"precision": 16}, {"threads": "1"}, {"init": 5},
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused(tmp_path, change):
    save_weights(tmp_path / "model", ERFNet(len(CLASSES), True).state_dict(), RECORD)
    Predictor(tmp_path / "model", torch.device("cpu"))
    save_weights(tmp_path / "model", ERFNet(len(CLASSES), True).state_dict(), RECORD | change)
    with warnings.catch_warnings(action="error"), pytest.raises(UserError, match="`dvc repro train` makes data"):
        Predictor(tmp_path / "model", torch.device("cpu"))
