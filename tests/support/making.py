"""The project's Makefile in the working folder, and programs that stand for real ones there."""

import subprocess
import sys
from pathlib import Path

from tests.support.workspace import ROOT

# Stands for the Python of the computer: the environments that it makes use that of the tests, and note what pip gets.
BUILD = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec "{python}" "$@"
mkdir -p .venv/bin
: > .venv/bin/activate
cat > .venv/bin/python << 'END'
#!/bin/sh
[ "$1 $2" = "-m pip" ] || exec "{python}" "$@"
echo "$@" >> .venv/pip
END
chmod +x .venv/bin/python
"""
PROJECT = ("Makefile", "pyproject.toml", "requirements.lock", "requirements-remotes.lock")  # what make needs


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


def build(path: Path) -> str:
    """Write a Python for `make install PYTHON=…` that takes no time and no network, and return its path."""
    return program(str(path), BUILD.format(python=sys.executable))
