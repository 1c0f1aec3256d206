"""Which device is found, and in which precision it computes."""

import pytest
import torch

from segcore.network import device
from segcore.runtime.errors import UserError

CPU = torch.device("cpu")
WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    assert device.find_device() == CPU


@WITHOUT_CUDA
def test_without_cuda_it_is_the_cpu(monkeypatch):
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    assert device.find_device() == CPU


@WITHOUT_CUDA
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_asked_for_where_there_is_none(monkeypatch, name):
    monkeypatch.setenv("SEGCORE_DEVICE", name)
    with pytest.raises(UserError, match=f"SEGCORE_DEVICE={name}: torch sees 0 CUDA devices"):
        device.find_device()


@pytest.mark.parametrize(("name", "index"), [(None, 0), ("cuda", 0), ("cuda:1", 1)])
def test_a_cuda_device_always_has_an_index(monkeypatch, name, index):
    """Without one ``torch.cuda.set_device`` refuses it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    if name is not None:
        monkeypatch.setenv("SEGCORE_DEVICE", name)
    assert device.find_device() == torch.device("cuda", index)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "mps"])
def test_a_wrong_name_is_refused(monkeypatch, name):
    monkeypatch.setenv("SEGCORE_DEVICE", name)
    with pytest.raises(UserError, match=r"SEGCORE_DEVICE: cpu, cuda or cuda:N was expected"):
        device.find_device()


def test_prepare_sets_the_threads_and_asks_for_deterministic_kernels(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("SEGCORE_THREADS", "1")
    device.prepare(CPU)
    assert torch.get_num_threads() == 1
    assert not torch.backends.cudnn.allow_tf32  # fp32 means fp32
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(before)


def test_a_device_out_of_memory_says_what_to_do():
    with (
        pytest.raises(UserError, match="out of memory: choose a smaller train"),
        device.explain_out_of_memory("choose a smaller train.batch_size"),
    ):
        raise torch.OutOfMemoryError("no room")


def test_bf16_falls_back_where_the_hardware_has_none(monkeypatch):
    for has_it, used in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(device, "_has_bf16", lambda _, has_it=has_it: has_it)
        assert device.usable_precision("bf16", CPU) == used
        assert device.usable_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize(
    ("bf16", "amx", "used"), [(False, False, "fp32"), (True, False, "bf16"), (False, True, "bf16")]
)
def test_bf16_that_avx512_only_emulates_is_not_used(monkeypatch, bf16, amx, used):
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert device.usable_precision("bf16", CPU) == used
    assert [part for part in device.name(CPU).split() if part in ("BF16", "AMX")] == ["BF16"] * bf16 + ["AMX"] * amx


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_cuda_is_found_without_a_setting(monkeypatch):
    monkeypatch.delenv("SEGCORE_DEVICE", raising=False)
    assert device.find_device().type == "cuda"
