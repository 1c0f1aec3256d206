"""DVC's queue of experiments, worked on for real."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.running import wait_until
from tests.support.workspace import Workspace


@contextmanager
def queue_worker(workspace: Workspace) -> Iterator[None]:
    """Work on the queue, and leave no process behind."""
    workspace.dvc("queue", "start")
    try:
        yield
    finally:
        workspace.dvc("queue", "stop", "--kill")
        [pid_file] = (workspace.root / ".dvc/tmp/exps/celery").glob("*.pid")
        pid = int(pid_file.read_text())
        try:
            wait_until(lambda: not is_alive(pid), seconds=30)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def has_succeeded(workspace: Workspace, name: str) -> bool:
    """Whether the one queued experiment has ended; it must not have failed."""
    status = workspace.dvc("queue", "status")
    assert "Failed" not in status, workspace.dvc("queue", "logs", name)
    return "Success" in status


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
