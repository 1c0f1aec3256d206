"""Measure ``dvc push`` and ``dvc pull`` on real servers: ``python -m benchmarks.remotes ARCHIVE``.

The data are what fetch and preprocess make of IDD-Lite's archive, in a temporary copy of the pipeline: thousands of
small files and a few large ones. The servers are S3 and WebDAV by rclone and SSH by OpenSSH, on the loopback of this
machine: no network is in the figures, only the work of DVC, its plugin and the server.

``seconds`` is wall-clock time of the command. A push goes to an empty server, a pull to a fresh clone with an empty
cache; ``push again`` and ``pull again`` have nothing to do. DVC takes as many jobs as it does by default, but one with
WebDAV, where two that make the same folder at once fail.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import typer

from benchmarks import report
from benchmarks.checkout import ROOT
from tests.support.servers import SERVERS, Server, add_remote, missing
from tests.support.workspace import Workspace

Row = dict[str, Any]


def main(archive: Path) -> None:
    """Measure each kind of server that can be started here."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), archive)
    report.publish("remotes", "DVC remotes", rows, network="none: the servers are on this machine")


def measure(root: Path, archive: Path) -> list[Row]:
    """Return a row per server and command."""
    here = prepare(root / "here" / "workspace", archive)
    rows = []
    for kind in SERVERS:
        if reason := missing(kind):
            print(f"{kind}: {reason}", file=sys.stderr)
            continue
        with SERVERS[kind](root / f"server-{kind}") as server:
            rows += measure_server(here, server, root / kind)
    return rows


def prepare(root: Path, archive: Path) -> Workspace:
    """Return a copy of this repository in which DVC has run fetch and preprocess on the archive."""
    workspace = Workspace.create(root)
    parameters = workspace.root / "params.yaml"
    parameters.write_bytes((ROOT / "params.yaml").read_bytes())
    workspace.set_parameter("fetch.source", str(archive.absolute()))
    workspace.dvc("repro", "preprocess")
    workspace.commit("data")
    return workspace


def measure_server(here: Workspace, server: Server, folder: Path) -> list[Row]:
    """Return the rows of an empty server."""
    add_remote(here, server)
    seconds = {"push": seconds_of(here, "push"), "push again": seconds_of(here, "push")}
    folder.mkdir()
    colleague = here.clone(folder / "clone")
    add_remote(colleague, server)
    for what in ("pull", "pull again"):
        seconds[what] = seconds_of(colleague, "pull", "--allow-missing")
    assert sorted(colleague.outputs()) == sorted(here.outputs())
    files = server.files()
    size = sum(file.stat().st_size for file in files)
    return [
        {
            "server": server.kind,
            "jobs": server.options.get("jobs", "default"),
            "command": command,
            "files": len(files),
            "MB": round(size / 1e6, 1),
            "seconds": round(taken, 1),
            "MB/s": None if "again" in command else round(size / 1e6 / taken, 1),
        }
        for command, taken in seconds.items()
    ]


def seconds_of(workspace: Workspace, *command: str) -> float:
    """Return how long a command of DVC takes."""
    begun = time.perf_counter()
    workspace.dvc(*command)
    seconds = time.perf_counter() - begun
    print(f"{' '.join(command)}: {seconds:.1f} s", file=sys.stderr)
    return seconds


if __name__ == "__main__":
    typer.run(main)
