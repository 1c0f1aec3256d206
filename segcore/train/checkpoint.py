"""Checkpoints of a training run, so that a killed run continues from the last one.

They are in a folder named by a fingerprint of all that the result of the run depends on: a checkpoint from different
parameters, data or code is never used. One process at a time holds that folder. A checkpoint is a safetensors file,
which cannot hold code; its name has the step and a checksum of its content.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from segcore.files.model import pack, unpack
from segcore.network import device
from segcore.runtime.console import say
from segcore.runtime.errors import UserError

CHECKPOINTS = Path("data/checkpoints")
INTERVAL = 10.0  # seconds between two checkpoints
MAX_TIME_SHARE = 0.01  # of the time, at most, for writing checkpoints; the interval grows if they take longer
KEPT = 2  # the one before is used when the last one is damaged
UNUSED_SECONDS = 7 * 24 * 3600  # seconds after which the checkpoints of other runs are removed
LOCK_TIMEOUT = 5.0  # seconds to wait for a process that holds the checkpoints: it may be saving its last one
# Prefixes of the environment variables that make libraries choose different kernels, which may round differently.
SETTINGS = ("ATEN_", "CUBLAS_", "CUDNN_", "DNNL_", "MKL_", "NVIDIA_", "ONEDNN_", "TORCH_")


class Checkpoints:
    """The checkpoints of one run; use :func:`hold` to get them."""

    def __init__(self, folder: Path, interval: float | None) -> None:
        self._folder = folder
        self._wanted = interval
        self._next = time.monotonic() + (INTERVAL if interval is None else interval)

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._next

    def save(self, state: Callable[[], tuple[dict[str, Tensor], dict[str, Any]]]) -> bool:
        """Write the result of ``state()``: contiguous tensors, and values for JSON, among them ``step``.

        Return whether that succeeded. A failure is printed and not raised: training can go on without checkpoints.
        """
        begun = time.monotonic()
        tensors, about = state()
        data = pack(tensors, about)
        path = self._folder / f"{about['step']:09}-{_checksum(data)}.safetensors"
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            say(f"{path}: no checkpoint could be written: {error.strerror}")
            return False
        finally:
            now = time.monotonic()
            self._next = now + (max(INTERVAL, (now - begun) / MAX_TIME_SHARE) if self._wanted is None else self._wanted)
        for old in self._newest_first()[KEPT:]:
            with suppress(OSError):
                old.unlink()
        return True

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest checkpoint that is intact, or ``None``. Damaged ones are reported and removed."""
        for partial in self._folder.glob("*.partial"):  # from a process that was killed while it wrote
            partial.unlink()
        for path in self._newest_first():
            with suppress(OSError):  # for example on a bad disk
                if _checksum(path.read_bytes()) == path.stem.partition("-")[2]:
                    return unpack(path)
            say(f"{path}: damaged, so it is not used")
            with suppress(OSError):
                path.unlink()
        return None

    def remove(self) -> None:
        """Remove all checkpoints of the run, once it is complete."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"), reverse=True)


def fingerprint(about: dict[str, Any], script: Path) -> str:
    """Return a name for the run that ``about`` describes, with the code of ``script`` and its imports, on this machine.

    It covers the parameters, the data, the code, the versions of Python and the libraries, and the processor.
    """
    files = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("segcore.")}
    code = {name: Path(file) for name, file in files.items() if file} | {"script": script}
    return _checksum(
        json.dumps(
            {
                "about": about,
                "code": {name: _checksum(path.read_bytes()) for name, path in code.items()},
                "python": platform.python_version(),
                "processor": device.processor(),
                "settings": {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)},
            },
            sort_keys=True,
        ).encode()
    )


@contextmanager
def hold(name: str, root: Path | None = None) -> Iterator[Checkpoints]:
    """Yield the checkpoints of the run with the fingerprint ``name``, locked for this process.

    They are below ``root``: :data:`CHECKPOINTS` in DVC's root, also for an experiment in a temporary folder. Those of
    other runs are removed a week after they were last written, unless a process holds them.

    Environment: ``SEGCORE_CHECKPOINT_SECONDS``, the time between two checkpoints.

    Raises:
        UserError: if a different process holds them; the message has its id.
    """
    interval = _interval()
    root = root or Path(os.environ.get("DVC_ROOT", ".")) / CHECKPOINTS
    folder = root / name
    root.mkdir(parents=True, exist_ok=True)
    with _locked(folder, LOCK_TIMEOUT):
        _remove_unused(root)
        folder.mkdir(exist_ok=True)
        try:
            yield Checkpoints(folder, interval)
        finally:
            if not any(folder.glob("*")):
                _remove(folder)


def _interval() -> float | None:
    wanted = os.environ.get("SEGCORE_CHECKPOINT_SECONDS")
    if wanted is None:
        return None
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise UserError(f"SEGCORE_CHECKPOINT_SECONDS: a number of seconds was expected; it is {wanted!r}")
    return seconds


@contextmanager
def _locked(folder: Path, patience: float) -> Iterator[None]:
    """Lock ``folder``, which need not exist, for this process."""
    path = _lock_of(folder)
    deadline = time.monotonic() + patience
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    raise UserError(
                        f"{folder}: process {file.read()} is training the same run; wait for it, or stop it with "
                        "`kill` and start this again: it goes on from there"
                    ) from None
                time.sleep(0.1)
                continue
            if os.fstat(file.fileno()).st_nlink == 0:  # its holder removed it meanwhile
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            return


def _remove_unused(root: Path) -> None:
    for lock in root.glob("*.lock"):
        folder = lock.with_suffix("")
        with suppress(UserError, OSError):  # locked, of a different user, or already removed
            written = max(path.stat().st_mtime for path in (lock, folder) if path.exists())
            if time.time() - written > UNUSED_SECONDS:
                with _locked(folder, patience=0):
                    _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
