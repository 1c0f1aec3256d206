"""Fixtures that several test modules share."""

import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from segcore.provenance.terminal import report
from tests.support.provenance_project import MODEL, Answer, Project
from tests.support.workspace import Trace, Workspace

# Tests run side by side, each on one core; several threads of torch would only wait for one another.
os.environ.setdefault("SEGCORE_THREADS", "1")
os.environ.pop("SEGCORE_PROCESSES", None)
if torch.cuda.is_available():  # stages would wait for one another's GPU; tests of CUDA name the device
    os.environ.setdefault("SEGCORE_DEVICE", "cpu")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # also where a test imports onnxruntime by itself
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with the longest tests first, so that at the end no core waits for a long one.

    Among them, those first that do not need the first run, for which all others wait.
    """
    rank: dict[Path, list[bool]] = {}
    for item in items:
        own = [item.get_closest_marker(name) is None for name in ("system", "slow")]
        rank[item.path] = min(rank.get(item.path, own), own)
    waiting = {item.path for item in items if "first_run" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (rank[item.path], item.path in waiting))


@pytest.fixture(scope="session")
def first_run(tmp_path_factory, worker_id) -> tuple[Workspace, dict[str, Trace]]:
    """A workspace where DVC has run all stages, the results committed, and what each stage was seen to do.

    The first process that needs it makes it; each process has a copy of its own.
    """
    own = tmp_path_factory.getbasetemp()
    shared = Workspace((own if worker_id == "master" else own.parent) / "first run" / "workspace")
    with FileLock(shared.root.parent.with_suffix(".lock")):
        if not shared.root.exists():
            Workspace.create(shared.root)
            shared.repro_traced()
            shared.commit("results")
    return shared.copy(tmp_path_factory.mktemp("finished") / "workspace"), shared.traces()


@pytest.fixture(scope="session")
def finished(first_run) -> Workspace:
    """A workspace where DVC has run all stages, the results committed. Tests leave it as it is."""
    return first_run[0]


@pytest.fixture(scope="session")
def traces(first_run) -> dict[str, Trace]:
    """What each stage was seen to do when DVC ran it."""
    return first_run[1]


@pytest.fixture
def workspace(finished, tmp_path) -> Workspace:
    """A copy of the finished workspace, to change."""
    return finished.copy(tmp_path / "workspace")


@pytest.fixture
def own_git(tmp_path, monkeypatch) -> None:
    """A new working folder, in which git has no configuration but a name and an address, and finds no repository."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = {"CONFIG_GLOBAL": os.devnull, "CONFIG_NOSYSTEM": "1", "CEILING_DIRECTORIES": str(tmp_path.parent)}
    people = {f"{role}_{key}": f"{key}@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    for name, value in (settings | people).items():
        monkeypatch.setenv(f"GIT_{name}", value)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


@pytest.fixture
def project(own_git, monkeypatch) -> Project:
    """The working folder: see :mod:`tests.support.provenance_project`."""
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    monkeypatch.setenv("SEGCORE_THREADS", "1")
    return Project()


@pytest.fixture
def ask(capsys):
    """A function that runs the report on a model and returns what it printed."""

    def ask(path: Path = MODEL) -> Answer:
        report(path)
        return Answer(capsys.readouterr().out)

    return ask
