"""Work spread over threads: in order, and only a few items ahead."""

import os
import signal
import threading
import time
from contextlib import closing
from math import inf
from pathlib import Path

import pytest

from segcore.runtime import console, outputs, threads
from segcore.runtime.errors import UserError
from segcore.runtime.signals import Stopped
from segcore.runtime.threads import cpu_quota, map_in_order, thread_count


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


@pytest.mark.parametrize(
    ("cores", "quota", "count"), [(8, inf, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.1, 1), (8, 7.9, 8), (2, 4.0, 2)]
)
def test_a_quota_limits_the_number_of_threads(monkeypatch, cores, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(threads, "cpu_quota", lambda _: quota)
    monkeypatch.delenv("SEGCORE_THREADS", raising=False)
    assert thread_count() == count
    monkeypatch.setenv("SEGCORE_THREADS", "5")
    assert thread_count() == 5


V1_MANY = "12:memory:/docker/1f\n4:cpuacct,cpu:/docker/1f\n1:name=systemd:/docker/1f\n0::/docker/1f\n"


@pytest.mark.parametrize(
    ("group", "files", "quota"),
    [
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5, id="v2, in a container"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, inf, id="v2, no limit"),
        pytest.param("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 25000"}, 2.0, id="v2, parent"),
        pytest.param("0::/a/b\n", {"a/b/cpu.max": "10000 20000", "a/cpu.max": "50000 25000"}, 0.5, id="v2, least"),
        pytest.param("0::/a\n", {"b/cpu.max": "10000 20000", "a/c/cpu.max": "10000 20000"}, inf, id="v2, of others"),
        pytest.param("0::/user.slice/a:b\n", {"user.slice/a:b/cpu.max": "300 100"}, 3.0, id="v2, colon in the name"),
        pytest.param("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "25000"}, 2.0, id="v1"),
        pytest.param("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "25000"}, inf, id="v1, none"),
        pytest.param(
            V1_MANY, {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "20000"}, 2.5, id="v1, path of the host"
        ),
        pytest.param(
            V1_MANY,
            {"cpu/docker/1f/cpu.cfs_quota_us": "50000", "cpu/docker/1f/cpu.cfs_period_us": "20000"},
            2.5,
            id="v1, on the host",
        ),
        pytest.param(
            "2:cpuset:/a\n", {"cpu/a/cpu.cfs_quota_us": "1", "cpu/a/cpu.cfs_period_us": "1"}, inf, id="cpuset"
        ),
        pytest.param("0::/\n", {}, inf, id="v2, no file"),
        pytest.param("0::/\n", {"cpu.max": ""}, inf, id="an empty file"),
        pytest.param("0::/\n", {"cpu.max": "100 0"}, inf, id="a period of 0"),
        pytest.param("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "50000"}, inf, id="v1, a file is missing"),
        pytest.param("what\n", {"cpu.max": "100000 100000"}, inf, id="not a list of cgroups"),
        pytest.param(None, {"cpu.max": "100000 100000"}, inf, id="no list of cgroups"),
    ],
)
def test_the_quota_of_a_cgroup(tmp_path, group, files, quota):
    if group is not None:
        write(tmp_path / "proc/self/cgroup", group)
    for name, content in files.items():
        write(tmp_path / "sys/fs/cgroup" / name, content)
    assert cpu_quota(tmp_path) == quota


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5"])
def test_a_wrong_number_of_threads_is_refused(monkeypatch, value):
    monkeypatch.setenv("SEGCORE_THREADS", value)
    with pytest.raises(UserError, match="SEGCORE_THREADS"):
        thread_count()
