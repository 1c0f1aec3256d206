"""The project's Makefile in the working folder, and programs that stand for real ones there."""

import subprocess
from pathlib import Path

from tests.support.workspace import ROOT


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in the working folder."""
    command = ["make", "--silent", "--file", str(ROOT / "Makefile"), *arguments]
    kept = {"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(Path.cwd().parent)}
    return subprocess.run(command, capture_output=True, text=True, env=kept | environment)


def program(path: str, text: str) -> str:
    """Write a program, and return its path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    Path(path).chmod(0o755)
    return path
