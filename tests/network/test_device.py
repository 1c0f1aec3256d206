"""Which device is found, and in which precision it computes."""

import warnings
from collections.abc import Callable

import pytest
import torch

from segcore.network import device, nvidia
from segcore.runtime.errors import UserError

CPU = torch.device("cpu")


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    assert device.find_device() == CPU


@pytest.fixture
def without_cuda(monkeypatch) -> None:
    """Let torch find no device, and this machine have no GPU, whatever it has."""
    for name in ("SEGCORE_DEVICE", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(nvidia, "find_gpus", lambda _: [])


def test_without_a_gpu_it_is_the_cpu(without_cuda):
    assert device.find_device() == CPU


def fail_with(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


TOO_OLD = RuntimeError(
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading …"
    "\nException raised from here"
)
UPDATE = "Install or update the driver, or install a torch for its CUDA from https://download.pytorch.org/whl"
INSTALL = "install one for CUDA as https://pytorch.org/get-started says"


@pytest.mark.parametrize(
    ("cuda", "hip", "error", "reason", "remedy"),
    [
        ("13.2", None, TOO_OLD, "The NVIDIA driver on your system is too old (found version 11040). Please", UPDATE),
        ("13.2", None, RuntimeError("No CUDA GPUs are available"), "No CUDA GPUs are available", UPDATE),
        ("13.2", None, None, "torch.cuda.is_available() is false", UPDATE),
        (None, None, AssertionError("not asked for"), "2.99.0, is made without CUDA", INSTALL),
        (None, "7.1", RuntimeError("not asked for"), "2.99.0, is made for AMD's GPUs", INSTALL),
    ],
)
def test_a_gpu_that_torch_cannot_use_stops_the_run(monkeypatch, without_cuda, cuda, hip, error, reason, remedy):
    monkeypatch.setattr(nvidia, "find_gpus", lambda _: ["/dev/nvidia0", "/dev/nvidia1"])
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "init", fail_with(error) if error else lambda: None)
    with pytest.raises(UserError) as caught:
        device.find_device()
    said = str(caught.value)
    assert said.startswith("torch cannot use the NVIDIA GPU of this machine (/dev/nvidia0; /dev/nvidia1): ")
    assert reason in said
    assert remedy in said
    assert said.endswith("To compute on the CPU, which takes much longer, set SEGCORE_DEVICE=cpu.")
    assert "Exception raised" not in said
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    assert device.find_device() == CPU
    monkeypatch.setenv("SEGCORE_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError) as caught:
        device.find_device()
    assert str(caught.value).startswith("SEGCORE_DEVICE=cuda: torch sees 0 CUDA devices here: ")
    assert reason in str(caught.value)


def test_the_warning_of_an_old_driver_is_said_once(monkeypatch, without_cuda, recwarn):
    monkeypatch.setattr(nvidia, "find_gpus", lambda _: ["/dev/nvidia0"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: warnings.warn(f"{TOO_OLD}", stacklevel=1) or False)
    monkeypatch.setattr(torch.cuda, "init", fail_with(TOO_OLD))
    with pytest.raises(UserError, match="too old"):
        device.find_device()
    assert recwarn.list == []


@pytest.mark.parametrize(
    ("name", "value", "gpu", "hidden"),
    [
        ("CUDA_VISIBLE_DEVICES", "", "/dev/nvidia0", True),
        ("CUDA_VISIBLE_DEVICES", "-1", "/dev/nvidia0", True),
        ("CUDA_VISIBLE_DEVICES", "NoDevFiles", "/dev/nvidia0", True),  # as Slurm sets it
        ("CUDA_VISIBLE_DEVICES", "0", "/dev/nvidia0", False),
        ("CUDA_VISIBLE_DEVICES", "1,0", "/dev/nvidia0", False),
        ("CUDA_VISIBLE_DEVICES", "GPU-8dfe", "/dev/nvidia0", False),
        ("CUDA_VISIBLE_DEVICES", "MIG-8dfe", "/dev/nvidia0", False),
        ("NVIDIA_VISIBLE_DEVICES", "void", "PCI 0000:01:00.0, kernel driver nvidia", True),
        ("NVIDIA_VISIBLE_DEVICES", "none", "PCI 0000:01:00.0, kernel driver nvidia", True),
        ("NVIDIA_VISIBLE_DEVICES", "all", "PCI 0000:01:00.0, kernel driver nvidia", False),
        ("NVIDIA_VISIBLE_DEVICES", "void", "/dev/nvidia0", False),  # given to the container by CDI
    ],
)
def test_a_gpu_that_the_environment_hides(monkeypatch, without_cuda, name, value, gpu, hidden):
    monkeypatch.setattr(nvidia, "find_gpus", lambda _: [gpu])
    monkeypatch.setenv(name, value)
    if hidden:
        assert device.find_device() == CPU
    else:
        with pytest.raises(UserError, match="cannot use the NVIDIA GPU"):
            device.find_device()


# Class, vendor and kernel driver of PCI devices.
CARD = "0x030000", "0x10de", "nvidia"


@pytest.mark.parametrize(
    ("files", "devices", "found"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param(
            ["dev/nvidia1", "dev/nvidia0", "dev/nvidiactl"], [CARD], ["/dev/nvidia0", "/dev/nvidia1"], id="files"
        ),
        pytest.param(
            ["dev/nvidiactl", "dev/nvidia-uvm", "dev/nvidia-modeset", "dev/nvidia-caps/nvidia-cap1"],
            [],
            [],
            id="no GPU",
        ),
        pytest.param(["dev/null"], [CARD], ["PCI 0, kernel driver nvidia"], id="container without it"),
        pytest.param([], [("0x030200", "0x10de", "nouveau")], ["PCI 0, kernel driver nouveau"], id="nouveau"),
        pytest.param([], [("0x030200", "0x10de", None)], ["PCI 0, kernel driver none"], id="no driver"),
        pytest.param([], [("0x030000", "0x10de", "vfio-pci")], [], id="lent to a virtual machine"),
        pytest.param([], [("0x040300", "0x10de", "snd_hda_intel")], [], id="the sound of a card"),
        pytest.param([], [("0x030000", "0x8086", "i915"), ("0x030000", "0x1002", "amdgpu")], [], id="Intel and AMD"),
        pytest.param([], [("0x060000", "0x10de", "pcieport"), CARD], ["PCI 1, kernel driver nvidia"], id="a bridge"),
        pytest.param([], [(None, "0x10de", "nvidia"), CARD], ["PCI 1, kernel driver nvidia"], id="a file is missing"),
        pytest.param(["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"], [], ["/dev/dxg"], id="WSL"),
        pytest.param(["dev/dxg", "usr/lib/wsl/lib/libd3d12.so"], [], [], id="WSL without NVIDIA"),
    ],
)
def test_the_nvidia_gpus_of_a_machine(tmp_path, files, devices, found):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for number, (kind, vendor, driver) in enumerate(devices):
        folder = tmp_path / f"sys/bus/pci/devices/{number}"
        folder.mkdir(parents=True)
        for name, content in {"class": kind, "vendor": vendor}.items():
            if content is not None:
                (folder / name).write_text(f"{content}\n")
        if driver is not None:
            (folder / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    assert nvidia.find_gpus(tmp_path) == found


def test_folders_that_cannot_be_listed_are_no_fault(tmp_path):
    for name in ("dev", "sys/bus/pci/devices"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("not a folder")
    assert nvidia.find_gpus(tmp_path) == []


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:3", 0), ("cuda:3", 2)])
def test_a_cuda_device_that_is_not_there(monkeypatch, without_cuda, name, count):
    monkeypatch.setenv("SEGCORE_DEVICE", name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    with pytest.raises(UserError, match=f"SEGCORE_DEVICE={name}: torch sees {count} CUDA devices here: "):
        device.find_device()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB."), "CUDA out of memory. Tried to"),
        (
            torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might …"),
            "CUDA error: out of memory\n",
        ),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered\n"), "uncorrectable ECC error encountered\n"),
        (RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), "busy or unavailable\n"),
        (torch.cuda.DeferredCudaCallError("CUDA call failed lazily"), "CUDA call failed lazily\n"),
        (
            torch.AcceleratorError(
                "CUDA error: no kernel image is available for execution on the device\nFor debugging"
            ),
            "no kernel image is available for execution on the device\nAn old card needs kernels for sm_61; this "
            "torch, 2.99.0, has sm_75, sm_80: install one that has them",
        ),
    ],
)
@pytest.mark.parametrize("at", ["set_device", "synchronize"])
def test_a_gpu_whose_first_kernel_fails(monkeypatch, error, said, at):
    threads, zeros = torch.get_num_threads(), torch.zeros
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    monkeypatch.setattr(torch, "zeros", lambda *size, **_: zeros(*size))
    for name, result in {
        "set_device": None,
        "synchronize": None,
        "get_device_name": "An old card",
        "get_device_capability": (6, 1),
        "get_arch_list": ["sm_75", "sm_80"],
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, result=result: result)
    monkeypatch.setattr(torch.cuda, at, fail_with(error))
    with pytest.raises(UserError) as caught:
        device.prepare(torch.device("cuda", 1))
    assert str(caught.value).startswith("cuda:1 cannot compute: ")
    assert said in str(caught.value)
    assert "might" not in str(caught.value) and "debugging" not in str(caught.value)
    assert str(caught.value).endswith("SEGCORE_DEVICE=cuda:N chooses a different GPU, SEGCORE_DEVICE=cpu the CPU.")
    torch.set_num_threads(threads)


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
