"""Checkpoints of a training run, so that one that was killed goes on where it was.

They lie in a folder named by a fingerprint of all that the run's result depends on, so that none is ever used for
another run. One process at a time holds that folder. A checkpoint is a safetensors file, which holds no code to be run;
its name has the step and a checksum of its content.
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

from segcore import device
from segcore.console import UserError, say
from segcore.weights import pack, unpack

INTERVAL = 10.0  # seconds between two checkpoints,
SHARE = 0.01  # or more, so that they take at most this share of the time
KEPT = 2  # the one before, too, for when the last one is damaged
UNUSED = 7 * 24 * 3600  # seconds after which the checkpoints of another run are removed
PATIENCE = 5.0  # seconds to wait for a process that holds the checkpoints, as it may just be saving its last one
# Settings of the libraries that choose other kernels, and so other roundings.
SETTINGS = ("ATEN_", "CUBLAS_", "CUDNN_", "DNNL_", "MKL_", "NVIDIA_", "ONEDNN_", "TORCH_")


class Checkpoints:
    """The checkpoints of one run, in ``folder``; :func:`hold` gives them."""

    def __init__(self, folder: Path, interval: float | None) -> None:
        self._folder = folder
        self._wanted = interval
        self._next = time.monotonic() + (INTERVAL if interval is None else interval)

    @property
    def due(self) -> bool:
        """Whether it is time for another one."""
        return time.monotonic() >= self._next

    def save(self, state: Callable[[], tuple[dict[str, Tensor], dict[str, Any]]]) -> bool:
        """Write one of ``state()``: contiguous tensors, and what JSON can hold, with the number of the ``step``.

        Where that fails it says so and returns False; training can do without.
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
            self._next = now + (max(INTERVAL, (now - begun) / SHARE) if self._wanted is None else self._wanted)
        for old in self._newest_first()[KEPT:]:
            with suppress(OSError):
                old.unlink()
        return True

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest that is whole, or None. It says so of those that are not, and removes them."""
        for partial in self._folder.glob("*.partial"):  # the process was killed while it wrote
            partial.unlink()
        for path in self._newest_first():
            with suppress(OSError):  # as where the disk is bad
                data = path.read_bytes()
                if _checksum(data) == path.stem.partition("-")[2]:
                    return unpack(data)
            say(f"{path}: damaged, so it is not used")
            with suppress(OSError):
                path.unlink()
        return None

    def remove(self) -> None:
        """Remove them all: the run is done."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"), reverse=True)


def fingerprint(about: dict[str, Any], script: Path) -> str:
    """A name for the run that ``about`` describes, with the code of ``script`` and its imports, on this machine."""
    code = {name: Path(module.__file__) for name, module in sys.modules.items() if name.startswith("segcore.")}
    code["script"] = script
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
def hold(root: Path, name: str) -> Iterator[Checkpoints]:
    """Give the checkpoints of the run with this fingerprint, below ``root``, to this process alone.

    Those of other runs, when nobody holds them, are removed a week after they were last written.

    Environment: ``SEGCORE_CHECKPOINT_SECONDS``, the time between two checkpoints.

    Raises:
        UserError: if another process holds them, with its number.
    """
    interval = _interval()
    folder = root / name
    root.mkdir(parents=True, exist_ok=True)
    with _locked(folder, PATIENCE):
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
    """Be the one process that works with ``folder``, which need not be there."""
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
                        f"{folder}: another process is training this very run, {file.read()}; wait for it, or stop it "
                        "with `kill` and run this again: it goes on from there"
                    ) from None
                time.sleep(0.1)
                continue
            if os.fstat(file.fileno()).st_nlink == 0:  # who held it removed it, and a third one may have made it anew
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            return


def _remove_unused(root: Path) -> None:
    for lock in root.glob("*.lock"):
        folder = lock.with_suffix("")
        with suppress(UserError, OSError):  # held; or of another user, or removed by another process meanwhile
            written = max(path.stat().st_mtime for path in (lock, folder) if path.exists())
            if time.time() - written > UNUSED:
                with _locked(folder, patience=0):
                    _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
