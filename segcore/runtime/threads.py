"""Choose the number of threads of a stage, and map a function over items in threads, in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from segcore.runtime.errors import UserError

A = TypeVar("A")
B = TypeVar("B")


def thread_count() -> int:
    """Return ``SEGCORE_THREADS`` if it is set, else the number of cores this process may use.

    Raises:
        UserError: if it is set to anything but a whole number of at least 1.
    """
    wanted = os.environ.get("SEGCORE_THREADS")
    if wanted is None:
        return len(os.sched_getaffinity(0))
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UserError(f"SEGCORE_THREADS: a whole number of at least 1 was expected; it is {wanted!r}")
    return int(wanted)


def map_in_order(function: Callable[[A], B], items: Iterable[A]) -> Generator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed in threads that run only a few items ahead.

    Threads suffice: Pillow releases the interpreter lock while it decodes, resizes and encodes. The threads end
    when the iterator is closed.
    """
    threads = thread_count()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
