"""Read a file of weights that may come from anybody: no code in it is run, and it cannot ask for much memory."""

import io
import re
import resource
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from segcore.runtime.errors import UserError

MAX_BYTES = 256 << 20
MAX_MEMORY = 1 << 30  # bytes to allocate while reading; a few bytes of a file can ask for any amount


class PlainType:
    """Stands for ``numpy.dtype`` in a file. With numpy's own, a file could make numpy use any number as a pointer.

    Raises:
        ValueError: if it is not a type of plain numbers, text or times.
    """

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[biufcSUmM]\d+", code):
            raise ValueError(f"GLOBAL numpy.dtype({code!r})")

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order."""


def plain_scalar(dtype: PlainType, data: bytes) -> None:
    """Stand for a numpy scalar in a file, for example the best score. Its value is not needed."""


# With the names that numpy 1 and numpy 2 write.
STAND_INS = [
    (PlainType, "numpy.dtype"),
    (plain_scalar, "numpy.core.multiarray.scalar"),
    (plain_scalar, "numpy._core.multiarray.scalar"),
]


def read(path: Path) -> Any:
    """Return what is in a ``.safetensors``, or what torch.save wrote, on the CPU; numpy scalars become ``None``.

    Raises:
        UserError: if the file is missing, too large or damaged, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise refusal(path, "there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise refusal(path, f"more than {MAX_BYTES:,} bytes; ERFNet's weights have about 8 million")
    data = path.read_bytes()
    try:
        with warnings.catch_warnings(), _bounded_memory(MAX_MEMORY), torch.serialization.safe_globals(STAND_INS):
            warnings.simplefilter("ignore")  # torch warns about formats that it can read
            if path.suffix == ".safetensors":
                return safetensors.torch.load(data)
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # its type depends on where the parser failed
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            reason = f"it holds a {refused[1]}, and only tensors are read, never code; save its state dict alone"
        else:
            reason = "empty, damaged, or neither from torch.save nor a .safetensors; only tensors are read, never code"
        raise refusal(path, reason) from None


def refusal(path: Path, reason: str) -> UserError:
    """Return the error that says why ``path`` cannot be used as ``train.init``."""
    return UserError(f"train.init: {path}: {reason}\nName a different file, or download or save this one again.")


@contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    """Let this process allocate at most ``size`` bytes more than it has; a larger allocation raises an error."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + size
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
