"""The output of `compare` and `scores` on a terminal."""

import json
import re

import pandas as pd
import pytest

from segcore.files.scores import COUNTS
from segcore.review.terminal import print_comparison, print_scores, print_seeds
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
    assert "drivable 0.5100 0.5600 +0.0500 better +0.0500 to +0.0500" in lines
    assert "all frames 12 up, 0 down" in lines
    assert lines[-1].startswith("Each interval says how much the choice of drives could change the result.")


def test_markdown_has_a_row_for_each_class(said):
    write([55, *HITS[1:]])
    lines = said(md=True)
    assert lines[0] == "HEAD → the workspace: 12 frames of 12 drives"
    assert "**IoU on val**" in lines
    assert "| drivable | 0.5100 | 0.5600 | +0.0500 | better | +0.0500 to +0.0500 |" in lines
    assert lines[-1].startswith("Each interval says how much the choice of drives could change the result.")


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


def cells(text: str) -> list[list[str]]:
    return [re.sub("[│┃]", " ", line).split() for line in text.splitlines()]


def test_the_scores_of_seeds_have_mean_deviation_and_range(own_git, capsys):
    init()
    for seed, hits in ((2, 52), (3, 57)):
        write([hits, *HITS[1:]], seed=seed)
        commit()
    print_seeds()
    rows = cells(capsys.readouterr().out)
    assert ["IoU", "on", "val", "over", "3", "seeds"] in rows
    assert "mIoU by seed: 1: 0.4100, 2: 0.4129, 3: 0.4200." in [" ".join(row) for row in rows]
    assert ["drivable", "0.5400", "0.0361", "0.5100", "0.5800"] in rows  # of 0.51, 0.53 and 0.58
    assert ["sky", "0.7100", "0.0000", "0.7100", "0.7100"] in rows
    assert ["mIoU", "0.4143", "0.0052", "0.4100", "0.4200"] in rows


def test_one_seed_has_no_deviation_and_the_way_to_more_is_shown(own_git, capsys):
    init()
    print_seeds()
    said = capsys.readouterr().out
    assert ["drivable", "0.5100", "–", "0.5100", "0.5100"] in cells(said)
    assert "`dvc exp run --queue -S 'train.seed=range(1,6)'` and `dvc queue start` make more" in said


def test_seeds_of_an_unknown_recipe_are_an_error(own_git):
    init()
    change_rows(row0=51)  # so dvc.lock is of different counts
    with pytest.raises(
        UserError, match=r"the workspace's dvc\.lock does not say what made its metrics: run `dvc repro`"
    ):
        print_seeds()
