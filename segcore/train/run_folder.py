"""Folders for the checkpoints of training runs, each named by a fingerprint of all that its result depends on.

So a checkpoint from different parameters, data or code is never used. One process at a time holds a folder. The last
state of a complete run stays until DVC has stored its model: if DVC fails at the end of the stage, nothing is lost.
"""

import errno
import fcntl
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from segcore.files.model import MODEL
from segcore.network import device
from segcore.runtime.console import say
from segcore.runtime.errors import UserError
from segcore.train.checkpoint import DIGEST, Checkpoints

CHECKPOINTS = Path("data/checkpoints")
INPUTS = "inputs.json"  # the file with what the run depends on
UNUSED_SECONDS = 7 * 24 * 3600  # seconds after which the checkpoints of other runs are removed
LOCK_TIMEOUT = 5.0  # seconds to wait for a process that holds the checkpoints: it may be saving its last one
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # errors of a file system that has no locks
# Prefixes of the environment variables that make libraries choose different kernels, which may round differently.
SETTINGS = ("ATEN_", "CUBLAS_", "CUDNN_", "DNNL_", "MKL_", "NVIDIA_", "ONEDNN_", "TORCH_")
SHOWN = 3  # differences between two runs in a message
SHOWN_VALUES = 50  # characters of two values, at most, to show them; checksums have more

Inputs = dict[str, Any]


def run_inputs(about: dict[str, Any], script: Path) -> Inputs:
    """Return all that the result of a run depends on.

    ``about`` has the parameters, the data, the versions of the libraries and the device. To these are added the code of
    ``script`` and of its imports from segcore, the version of Python, the processor, and the environment variables that
    choose kernels.
    """
    files = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("segcore.")}
    code = {name: Path(file) for name, file in files.items() if file} | {"script": script}
    return {
        "about": about,
        "code": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in code.items()},
        "python": platform.python_version(),
        "processor": device.processor(),
        "settings": {
            name: value
            for name, value in os.environ.items()
            if name.startswith(SETTINGS) and not name.endswith("_LOG_LEVEL")
        },
    }


@contextmanager
def hold(inputs: Inputs, root: Path | None = None) -> Iterator[Checkpoints]:
    """Yield the checkpoints of the run that depends on ``inputs``, locked for this process.

    They are below ``root``: :data:`CHECKPOINTS` in DVC's root, also for an experiment in a temporary folder. They are
    removed first if DVC has stored the model of this run, or the model is the stage's output: then the run is repeated
    on purpose, for example by ``dvc repro --force``. Checkpoints of other runs are removed once DVC has stored their
    model, or a week after they were last written, unless a process holds them.

    Environment: ``SEGCORE_CHECKPOINT_SECONDS``, the time between two checkpoints.

    Raises:
        UserError: if a different process holds them (the message has its id), or the environment variable is not a
            number of seconds.
    """
    interval = _interval()
    root = root or Path(os.environ.get("DVC_ROOT", ".")) / CHECKPOINTS
    text = json.dumps(inputs, sort_keys=True)
    folder = root / hashlib.sha256(text.encode()).hexdigest()[:32]
    root.mkdir(parents=True, exist_ok=True)
    with _locked(folder, LOCK_TIMEOUT):
        _remove_unused(root)
        if _has_stored(folder) or _is_in_place(folder):
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        with suppress(OSError):  # for example on a full disk, where training can go on
            (folder / INPUTS).write_text(text)
        checkpoints = Checkpoints(folder, interval)
        try:
            yield checkpoints
        finally:
            if not checkpoints.any:
                _remove(folder)


def _has_stored(folder: Path) -> bool:
    """Return whether DVC has stored the model of this run: in its cache, or with ``--no-commit`` in dvc.lock alone."""
    note, lock = folder / DIGEST, Path("dvc.lock")
    if not note.exists():
        return False
    model = note.read_text()
    if lock.exists() and lock.stat().st_mtime > note.stat().st_mtime and model in lock.read_text(errors="replace"):
        return True
    cache = _cache()
    return cache is not None and (cache / "files/md5" / model[:2] / model[2:]).exists()


@functools.cache
def _cache() -> Path | None:
    """Return the folder of DVC's cache, or ``None`` without DVC."""
    done = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True)
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def _is_in_place(folder: Path) -> bool:
    """Return whether the model of this run is the stage's output. DVC removes that before it runs the stage."""
    note = folder / DIGEST
    return note.exists() and MODEL.exists() and hashlib.md5(MODEL.read_bytes()).hexdigest() == note.read_text()


def describe_similar(checkpoints: Checkpoints) -> Iterator[str]:
    """Yield a line per interrupted run with the same parameters and data whose checkpoints cannot be used, and why."""
    for folder in checkpoints.folder.parent.iterdir():
        if folder == checkpoints.folder or (folder / DIGEST).exists():
            continue
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # just removed, or damaged
            theirs, ours = (json.loads((run / INPUTS).read_bytes()) for run in (folder, checkpoints.folder))
            if not Checkpoints(folder).any:
                continue
            if all(theirs["about"][key] == ours["about"][key] for key in ("params", "md5", "init")):
                names = list(_differences(theirs, ours))
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                yield (
                    f"{folder}: checkpoints of the same parameters and data are not used, because that run "
                    f"differs in {', '.join(names[:SHOWN])}{more}"
                )


def check_same(processes: list[Inputs]) -> None:
    """Check that all processes of a training have the same parameters, data, code and libraries.

    Raises:
        UserError: if not, as on a machine with a different copy of the data or of the repository.
    """
    for rank, inputs in enumerate(processes):
        names = [name for part in ("about", "code") for name in _differences(processes[0][part], inputs[part])]
        if names:
            raise UserError(
                f"process {rank} differs from process 0 in {', '.join(names[:SHOWN])}: all need the same parameters, "
                "data, code, libraries, kind of device and number of threads (SEGCORE_THREADS)"
            )


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the leaves that differ, with both values if they are short."""
    for key in sorted(theirs.keys() | ours.keys()):
        before, here = theirs.get(key), ours.get(key)
        if isinstance(before, dict) and isinstance(here, dict):
            yield from _differences(before, here)
        elif before != here:
            yield key if len(f"{before}{here}") > SHOWN_VALUES else f"{key} ({before}, here {here})"


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
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                if patience:
                    missing = f"this file system has no locks ({error.strerror})"
                    say(f"{path}: {missing}; do not start the same run twice at the same time")
            if os.fstat(file.fileno()).st_nlink == 0:  # its holder has removed it in the meantime
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            return


def _remove_unused(root: Path) -> None:
    for lock in root.glob("*.lock"):
        folder = lock.with_suffix("")
        with suppress(UserError, OSError, ValueError):  # locked, of a different user, or already removed
            written = max(path.stat().st_mtime for path in (lock, folder) if path.exists())
            if time.time() - written > UNUSED_SECONDS or _has_stored(folder):
                with _locked(folder, patience=0):
                    _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
