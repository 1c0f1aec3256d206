"""Weights on disk: what goes in comes out, and the same goes in as the same bytes."""

import pytest
import torch
from safetensors.torch import save_file

from segcore.console import UserError
from segcore.weights import load_weights, save_weights


def test_tensors_and_what_is_known_of_them_come_back(tmp_path):
    state = {"b": torch.arange(6.0).view(2, 3).T, "a": torch.tensor(3)}
    save_weights(tmp_path / "m", state, {"z": 1, "a": [1.5, None]})
    loaded, about = load_weights(tmp_path / "m")
    assert about == {"z": 1, "a": [1.5, None]}
    assert set(loaded) == {"a", "b"}
    assert torch.equal(loaded["b"], state["b"])
    assert loaded["a"].item() == 3


def test_the_order_of_keys_does_not_change_the_bytes(tmp_path):
    tensors = {"b": torch.zeros(2), "a": torch.ones(3)}
    save_weights(tmp_path / "1", tensors, {"x": 1, "y": 2})
    save_weights(tmp_path / "2", dict(reversed(tensors.items())), {"y": 2, "x": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_model_of_ours_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="run `dvc repro train`"):
        load_weights(tmp_path / "m")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"segcore": "no JSON"}])
def test_weights_from_elsewhere_are_refused(tmp_path, metadata):
    save_file({"a": torch.zeros(2)}, tmp_path / "m", metadata)
    with pytest.raises(UserError, match="not written by this pipeline"):
        load_weights(tmp_path / "m")
