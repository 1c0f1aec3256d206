"""The commands of `python -m segcore`."""

import subprocess
import sys
from pathlib import Path

import pytest

from segcore.__main__ import app
from tests.support.running import ROOT, assert_fails

COMMANDS = ("compare", "review", "gate", "provenance", "predict", "scores", "submission")
HEAVY = ("dvc", "numpy", "pandas", "PIL", "torch")


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "segcore", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [(), *((name,) for name in COMMANDS)])
def test_help_imports_no_command(arguments):
    done = run(*arguments, "--help")
    assert done.returncode == 0
    imported = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {*HEAVY}


def test_help_lists_all_commands():
    assert [command.callback.__name__ for command in app.registered_commands] == list(COMMANDS)
    said = run("--help").stdout
    assert all(f"│ {name} " in said for name in COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "HEAD"), "error: git says: fatal: not a git repository"),
        (("review", "HEAD"), "error: git says: fatal: not a git repository"),
        (("gate",), "error: git says: fatal: not a git repository"),
        (("gate", "--workspace"), "error: DVC says: you are not inside of a DVC repository"),
        (("predict", "nothing", "--out", "out"), "error: no such file or folder: nothing"),
        (("scores",), "error: metrics/evaluate.json: No such file or directory"),
        (("submission",), "error: data/raw/dataset.json is missing: `dvc pull data/raw` gets it"),
        (("provenance", "nothing"), "error: nothing: no such file"),
    ],
)
def test_what_cannot_be_answered_is_a_message(arguments, message, tmp_path):
    assert_fails(run(*arguments, folder=tmp_path), message)
