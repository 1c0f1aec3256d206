"""How many threads a stage uses, work spread over them in order, and how much memory some work may take."""

import os
import resource
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from segcore.console import UserError

A = TypeVar("A")
B = TypeVar("B")


def thread_count() -> int:
    """``SEGCORE_THREADS`` where it is set, else the cores that this process may use."""
    wanted = os.environ.get("SEGCORE_THREADS")
    if wanted is None:
        return len(os.sched_getaffinity(0))
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UserError(f"SEGCORE_THREADS: a whole number from 1 on was expected; it is {wanted!r}")
    return int(wanted)


def map_in_order(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed in threads that run only a few items ahead.

    Threads suffice: Pillow gives up the interpreter lock while it decodes, resizes and encodes. They end when the
    iterator is closed; who has them write closes it (``contextlib.closing``) before what they write to is removed.
    """
    threads = thread_count()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def bounded_memory(size: int) -> Iterator[None]:
    """Let this process take at most ``size`` bytes more than it has; beyond, taking memory fails as an error."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + size
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
