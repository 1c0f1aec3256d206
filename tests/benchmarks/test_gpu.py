"""The benchmark for a GPU, rehearsed on the CPU with the built-in sample."""

import json
import re
import time

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import gpu
from tests.support.running import ROOT

pytestmark = pytest.mark.slow

SMALL = "--epochs 1 --batch 4 --height 16 --no-benchmarks"


def test_all_tests_that_need_a_gpu_are_run():
    marked = {
        path for path in (ROOT / "tests").rglob("test_*.py") if re.search(r"^@pytest.mark.gpu", path.read_text(), re.M)
    }
    assert marked == {ROOT / name for name in gpu.GPU_TESTS}


def test_a_rehearsal_on_the_cpu_passes_all_checks(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    app = typer.Typer()
    app.command()(gpu.main)
    done = CliRunner().invoke(app, [str(ROOT / "data/sample.tar.gz"), "--out", str(tmp_path), *SMALL.split()])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert all(row["passed"] for row in rows)
    checks = [row["check"].split()[0] for row in rows]
    assert checks == [*gpu.STAGES, "all", "score", "whole", "encoder", "tests"]


def test_a_check_that_fails_or_is_late_has_a_row(tmp_path):
    copy = gpu.Copy(tmp_path, ROOT / "data/sample.tar.gz", deadline=0)
    rows = []
    for seconds, command in ((60, ("json.tool", "/no/such/file")), (0, ("json.tool", "pyproject.toml"))):
        copy.deadline = time.monotonic() + seconds
        rows += gpu.attempt(lambda command=command: iter([gpu.line("check", True, copy.run(*command))]))
    assert [(row["passed"], row["found"]) for row in rows] == [(False, "exit code 2"), (False, "the time is up")]
