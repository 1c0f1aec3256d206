"""Being asked to stop, by a signal or by the end of DVC, at a moment that suits."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from segcore.console import STOP_SIGNALS

PARENT = os.getppid()  # taken before the slow imports, in which it may end


@contextmanager
def stop_requests() -> Iterator[Callable[[], signal.Signals | None]]:
    """Give a function that says by which signal this process was asked to stop, if it was.

    SIGINT, SIGTERM and SIGHUP are only noted; a second one of the same kind works as it would have. A parent that has
    ended counts as SIGHUP: a killed DVC does not end its stages, and nobody would find what goes on without it. What
    was started with ``nohup``, and not by DVC, outlives its parent.
    """
    asked: list[signal.Signals] = []
    watched = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    ignored = {number for number, handler in watched.items() if handler == signal.SIG_IGN}
    has_parent = "DVC_ROOT" in os.environ or signal.SIGHUP not in ignored

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(signal.Signals(number))
        signal.signal(number, watched[number])
        _say(f"{asked[-1].name}: stopping after this step; again to stop at once")

    def request() -> signal.Signals | None:
        if not asked and has_parent and os.getppid() != PARENT:
            asked.append(signal.SIGHUP)
            _say("the process that started this one has ended: stopping")
        return asked[0] if asked else None

    for number in watched.keys() - ignored:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in watched.items():
            signal.signal(number, handler)


def _say(message: str) -> None:
    # Not by print, which a signal may have interrupted; and the terminal may be gone.
    with suppress(OSError):
        os.write(2, f"{message}\n".encode())
