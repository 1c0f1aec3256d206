"""A stage run for real, as DVC runs it: a process of its own, in a folder that has its inputs."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")


def run_stage(
    name: str, folder: Path, *arguments: str, file_limit: int | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Run ``python -m stages.NAME`` in ``folder``; ``file_limit``, in bytes, stands for a full disk."""
    with start_stage(name, folder, *arguments, file_limit=file_limit, **environment) as process:
        try:
            stdout, stderr = process.communicate(timeout=120)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start_stage(
    name: str, folder: Path, *arguments: str, file_limit: int | None = None, **environment: str
) -> subprocess.Popen:
    """As :func:`run_stage`, and return while it runs."""

    def limit() -> None:
        if file_limit is not None:  # Python ignores SIGXFSZ, so a write beyond the limit fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{name}", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def git(*arguments: str) -> str:
    """What git says in the working folder."""
    return subprocess.check_output(["git", *arguments], text=True, stderr=subprocess.DEVNULL).strip()


def wait_until(condition: Callable[[], T], seconds: float = 60, pause: float = 0.002) -> T:
    """What ``condition`` gives, as soon as that is true; it is asked again and again, with a pause between."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(pause)
    return found


def assert_fails(done: subprocess.CompletedProcess, message: str) -> None:
    """It ended with exit code 1 and our message, and without a traceback."""
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
