"""A disk that is soon full, without the rights of an administrator: a tmpfs in namespaces of its own."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path) -> Iterator[int | None]:
    """Mount a tmpfs of 128 MB at ``folder``, seen by one process only; give its id, or None if not allowed."""
    script = 'mount -t tmpfs -o size=128m none "$0" && echo mounted && exec cat'
    if shutil.which("unshare") is None:
        yield None
        return
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdin and holder.stdout
        yield holder.pid if holder.stdout.readline() else None
        holder.stdin.close()


def seen_by(holder: int, folder: Path) -> Path:
    """Return the path at which other processes find what the process ``holder`` sees at ``folder``."""
    return Path(f"/proc/{holder}/root", folder.relative_to("/"))


def enter(holder: int) -> None:
    """Enter the namespaces of the process ``holder``, which sees the disk."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in ("user", "mnt"):
        with Path(f"/proc/{holder}/ns/{kind}").open() as file:
            assert libc.setns(file.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
