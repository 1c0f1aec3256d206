"""Find NVIDIA GPUs that torch cannot use, and the reason, so that nobody trains on the CPU without knowing it."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

# What torch raises if it cannot initialise CUDA or run a kernel.
FAULTS = (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError)
DISPLAY, NVIDIA = "0x03", "0x10de"  # class and vendor of PCI; the sound of a graphics card has the class 0x04
LENT = {"vfio-pci", "pci-stub", "xen-pciback"}  # drivers of devices that belong to a virtual machine
ON_WSL = "dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"  # dxg is there for GPUs of any vendor


def unused_gpus() -> list[str]:
    """Return the NVIDIA GPUs of this machine, for a message, unless the environment hides them."""
    gpus = find_gpus(Path("/"))
    return [] if is_hidden(os.environ, gpus) else gpus


def find_gpus(root: Path) -> list[str]:
    """Return the device files of NVIDIA GPUs below ``root``, or if there are none, the PCI devices with their driver.

    A container without a GPU has no device files, but shows the PCI devices of its host.
    """
    with suppress(OSError):
        if files := [path for path in (root / "dev").iterdir() if re.fullmatch(r"nvidia\d+", path.name)]:
            return sorted(f"/dev/{path.name}" for path in files)
        if all((root / name).exists() for name in ON_WSL):
            return ["/dev/dxg"]
    gpus = []
    with suppress(OSError):
        for device in sorted((root / "sys/bus/pci/devices").iterdir()):
            with suppress(OSError):
                driver = (device / "driver").readlink().name if (device / "driver").is_symlink() else "none"
                kind, vendor = ((device / name).read_text().strip() for name in ("class", "vendor"))
                if kind.startswith(DISPLAY) and vendor == NVIDIA and driver not in LENT:
                    gpus.append(f"PCI {device.name}, kernel driver {driver}")
    return gpus


def is_hidden(environ: Mapping[str, str], gpus: list[str]) -> bool:
    """Return whether the environment asks for no GPU.

    CUDA_VISIBLE_DEVICES does so if it names none, for example with -1. NVIDIA_VISIBLE_DEVICES tells the container
    runtime which GPUs to give to a container. It counts only if there are no device files, because it is also ``void``
    where GPUs were given in a different way, by CDI.
    """
    if not re.match(r"\s*(\d|GPU-|MIG-)", environ.get("CUDA_VISIBLE_DEVICES", "0")):
        return True
    has_files = any(gpu.startswith("/dev/") for gpu in gpus)
    return not has_files and environ.get("NVIDIA_VISIBLE_DEVICES", "all") in ("", "void", "none")


def explain_no_cuda() -> str:
    """Return why torch has no CUDA device here, and what to do."""
    have = f"this torch, {torch.__version__}, is made"
    if torch.version.hip or not torch.version.cuda:
        made = "for AMD's GPUs" if torch.version.hip else "without CUDA"
        return f"{have} {made}; install one for CUDA as https://pytorch.org/get-started says"
    remedy = (
        f"{have} for CUDA {torch.version.cuda}; `nvidia-smi` shows which CUDA the driver supports. Install or update "
        "the driver, or install a torch for its CUDA from https://download.pytorch.org/whl. To give GPUs to a "
        "container: docker run --gpus all."
    )
    try:
        torch.cuda.init()
    except FAULTS as error:
        return f"{first_line(error)}\n{remedy}"
    return f"torch.cuda.is_available() is false\n{remedy}"


def explain_fault(error: Exception, device: torch.device) -> str:
    """Return why a GPU could not run its first kernel, and what to do."""
    if "no kernel image" not in str(error):
        return f"{first_line(error)}\n`nvidia-smi` shows the state of the GPU, and which processes use it"
    needed = "".join(map(str, torch.cuda.get_device_capability(device)))
    return (
        f"{first_line(error)}\n{torch.cuda.get_device_name(device)} needs kernels for sm_{needed}; this torch, "
        f"{torch.__version__}, has {', '.join(torch.cuda.get_arch_list())}: install one that has them from "
        "https://download.pytorch.org/whl"
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error; torch adds advice for programmers."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
