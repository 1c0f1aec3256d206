"""Rank and number of the processes that share a stage, from torchrun's environment variables.

Without torchrun there is one process.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from segcore.runtime.errors import Unanswered, UserError

ENDED = 3  # exit code of a process that torchrun has ended, while it waited to report an error
PATIENCE = 5.0  # seconds in which torchrun ends the other processes, once one has failed


def wanted() -> int:
    """Return ``SEGCORE_PROCESSES``, the number of processes to share a stage on this machine; 1 if it is not set.

    Raises:
        UserError: if it is set to anything but a whole number of at least 1.
    """
    return whole_number("SEGCORE_PROCESSES") or 1


def whole_number(variable: str) -> int | None:
    """Return what an environment variable is set to, or ``None`` if it is not set.

    Raises:
        UserError: if it is set to anything but a whole number of at least 1.
    """
    text = os.environ.get(variable)
    if text is not None and not (text.isdecimal() and int(text) > 0):
        raise UserError(f"{variable}: a whole number of at least 1 was expected; it is {text!r}")
    return int(text) if text else None


def is_worker() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def count() -> int:
    """Return the number of processes, those on other machines included."""
    return _from_torchrun("WORLD_SIZE", 1)


def rank() -> int:
    """Return the number of this process, counted from 0 through all machines."""
    return _from_torchrun("RANK", 0)


def local_count() -> int:
    """Return the number of processes on this machine."""
    return _from_torchrun("LOCAL_WORLD_SIZE", 1)


def local_rank() -> int:
    """Return the number of this process on this machine, counted from 0."""
    return _from_torchrun("LOCAL_RANK", 0)


def is_first() -> bool:
    """Return whether this is the process that puts outputs in place and speaks to the user."""
    return rank() == 0


@contextmanager
def one_error() -> Iterator[None]:
    """Let one process report why a stage failed.

    When one fails, the others fail, too: because it is gone, or with the same error.

    An error of the first process is raised at once. An error of any other process waits, so that torchrun can end that
    process before it reports. So does ``Unanswered`` in the first process.
    """
    try:
        yield
    except (UserError, OSError) as error:
        if isinstance(error, Unanswered) or not is_first():
            try:
                time.sleep(PATIENCE + min(rank(), 10) / 2)
            except BaseException:  # Stopped
                raise SystemExit(ENDED) from None
        raise


def _from_torchrun(name: str, default: int) -> int:
    return int(os.environ[name]) if is_worker() else default  # other launchers set the same names, for other programs
