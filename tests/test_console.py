"""What a stage says: a user's errors as a message, progress as a line."""

import errno

import pytest

from segcore import console
from segcore.console import UserError


def end_of(capsys, error: BaseException) -> str:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        console.run(command)
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
    monkeypatch.setattr("sys.argv", ["stage"])


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


def test_progress_passes_items_on_and_ends_with_a_line(capsys):
    assert list(console.progress(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("letters: 3 in ")
