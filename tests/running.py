"""A stage run for real, as DVC runs it: a process of its own, in a folder that has its inputs."""

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run_stage(
    name: str, folder: Path, *arguments: str, file_limit: int | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Run ``python -m stages.NAME`` in ``folder``; ``file_limit``, in bytes, stands for a full disk."""

    def limit() -> None:
        if file_limit is not None:  # Python ignores SIGXFSZ, so a write beyond the limit fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run(
        [sys.executable, "-m", f"stages.{name}", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
    )


def assert_fails(done: subprocess.CompletedProcess, message: str) -> None:
    """It ended with exit code 1 and our message, and without a traceback."""
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
