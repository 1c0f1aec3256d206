"""The output of `compare` and `scores` on a terminal."""

import json
import re

import pandas as pd
import pytest

from segcore.files.scores import COUNTS
from segcore.review.terminal import print_comparison, print_scores
from segcore.runtime.errors import UserError
from tests.support.two_results import HITS, change_rows, commit, init, write


@pytest.fixture
def said(own_git, capsys):
    """A function that compares HEAD, one result, with the workspace; it returns the lines, cells parted by blanks."""
    init()

    def compare_them(md: bool = False) -> list[str]:
        print_comparison("HEAD", "", md)
        return [" ".join(re.sub("[│┃]", " ", line).split()) for line in capsys.readouterr().out.splitlines()]

    return compare_them


def test_the_comparison_has_two_tables_and_says_what_seeds_do(said):
    write([55, *HITS[1:]])
    lines = said()
    assert lines[0] == "HEAD → the workspace: 12 frames of 12 drives"
    assert "drivable 0.5100 0.5600 +0.0500 +0.0500 to +0.0500 better" in lines
    assert "all frames 12 up, 0 down" in lines
    assert lines[-1].startswith("Each interval is computed on its own")


def test_markdown_has_a_row_for_each_class(said):
    write([55, *HITS[1:]])
    lines = said(md=True)
    assert lines[0] == "HEAD → the workspace: 12 frames of 12 drives"
    assert "**IoU on val**" in lines
    assert "| drivable | 0.5100 | 0.5600 | +0.0500 | +0.0500 to +0.0500 | better |" in lines
    assert lines[-1].startswith("Each interval is computed on its own")


def test_names_are_not_taken_for_markup(said):
    table = pd.read_csv(COUNTS, dtype=str)
    table["frame"] = "[/red]|" + table["frame"]
    table.to_csv(COUNTS, index=False)
    commit()
    change_rows(row7=0)
    assert any(line.startswith("1/[/red]|000001 ") for line in said())
    assert any(line.startswith(r"| 1/[/red]\|000001 | ") for line in said(md=True))


def test_results_of_different_frames_are_an_error(said):
    write(HITS, drives=13)
    with pytest.raises(UserError, match="scored on different frames"):
        said()


def test_the_scores_are_a_table_and_the_pictures_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "data/renders").mkdir(parents=True)
    (tmp_path / "data/renders/val_worst_1.png").touch()
    iou = {"drivable": 0.75, "sky": None}
    scores = {"miou": 0.5, "miou_native": 0.51234, "miou_flip": 0.6, "pixel_accuracy": 0.9, "iou": iou}
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(scores))
    print_scores()
    cells = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["drivable", "0.7500"] in cells
    assert ["sky", "–"] in cells
    assert ["mIoU", "0.5000"] in cells
    assert ["mIoU", "with", "flip", "0.6000"] in cells
    assert ["data/renders/val_worst_1.png"] in cells
