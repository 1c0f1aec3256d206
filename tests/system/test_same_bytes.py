"""Every output of every stage has the same bytes in a different environment."""

import os
import pty
import subprocess
import threading

import pytest

from tests.support.workspace import Workspace

pytestmark = pytest.mark.system

# What must not matter: the time zone, the language, the order of hashes, the content of memory before it is used.
OTHERWISE = {
    "TZ": "Asia/Kolkata",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "7",
    "PYTHONUNBUFFERED": "1",
    "MALLOC_PERTURB_": "165",
    "COLUMNS": "40",
    "TERM": "xterm-256color",
}


def test_the_whole_graph_in_a_different_folder_and_environment(finished, tmp_path):
    workspace = Workspace.create(tmp_path / "another folder, größer" / "workspace")
    workspace.environment |= OTHERWISE
    # The number of threads may differ where they only read, draw and write, but not where they compute.
    threads_of = {"preprocess": "3", "evaluate": "1", "export": "1", "describe": "3", "render": "4", "card": "2"}
    for stage, threads in threads_of.items():
        run_on_a_terminal(workspace, "dvc", "repro", "--verbose", stage, SEGCORE_THREADS=threads)
    assert workspace.outputs() == finished.outputs()
    assert workspace.lock() == finished.lock()


def run_on_a_terminal(workspace: Workspace, *command: str, **environment: str) -> None:
    """Run a command that has to succeed, on a terminal, where it shows progress bars, and with a different umask."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=workspace.root,
        env=workspace.environment | environment,
        stdin=end,
        stdout=end,
        stderr=end,
        umask=0o077,
    )
    os.close(end)
    said: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(terminal, said))
    reader.start()
    assert process.wait(300) == 0, b"".join(said).decode()
    reader.join()


def read_all(terminal: int, said: list[bytes]) -> None:
    try:
        while data := os.read(terminal, 65536):
            said.append(data)
    except OSError:  # Linux tells so that the other end was closed
        os.close(terminal)
