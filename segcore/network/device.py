"""The device that torch computes on, its precision, and the settings that make a run repeatable bit for bit."""

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from segcore.network import nvidia
from segcore.runtime.errors import UserError
from segcore.runtime.processes import local_count, local_rank
from segcore.runtime.threads import thread_count


def find_device() -> torch.device:
    """Return the device that ``SEGCORE_DEVICE`` names (cpu, cuda, cuda:1), else CUDA if there is one, else the CPU.

    Raises:
        UserError: if the name is not of that form, there is no such device, or none is named and torch cannot use the
            NVIDIA GPU of this machine.
    """
    wanted = os.environ.get("SEGCORE_DEVICE")
    if wanted is None:
        return _default_device()
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"SEGCORE_DEVICE: cpu, cuda or cuda:N was expected; it is {wanted!r}")
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        reason = "cuda:N counts from 0" if count else nvidia.explain_no_cuda()
        raise UserError(f"SEGCORE_DEVICE={wanted}: torch sees {count} CUDA devices here: {reason}")
    if device.index is not None and local_count() > 1:
        raise UserError(
            f"SEGCORE_DEVICE={wanted}: {local_count()} processes need a GPU each; SEGCORE_DEVICE=cuda finds them"
        )
    return torch.device("cuda", _own_gpu() if device.index is None else device.index)


def _default_device() -> torch.device:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the error has the same text
        if torch.cuda.is_available():
            return torch.device("cuda", _own_gpu())
    if gpus := nvidia.unused_gpus():
        raise UserError(
            f"torch cannot use the NVIDIA GPU of this machine ({'; '.join(gpus)}): {nvidia.explain_no_cuda()}\n"
            "To compute on the CPU, which takes much longer, set SEGCORE_DEVICE=cpu."
        )
    return torch.device("cpu")


def _own_gpu() -> int:
    """Return the number of the GPU of this process: each process that torchrun started on this machine has its own.

    Raises:
        UserError: if there are fewer GPUs than processes.
    """
    count = torch.cuda.device_count()
    if count < local_count():
        raise UserError(
            f"{local_count()} processes need as many GPUs, and torch sees {count}: choose a smaller SEGCORE_PROCESSES"
        )
    return local_rank()


def prepare(device: torch.device | None = None) -> torch.device:
    """Set the number of CPU threads, try the device, and ask for deterministic kernels, before anything is computed.

    Returns the device, which is that of :func:`find_device` if none is given.

    Raises:
        UserError: if there is no such device, or it cannot run a kernel.
    """
    device = device or find_device()
    torch.set_num_threads(thread_count())
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
        try:
            torch.cuda.set_device(device)
            torch.zeros(1, device=device).add_(1)
            torch.cuda.synchronize(device)
        except nvidia.FAULTS as error:
            raise UserError(
                f"{device} cannot compute: {nvidia.explain_fault(error, device)}\n"
                "SEGCORE_DEVICE=cuda:N chooses a different GPU, SEGCORE_DEVICE=cpu the CPU."
            ) from None
    # Like use_deterministic_algorithms(True), but without importing the compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    # This debugging aid fills each new tensor, which costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    torch.backends.cudnn.benchmark = False  # its choice of kernel may differ from run to run
    torch.backends.cudnn.allow_tf32 = False  # TF32 convolutions would round to 10 of the 23 mantissa bits
    return device


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Turn an out-of-memory error of the device into a UserError with this advice."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(f"the device is out of memory: {advice}") from None


def usable_precision(wanted: str, device: torch.device) -> str:
    """Return ``wanted``, ``bf16`` or ``fp32``; but ``fp32`` where the hardware has no bf16."""
    if wanted == "bf16" and not _has_bf16(device):
        return "fp32"
    return wanted


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # With AVX-512 but without these sets, oneDNN emulates bf16, which is 2.5 times as slow as fp32.
    emulated = torch.cpu._is_avx512_supported() and not any(_bf16_sets().values())
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and not emulated


def _bf16_sets() -> dict[str, bool]:
    """Return the x86 instruction sets for bf16, and whether the CPU has them."""
    return {"BF16": torch.cpu._is_avx512_bf16_supported(), "AMX": torch.cpu._is_amx_tile_supported()}


def name(device: torch.device) -> str:
    """Return the name of the device for records: that of the GPU, or the CPU's instruction sets that select kernels."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    sets = (name for name, has in _bf16_sets().items() if has)
    return " ".join(["CPU", torch.backends.cpu.get_cpu_capability(), *sets])


def processor() -> str:
    """Return the model of the CPU, as Linux names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()  # for example on ARM
