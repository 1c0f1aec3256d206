"""A copy of this checkout, in which stages and benchmarks run without DVC and with changed parameters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import yaml

from segcore.files.description import SETS

ROOT = Path(__file__).parent.parent
DATASET = SETS / "idd_lite.yaml"
CODE = ("segcore", "stages", "benchmarks", "tests", "pyproject.toml", "data/random_start.yaml", str(SETS))


class Checkout:
    """The copy, at :attr:`root`."""

    def __init__(self, root: Path, source: Path, dataset: Path = DATASET, **changes: dict[str, Any]) -> None:
        """Copy the code to ``root``, and let fetch read ``source``, which ``dataset`` describes.

        Its parameters have ``changes`` of these sections.
        """
        self.root = root
        self._params = yaml.safe_load((ROOT / "params.yaml").read_text())
        self._params["fetch"] = {"source": str(source.absolute()), "dataset": str(dataset), "sha256": None}
        self._params = self._changed(changes)
        for name in CODE:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(ROOT / name, root / name)
        self.set()

    def set(self, **changes: dict[str, Any]) -> None:
        """Write params.yaml, with ``changes`` of its sections that hold until the next call."""
        (self.root / "params.yaml").write_text(yaml.safe_dump(self._changed(changes)))

    def _changed(self, changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {name: section | changes.get(name, {}) for name, section in self._params.items()}

    def start(
        self, *command: object, quiet: bool = False, log: IO[str] | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start ``python -m COMMAND``.

        Its stdout is a pipe, and so is its stderr if ``quiet``, else it is shown. With ``log``, both go there, and the
        process leads a group of its own.
        """
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.root,
            env=os.environ | environment,
            stdout=log or subprocess.PIPE,
            stderr=log or (subprocess.PIPE if quiet else None),
            text=True,
            start_new_session=log is not None,
        )
