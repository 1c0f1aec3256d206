"""A stage prints an error of the user as a message, and a signal and progress as one line each."""

import errno
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from segcore.runtime import console
from segcore.runtime.errors import UserError
from tests.support.running import ROOT, heed_signals

# Raises the stop signals after its work: when the interpreter begins to end, and when it removes the globals.
LATE = """
import atexit, os, signal
from segcore.runtime import console, signals
from segcore.runtime.errors import UserError

def raise_all(moment, raise_signal=signal.raise_signal, write=os.write, numbers=signals.STOP_SIGNALS):
    for number in numbers:
        raise_signal(number)
    write(1, moment)

class Last:
    def __del__(self, raise_all=raise_all):
        raise_all(b"globals")

def command():
    %s

last = Last()
atexit.register(raise_all, b"atexit ")
console.run(command)
"""


@pytest.fixture(autouse=True)
def without_arguments(monkeypatch):
    monkeypatch.setattr("sys.argv", ["stage"])


def end_of(capsys, error: BaseException) -> str:
    """Return what a command prints that ends with ``error``, with exit code 1."""

    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        console.run(command)
    assert ended.value.code == 1
    return capsys.readouterr().err


def stopped(capsys, command: Callable[[], None]) -> tuple[int, str]:
    """Return the exit code and the message of a command that a signal ends."""
    with pytest.raises(SystemExit) as ended:
        console.run(command)
    return ended.value.code, capsys.readouterr().err


def test_an_error_of_the_user_is_printed_as_its_message(capsys):
    assert end_of(capsys, UserError("params.yaml: train.lr: too high")) == "error: params.yaml: train.lr: too high\n"


def test_a_full_disk_says_where_and_what_to_do(capsys):
    said = end_of(capsys, OSError(errno.ENOSPC, "No space left on device", "data/raw"))
    assert said == "error: data/raw: No space left on device; free some space and run the stage again\n"


def test_a_missing_file_names_the_stage_before(capsys):
    said = end_of(capsys, FileNotFoundError(errno.ENOENT, "No such file or directory", "data/arrays/stats.json"))
    assert "data/arrays/stats.json" in said
    assert "dvc repro" in said


def test_an_error_of_the_program_stays_a_traceback(capsys):
    with pytest.raises(ZeroDivisionError):
        console.run(lambda: 1 // 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_the_command_and_prints_one_line(capsys, number, code):
    cleaned = []

    def command() -> None:
        try:
            signal.raise_signal(number)
        except Exception:
            return
        finally:
            cleaned.append("all")

    line = f"stopped by {number.name}: no output is left half-written\n"
    assert stopped(capsys, command) == (code, line)
    assert cleaned == ["all"]


@pytest.mark.parametrize(
    ("work", "code", "line"),
    [
        ("pass", 0, ""),
        ("raise UserError('a mistake')", 1, "error: a mistake\n"),
        ("signal.raise_signal(signal.SIGINT)", 130, "stopped by SIGINT: no output is left half-written\n"),
    ],
    ids=["done", "error", "stopped"],
)
def test_a_signal_after_the_work_does_not_change_how_it_ended(work, code, line):
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60, "preexec_fn": heed_signals}
    done = subprocess.run([sys.executable, "-c", LATE % work], **options)
    assert (done.returncode, done.stderr, done.stdout) == (code, line, "atexit globals")


def test_progress_yields_the_items_and_ends_with_a_line(capsys):
    assert list(console.progress(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("letters: 3 in ")


def test_control_characters_are_escaped(capsys):
    assert end_of(capsys, UserError("x.zip: no 'a\x1b[2J\r\udcffé'\n  next line")) == (
        "error: x.zip: no 'a\\x1b[2J\\r\\udcffé'\n  next line\n"
    )
