"""Work spread over threads: in order, and only a few items ahead."""

import signal
import threading
import time
from contextlib import closing

import pytest

from segcore.runtime import console, outputs
from segcore.runtime.errors import UserError
from segcore.runtime.signals import Stopped
from segcore.runtime.threads import map_in_order, thread_count


def test_results_come_in_order(monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "4")
    assert list(map_in_order(lambda x: x * x, range(100))) == [x * x for x in range(100)]


def test_only_a_few_items_are_taken_ahead(monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "2")
    taken = []
    results = map_in_order(lambda x: x, (taken.append(i) or i for i in range(1000)))
    next(results)
    assert len(taken) < 20
    results.close()


def test_an_error_is_raised_in_its_place_and_ends_the_work(monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "2")
    before = threading.active_count()
    results = map_in_order(lambda x: 1 // (x - 3), range(1000))
    assert [next(results) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before


def test_closing_waits_for_work_that_has_begun_and_drops_the_rest(monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "2")
    before, begun, ended = threading.active_count(), [], []
    go = threading.Event()

    def work(i):
        begun.append(i)
        assert i == 0 or go.wait(60)
        ended.append(i)

    with closing(map_in_order(work, range(1000))) as results:
        next(results)
        go.set()
    assert threading.active_count() == before
    assert sorted(begun) == sorted(ended)
    assert len(begun) < 20


def test_threads_have_ended_before_their_output_is_removed(tmp_path, monkeypatch):
    """Also if a signal arrives outside the iterator; a thread that still wrote would make the folder again."""
    monkeypatch.setenv("SEGCORE_THREADS", "2")
    before = threading.active_count()

    def write(number: int) -> None:
        time.sleep(0.01)
        (tmp_path / f".raw.partial/{number}").write_text("some")

    with pytest.raises(Stopped), outputs.new_folder(tmp_path / "raw"):
        for _ in console.map_with_progress(write, range(100), "files"):
            raise Stopped(signal.SIGTERM)
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_threads(monkeypatch):
    monkeypatch.delenv("SEGCORE_THREADS", raising=False)
    assert thread_count() >= 1
    monkeypatch.setenv("SEGCORE_THREADS", "3")
    assert thread_count() == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5"])
def test_a_wrong_number_of_threads_is_refused(monkeypatch, value):
    monkeypatch.setenv("SEGCORE_THREADS", value)
    with pytest.raises(UserError, match="SEGCORE_THREADS"):
        thread_count()
