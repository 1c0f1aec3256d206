"""The benchmark for a GPU, rehearsed on the CPU with the built-in sample."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import gpu
from tests.support.running import ROOT

pytestmark = pytest.mark.system

# The other benchmarks measure for seconds each; tests/benchmarks/test_speed.py runs them.
SMALL = "--epochs 1 --height 16 --check stages --check bytes --check tests --check seed-2"


def test_all_tests_that_need_a_gpu_are_run():
    marked = {
        path for path in (ROOT / "tests").rglob("test_*.py") if re.search(r"^@pytest.mark.gpu", path.read_text(), re.M)
    }
    assert marked == {ROOT / name for name in gpu.GPU_TESTS}


def invoke(*arguments: object):
    app = typer.Typer()
    app.command()(gpu.main)
    return CliRunner().invoke(app, [str(ROOT / "data/sample.tar.gz"), *map(str, arguments)])


def test_a_check_that_does_not_exist_is_refused_at_once(tmp_path):
    done = invoke("--out", tmp_path / "out", "--check", "stages", "--check", "byte")
    assert done.exit_code == 2
    assert "byte is none of stages, bytes" in done.output
    assert not (tmp_path / "out").exists()


def test_a_rehearsal_on_the_cpu_passes_all_checks(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    done = invoke("--out", tmp_path, *SMALL.split())
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert all(row["passed"] for row in rows)
    found = {row["check"].split()[0]: row["found"] for row in rows}
    others = {"driver", "last", "score", "all", "whole", "encoder", "tests", "{'seed':"}
    assert set(found) == others | set(gpu.STAGES)
    assert "mIoU 0." in found["score"]
    assert re.match(r"going on at step [4-7]; (\w+) and \1$", found["whole"])  # of 8, and an epoch has 4


def test_a_check_that_fails_or_is_late_has_a_row_and_the_next_one_goes_on(tmp_path, monkeypatch):
    def run(*command: str):
        return lambda copy: iter([gpu.passed("check", copy.run(*command))])

    checks = {"fails": run("json.tool", "/no/such/file"), "hangs": run("http.server", "0"), "passes": run("this")}
    monkeypatch.setattr(gpu, "CHECKS", {name: (check, 1 if name == "hangs" else 60) for name, check in checks.items()})
    sample = ROOT / "data/sample.tar.gz"
    monkeypatch.setitem(gpu.CHECKS, "breaks", (lambda copy: iter([copy.nothing]), 60))
    monkeypatch.setitem(gpu.CHECKS, "reads", (reads_data, 60))
    with pytest.raises(typer.Exit):
        gpu.main(
            sample, tmp_path, seconds=60, epochs=1, height=16, check=["fails", "hangs", "breaks", "passes", "reads"]
        )
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"][1:]
    assert [row["passed"] for row in rows] == [False, False, False, True, True]
    assert [row["found"].partition(":")[0] for row in rows[:2]] == ["exit code 2", "the time is up"]
    assert "No such file or directory: '/no/such/file'" in rows[0]["found"]


def reads_data(copy):
    frames = (copy.root / "data/arrays/frames.csv").read_text().splitlines()
    yield gpu.passed("reads", f"{len(frames)} lines")
