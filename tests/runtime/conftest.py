"""Signals for the tests of this package."""

import signal
from collections.abc import Iterator

import pytest

from segcore.runtime.signals import STOP_SIGNALS


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give each test the handlers that a new process has; pytest itself may run under ``nohup``."""
    ours = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in ours.items():
        signal.signal(number, handler)
