"""A small copy of this repository, in which git and DVC run for real: 10 frames, 16×32 pixels, one epoch."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from dvc.repo import Repo

from tests.support import tiny
from tests.support.running import ROOT

COPIED = (
    ".dvc",
    ".dvcignore",
    ".gitignore",
    "data/.gitignore",
    "dvc.yaml",
    "params.yaml",
    "data/random_start.yaml",
    "data/sample.tar.gz",
    "data/sets",
    "segcore",
    "stages",
    "tests",
)
SMALL = {
    "preprocess.height": 16,
    "preprocess.width": 32,
    "train.epochs": 1,
    "train.batch_size": 2,
    "export.precision": "int8",  # reads the train images, too
    "render.frames": 1,
    "render.test_frames": 1,
}


@dataclass(frozen=True)
class Trace:
    """What one run of a stage did; see :mod:`tests.support.traced`."""

    read: list[str]
    written: list[str]
    imported: list[str]


class Workspace:
    """A folder with the pipeline in it. ``root.parent`` has to be a folder of its own, for DVC's own files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Nothing of the user's configuration, and nothing that leads to the code of another folder.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_", "PYTHON"))
        }
        kinds = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
        self.environment = inherited | {kind: str(root.parent / kind.lower()) for kind in kinds}
        self.environment |= {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "SEGCORE_DEVICE": "cpu",
            "SEGCORE_THREADS": "1",  # on so little data more threads only wait for each other
        }

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """Copy what git would commit, make it small, and commit it."""
        listed = subprocess.check_output(
            ["git", "ls-files", "-coz", "--exclude-standard", "--", *COPIED], cwd=ROOT, text=True
        )
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, root / name)
        workspace = cls(root)
        for parameter, value in SMALL.items():
            workspace.set_parameter(parameter, value)
        workspace.set_sample()
        workspace.git("init", "--quiet", "--initial-branch=main")
        workspace.sign()
        workspace.commit("code and parameters")
        return workspace

    def copy(self, root: Path) -> "Workspace":
        """A workspace in the same state, cache and git history included."""
        shutil.copytree(self.root, root, symlinks=True)
        return Workspace(root)

    def clone(self, root: Path, *options: str) -> "Workspace":
        """A clone, as of a repository on a server: without data, cache and experiments."""
        self.run("git", "clone", "--quiet", *options, f"file://{self.root}", str(root))
        clone = Workspace(root)
        clone.sign()
        return clone

    def sign(self) -> None:
        """Set the name and the address that commits have."""
        self.git("config", "user.name", "A. Tester")
        self.git("config", "user.email", "tester@example.org")

    def run(self, *command: str, **environment: str) -> str:
        """Run a command that has to succeed, and return what it wrote to stdout."""
        # Files, because a worker in the background would keep a pipe open.
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            done = subprocess.run(
                command, cwd=self.root, env=self.environment | environment, stdout=stdout, stderr=stderr, timeout=300
            )
            stdout.seek(0)
            stderr.seek(0)
            said = stdout.read()
            assert done.returncode == 0, f"{command}\n{said}\n{stderr.read()}"
        return said

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        return subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}")

    def repro(self) -> list[str]:
        """``dvc repro``: the stages that it ran, in order."""
        return stages_run(self.dvc("repro"))

    def repro_traced(self) -> None:
        """``dvc repro``, and note what each stage does, for :meth:`traces`."""
        reports = self.root.with_name("reports")
        reports.mkdir()
        # DVC starts stages with the `python` that it finds first.
        python = self.root.with_name("bin") / "python"
        python.parent.mkdir()
        python.write_text(
            f'#!/bin/sh\n[ "$1" = -m ] && exec "{sys.executable}" -m tests.support.traced "{reports}" "$2"\n'
        )
        python.chmod(0o755)
        self.run("dvc", "repro", PATH=f"{python.parent}{os.pathsep}{self.environment['PATH']}")

    def traces(self) -> dict[str, Trace]:
        """What each stage did in :meth:`repro_traced`."""
        reports = self.root.with_name("reports")
        return {file.stem: Trace(**json.loads(file.read_text())) for file in reports.glob("*.json")}

    def status(self) -> set[str]:
        """The stages that ``dvc status`` names, asked for in this process because that takes a tenth of the time."""
        with self.entered(), Repo() as repo:
            return set(repo.status())

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Give this process the folder and the environment of the workspace."""
        with mock.patch.dict(os.environ, self.environment, clear=True), contextlib.chdir(self.root):
            yield

    def parameters(self) -> dict[str, Any]:
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def set_parameter(self, name: str, value: Any) -> None:
        """Set ``section.leaf``."""
        parameters = self.parameters()
        section, leaf = name.split(".")
        assert leaf in parameters[section]
        parameters[section][leaf] = value
        path = self.root / "params.yaml"
        path.write_text(yaml.safe_dump(parameters, sort_keys=False))
        # Without a time in the future, git may miss a change within the second of a commit that keeps the size: DVC
        # writes git's index, too, and then git trusts the times.
        os.utime(path, (later := time.time() + 3600, later))

    def set_sample(self, train: int = 6, val: int = 2, test: int = 2) -> None:
        """Make data/sample.tar.gz an archive of so many frames of the built-in sample."""
        tiny.write_tar(self.root / "data/sample.tar.gz", tiny.scenes(train, val, test))

    def append(self, name: str, text: str = "\n# another comment\n") -> None:
        """Change a file by some text at its end."""
        with (self.root / name).open("a") as file:
            file.write(text)

    @contextlib.contextmanager
    def restored(self, *names: str) -> Iterator[None]:
        """Give files back their content afterwards."""
        saved = {name: (self.root / name).read_bytes() for name in names}
        try:
            yield
        finally:
            for name, content in saved.items():
                (self.root / name).write_bytes(content)

    def outputs(self) -> dict[str, bytes]:
        """All that the stages wrote, without checkpoints."""
        files = {
            f"{top}/{name}": data
            for top in ("data", "metrics")
            for name, data in tiny.contents(self.root / top).items()
        }
        others = (".gitignore", "data/checkpoints/", "data/sets/")
        return {
            name: data
            for name, data in files.items()
            if name not in COPIED and not any(part in name for part in others)
        }

    def remove_outputs(self) -> None:
        """Remove all that the stages wrote."""
        for folder in [*(self.root / "data").iterdir(), self.root / "metrics"]:
            if folder.is_dir() and folder.name != "sets":
                shutil.rmtree(folder)

    def give(self, name: str, other: "Workspace") -> None:
        """Copy a file or a folder to the same place in another workspace."""
        source, target = self.root / name, other.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)

    def lock(self) -> dict[str, Any]:
        """The stages of dvc.lock: what DVC has recorded of the last run, with all paths written out."""
        return yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]


def stages_run(said: str) -> list[str]:
    """The stages that DVC said it ran, in order."""
    return re.findall(r"^Running stage '(\w+)'", said, re.MULTILINE)
