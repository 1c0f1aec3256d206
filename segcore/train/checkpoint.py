"""Checkpoints of one training run: files in a folder, of which the newest intact one is used.

A checkpoint is a safetensors file, which cannot hold code; its name has the step and a checksum of its content.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from segcore.files.model import pack, unpack
from segcore.runtime.console import say

INTERVAL = 10.0  # seconds between two checkpoints
MAX_TIME_SHARE = 0.01  # of the time, at most, for writing checkpoints; the interval grows if they take longer
KEPT = 2  # the one before the last is used if the last is damaged
DIGEST = "model.md5"  # the file with the MD5 of the model that the run made


class Checkpoints:
    """The checkpoints of one run in ``folder``, with ``interval`` seconds between them.

    By default it is :data:`INTERVAL`, or longer, so that writing them takes at most :data:`MAX_TIME_SHARE` of the time.
    """

    def __init__(self, folder: Path, interval: float | None = None) -> None:
        self.folder = folder
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
        path = self.folder / f"{about['step']:09}-{_checksum(data)}.safetensors"
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
        for partial in self.folder.glob("*.partial"):  # from a process that was killed while it wrote
            partial.unlink()
        for path in self._newest_first():
            with suppress(OSError):  # for example on a bad disk
                if _checksum(path.read_bytes()) == path.stem.partition("-")[2]:
                    return unpack(path)
            say(f"{path}: damaged, so it is not used")
            with suppress(OSError):
                path.unlink()
        return None

    def finish(self, model: Path) -> None:
        """Remove all checkpoints but the last, and note the MD5 of the model that the run has made."""
        for old in self._newest_first()[1:]:
            with suppress(OSError):
                old.unlink()
        with suppress(OSError):  # without the note, the run counts as interrupted
            (self.folder / DIGEST).write_text(hashlib.md5(model.read_bytes()).hexdigest())

    @property
    def any(self) -> bool:
        """Whether there is a checkpoint, intact or not."""
        return bool(self._newest_first())

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"), reverse=True)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
