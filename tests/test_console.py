"""What a stage says: a user's errors as a message, a signal and progress as a line each."""

import errno
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from segcore import console
from segcore.console import UserError
from tests.running import ROOT

# Raises the signals that ask to stop when its work is done: as the interpreter begins to end, and as it ends for good.
LATE = """
import atexit, os, signal
from segcore import console

def raise_all(moment, raise_signal=signal.raise_signal, write=os.write, numbers=console.STOP_SIGNALS):
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


def end_of(capsys, error: BaseException) -> str:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        console.run(command)
    assert ended.value.code == 1
    return capsys.readouterr().err


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def process_of_its_own(monkeypatch):
    """No arguments, and the signals as a process finds them; afterwards as pytest has them."""
    monkeypatch.setattr("sys.argv", ["stage"])
    ours = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in ours.items():
        signal.signal(number, handler)


def stopped(capsys, command: Callable[[], None]) -> tuple[int, str]:
    """The exit code and the message of a command that a signal ends."""
    with pytest.raises(SystemExit) as ended:
        console.run(command)
    return ended.value.code, capsys.readouterr().err


def test_a_users_error_is_its_message(capsys):
    assert end_of(capsys, UserError("params.yaml: train.lr: too high")) == "error: params.yaml: train.lr: too high\n"


def test_a_full_disk_says_where_and_what_to_do(capsys):
    said = end_of(capsys, OSError(errno.ENOSPC, "No space left on device", "data/raw"))
    assert said == "error: data/raw: No space left on device; free some space and run the stage again\n"


def test_a_missing_file_names_the_stage_before(capsys):
    said = end_of(capsys, FileNotFoundError(errno.ENOENT, "No such file or directory", "data/arrays/stats.json"))
    assert "data/arrays/stats.json" in said
    assert "dvc repro" in said


def test_a_mistake_of_ours_stays_a_traceback(capsys):
    with pytest.raises(ZeroDivisionError):
        console.run(lambda: 1 // 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_the_command_and_is_told_in_one_line(capsys, number, code):
    cleared = []

    def command() -> None:
        try:
            signal.raise_signal(number)
        except Exception:  # takes it for an error
            return
        finally:
            cleared.append("all")

    line = f"stopped by {number.name}: no output is left half-written\n"
    assert stopped(capsys, command) == (code, line)
    assert cleared == ["all"]


def test_a_second_signal_does_not_break_into_the_clearing_up(capsys):
    cleared = []

    def command() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleared.append("all")

    code, said = stopped(capsys, command)
    assert (code, cleared) == (130, ["all"])
    assert said.startswith("stopped by SIGINT: ")


def test_a_signal_that_the_caller_ignores_is_ignored(capsys):
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    code, said = stopped(capsys, lambda: signal.raise_signal(signal.SIGHUP))
    assert (code, said) == (0, "")


@pytest.mark.parametrize(
    ("work", "code", "line"),
    [
        ("pass", 0, ""),
        ("raise console.UserError('a mistake')", 1, "error: a mistake\n"),
        ("signal.raise_signal(signal.SIGINT)", 130, "stopped by SIGINT: no output is left half-written\n"),
    ],
    ids=["done", "error", "stopped"],
)
def test_a_signal_after_the_work_changes_nothing_of_how_it_ended(work, code, line):
    done = subprocess.run([sys.executable, "-c", LATE % work], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (code, line, "atexit globals")


def test_signals_are_held_and_then_given_to_whoever_handles_them():
    seen = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    with console.signals_held():
        signal.raise_signal(signal.SIGTERM)
        assert seen == []
    assert seen == [signal.SIGTERM]
    with pytest.raises(KeyboardInterrupt), console.signals_held():
        signal.raise_signal(signal.SIGINT)
        seen.append("the rest")
    assert seen == [signal.SIGTERM, "the rest"]


def test_progress_passes_items_on_and_ends_with_a_line(capsys):
    assert list(console.progress(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("letters: 3 in ")


def test_what_could_steer_the_terminal_is_written_out(capsys):
    assert end_of(capsys, UserError("x.zip: no 'a\x1b[2J\r\udcffé'\n  next line")) == (
        "error: x.zip: no 'a\\x1b[2J\\r\\udcffé'\n  next line\n"
    )
