"""Stages as processes, as DVC runs them, and small helpers for tests of processes."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from segcore.runtime.signals import STOP_SIGNALS

ROOT = Path(__file__).resolve().parent.parent.parent

T = TypeVar("T")


def run_stage(
    name: str, folder: Path, *arguments: str, file_limit: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m stages.NAME`` in ``folder``; ``file_limit``, in bytes, stands for a full disk."""
    with start_stage(name, folder, *arguments, file_limit=file_limit, **environment) as process:
        try:
            stdout, stderr = process.communicate(timeout=120)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start_stage(
    name: str, folder: Path, *arguments: str, file_limit: int | None = None, **environment: str
) -> subprocess.Popen[str]:
    """Start a stage as :func:`run_stage` does, and return while it runs."""

    def prepare() -> None:
        heed_signals()
        if file_limit is not None:  # Python ignores SIGXFSZ, so a write beyond the limit fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])  # which may have packages
    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{name}", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def heed_signals() -> None:
    """Give the stop signals their default action: the tests themselves may run under ``nohup``."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def git(*arguments: str) -> str:
    """Return what git prints in the working folder."""
    return subprocess.check_output(["git", *arguments], text=True, stderr=subprocess.DEVNULL).strip()


def wait_until(condition: Callable[[], T], seconds: float = 60, pause: float = 0.002) -> T:
    """Call ``condition`` again and again, with a pause between, and return its first result that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} seconds"
        time.sleep(pause)
    return found


def assert_fails(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Assert that it ended with exit code 1 and our message, and without a traceback."""
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
