"""Choose the number of threads of a stage, and map a function over items in threads, in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from math import ceil, inf
from pathlib import Path
from typing import TypeVar

from segcore.runtime.processes import local_count, whole_number

A = TypeVar("A")
B = TypeVar("B")


def thread_count(sharing: int | None = None) -> int:
    """Return ``SEGCORE_THREADS`` if it is set, else the number of cores whose time this process may use.

    Args:
        sharing: the number of processes that share these cores; by default those that train together here.

    Raises:
        UserError: if it is set to anything but a whole number of at least 1.
    """
    cores = ceil(min(len(os.sched_getaffinity(0)), cpu_quota(Path("/"))))
    return whole_number("SEGCORE_THREADS") or max(1, cores // (sharing or local_count()))


def cpu_quota(root: Path) -> float:
    """Return how many cores' time the cgroup of this process and those above it allow, for example in a container.

    It is infinite if nothing limits it. In a container, /sys/fs/cgroup may be the container's own cgroup, and
    /proc/self/cgroup may have a path that exists only on the host.

    Source: cpu.max in https://docs.kernel.org/admin-guide/cgroup-v2.html, and for version 1
    https://docs.kernel.org/scheduler/sched-bwc.html.
    """
    quota = inf
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                folder = root / "sys/fs/cgroup" / ("cpu" if controllers else "")  # version 2 names no controllers
                for part in ("", *path.split("/")):
                    folder /= part
                    quota = min(quota, _quota(folder))
    return quota


def _quota(cgroup: Path) -> float:
    """Return how many cores' time one cgroup allows; infinite if it has no limit."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota) / int(period)  # the quota may be "max"
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (int((cgroup / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else inf  # -1 stands for no limit
    return inf


def map_in_order(
    function: Callable[[A], B], items: Iterable[A], ahead: int | None = None, threads: int | None = None
) -> Generator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed in ``threads`` that run ``ahead`` items ahead.

    By default there are :func:`thread_count` threads, and four items ahead for each.

    Threads suffice: Pillow releases the interpreter lock while it decodes, resizes and encodes. The threads end
    when the iterator is closed.
    """
    threads = threads or thread_count()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > (4 * threads if ahead is None else ahead):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
