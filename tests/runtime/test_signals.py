"""Stop signals: raised as an exception, or put off until a piece of work is complete."""

import os
import signal

import pytest

from segcore.runtime import signals
from segcore.runtime.signals import STOP_SIGNALS, Stopped, defer, raise_on_signal, stop_requested


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_raised_and_no_handler_of_errors_catches_it(number):
    with pytest.raises(Stopped) as stopped, raise_on_signal():
        try:
            signal.raise_signal(number)
        except Exception:
            pytest.fail("caught as an error")
    assert stopped.value.number == number


def test_a_second_signal_does_not_interrupt_the_clean_up():
    cleaned = []
    with pytest.raises(Stopped) as stopped, raise_on_signal():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleaned.append("all")
    assert (stopped.value.number, cleaned) == (signal.SIGINT, ["all"])


def test_afterwards_signals_are_ignored():
    with raise_on_signal():
        pass
    for number in STOP_SIGNALS:
        signal.raise_signal(number)


def test_a_signal_that_the_caller_ignores_stays_ignored():
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with raise_on_signal(), defer() as arrived:
        signal.raise_signal(signal.SIGHUP)
    assert arrived == []
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_deferred_signals_go_to_the_old_handlers_at_the_end():
    seen = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    with defer() as arrived:
        signal.raise_signal(signal.SIGTERM)
        assert (seen, arrived) == ([], [signal.SIGTERM])
    assert seen == [signal.SIGTERM]
    with pytest.raises(KeyboardInterrupt), defer():
        signal.raise_signal(signal.SIGINT)
        seen.append("the rest")
    assert seen == [signal.SIGTERM, "the rest"]


def test_a_signal_that_was_cleared_does_nothing():
    with defer() as arrived:
        signal.raise_signal(signal.SIGINT)
        arrived.clear()


def test_an_announced_signal_acts_at_once_when_it_comes_again(capfd):
    with pytest.raises(Stopped), raise_on_signal(), defer(announce=True) as arrived:
        signal.raise_signal(signal.SIGTERM)
        assert capfd.readouterr().err == "SIGTERM: stopping after this step; send it again to stop at once\n"
        assert stop_requested(arrived) == signal.SIGTERM
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it goes on")


@pytest.mark.parametrize(("nohup", "dvc", "stops"), [(False, False, True), (True, False, False), (True, True, True)])
def test_the_end_of_the_parent_counts_as_a_hangup_except_under_nohup_without_dvc(monkeypatch, capfd, nohup, dvc, stops):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    if dvc:
        monkeypatch.setenv("DVC_ROOT", "/somewhere")
    if nohup:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    arrived = []
    assert stop_requested(arrived) is None
    monkeypatch.setattr(os, "getppid", lambda: signals.PARENT + 1)
    for _ in range(2):
        assert stop_requested(arrived) == (signal.SIGHUP if stops else None)
    assert capfd.readouterr().err == "the process that started this one has ended: stopping\n" * stops


def test_the_first_signal_counts():
    assert stop_requested([signal.SIGTERM, signal.SIGINT]) == signal.SIGTERM
