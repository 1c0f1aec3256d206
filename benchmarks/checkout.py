"""A copy of this checkout, in which stages and benchmarks run without DVC and with changed parameters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from segcore.files.description import SETS

ROOT = Path(__file__).parent.parent
CODE = ("segcore", "stages", "benchmarks", "tests", "pyproject.toml", "data/random_start.yaml", str(SETS))


class Checkout:
    """The copy, at :attr:`root`."""

    def __init__(self, root: Path, source: Path, dataset: Path = SETS / "idd_lite.yaml") -> None:
        """Copy the code to ``root``, and let fetch read ``source``, which ``dataset`` describes."""
        self.root = root
        self._params = yaml.safe_load((ROOT / "params.yaml").read_text())
        self._params["fetch"] = {"source": str(source.absolute()), "dataset": str(dataset), "sha256": None}
        for name in CODE:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(ROOT / name, root / name)
        self.set()

    def set(self, **changes: dict[str, Any]) -> None:
        """Write params.yaml: the parameters of the original, with ``changes`` of its sections."""
        sections = {name: section | changes.get(name, {}) for name, section in self._params.items()}
        (self.root / "params.yaml").write_text(yaml.safe_dump(sections))

    def start(self, *command: object, quiet: bool = False, **environment: str) -> subprocess.Popen[str]:
        """Start ``python -m COMMAND``. Its stdout is a pipe, and so is its stderr if ``quiet``, else it is shown."""
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.root,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
        )
