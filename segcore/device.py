"""Where torch computes: device, threads, precision, and the settings that make a run repeatable bit for bit."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from segcore.console import UserError
from segcore.workers import thread_count


def find_device() -> torch.device:
    """The device that ``SEGCORE_DEVICE`` names (cpu, cuda, cuda:1), else CUDA when there is one, else the CPU.

    Raises:
        UserError: if the name is not of that form, or there is no such device.
    """
    wanted = os.environ.get("SEGCORE_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"SEGCORE_DEVICE: cpu, cuda or cuda:N was expected; it is {wanted!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"SEGCORE_DEVICE={wanted}: torch sees {torch.cuda.device_count()} CUDA devices here; check the driver with "
            "nvidia-smi, or unset SEGCORE_DEVICE to use what there is"
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def prepare(device: torch.device) -> None:
    """Fix the number of CPU threads and ask for deterministic kernels, before anything is computed."""
    torch.set_num_threads(thread_count())
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
        torch.cuda.set_device(device)
    # As use_deterministic_algorithms(True), without the second that it spends on importing the compiler.
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs a pass over each tensor
    torch.backends.cudnn.benchmark = False  # its choice of kernel may differ from run to run
    torch.backends.cudnn.allow_tf32 = False  # fp32 is to mean fp32; convolutions would take 10 bits of 23


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Turn a device that runs out of memory into a UserError that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(f"the device is out of memory: {advice}") from None


def usable_precision(wanted: str, device: torch.device) -> str:
    """``bf16`` or ``fp32``: what was wanted, but fp32 where the hardware has no bf16."""
    if wanted == "bf16" and not _has_bf16(device):
        return "fp32"
    return wanted


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # On AVX-512 without these oneDNN imitates bf16: 2.5 times as slow as fp32.
    imitated = torch.cpu._is_avx512_supported() and not any(_bf16_sets().values())
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and not imitated


def _bf16_sets() -> dict[str, bool]:
    """The instruction sets of x86 for bf16 that the CPU may have."""
    return {"BF16": torch.cpu._is_avx512_bf16_supported(), "AMX": torch.cpu._is_amx_tile_supported()}


def name(device: torch.device) -> str:
    """What computes, for the records: the name of the card, or the CPU's instruction sets that choose kernels."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    sets = (name for name, has in _bf16_sets().items() if has)
    return " ".join(["CPU", torch.backends.cpu.get_cpu_capability(), *sets])


def processor() -> str:
    """The model of the CPU, as Linux names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()  # as on ARM
