"""Two results beside one another, as a table."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from segcore import compare
from segcore.console import UserError
from tests.running import git
from tests.two_results import FRAMES, HITS, METRICS, commit, write, write_lock


@pytest.fixture
def said(own_git, capsys):
    """A function that compares, in a repository with one result; it returns the lines, cells parted by blanks."""
    git("init", "--quiet", "--initial-branch=main")
    write(HITS)
    commit()

    def compare_them(*names, md=False):
        compare.main(*names, md=md)
        return [" ".join(re.sub("[│┃]", " ", line).split()) for line in capsys.readouterr().out.splitlines()]

    return compare_them


def change_rows(**rows):
    """Set true positives of rows of the table, which is all that it says of their 100 pixels."""
    table = pd.read_csv(FRAMES, dtype=str)
    for row, hits in rows.items():
        table.loc[int(row.removeprefix("row")), ["tp", "fn"]] = [str(hits), str(100 - hits)]
    table.to_csv(FRAMES, index=False)


def test_each_class_has_its_iou_before_and_after_and_a_verdict(said):
    write([55, 10, 20, 25, 40, 60, 70])
    lines = said("HEAD", "")
    assert lines[0] == "HEAD → the workspace: 12 frames of 12 drives"
    assert "drivable 0.5100 0.5600 +0.0500 +0.0500 to +0.0500 better" in lines
    assert "vehicles 0.3100 0.2600 -0.0500 -0.0500 to -0.0500 worse" in lines
    assert "sky 0.7100 0.7100 +0.0000 +0.0000 to +0.0000 same" in lines
    assert "mIoU 0.4100 0.4100 +0.0000 +0.0000 to +0.0000 same" in lines


def test_a_gain_in_one_drive_alone_is_no_evidence(said):
    change_rows(row0=90)
    assert any(re.fullmatch(r"drivable 0\.5100 0\.5433 .* no evidence", line) for line in said("HEAD", ""))


def test_a_gain_in_all_of_few_drives_is_no_evidence(said):
    write(HITS, drives=9)
    commit()
    write([55, *HITS[1:]], drives=9)
    lines = said("HEAD", "")
    assert "9 frames of 9 drives; fewer than 10 say too little" in lines[0]
    assert "drivable 0.5100 0.5600 +0.0500 – –" in lines


def test_the_frames_that_changed_most_come_first(said):
    change_rows(row7=0, row14=80)
    lines = said("HEAD", "")
    assert "all frames 1 up, 1 down" in lines
    worse, better = (next(line for line in lines if line.startswith(name)) for name in ("1/000001", "2/000002"))
    assert worse.split()[-1] == f"{-0.51 / 7:+.4f}"
    assert better.split()[-1] == f"{0.28 / 7:+.4f}"
    assert lines.index(worse) < lines.index(better)


def test_a_class_that_is_nowhere_has_a_dash(said):
    table = pd.read_csv(FRAMES, dtype={"drive": str, "frame": str})
    table.loc[table["class"] == "living", ["tp", "fp", "fn"]] = 0
    table.to_csv(FRAMES, index=False)
    commit()
    assert "living – – – – –" in said("HEAD", "")


def test_markdown_has_a_row_for_each_class_that_no_width_breaks(said):
    write([55, *HITS[1:]])
    lines = said("HEAD", "", md=True)
    assert "**IoU, IDD-Lite protocol**" in lines
    assert "| drivable | 0.5100 | 0.5600 | +0.0500 | +0.0500 to +0.0500 | better |" in lines


def test_names_are_not_taken_for_markup(said):
    table = pd.read_csv(FRAMES, dtype=str)
    table["frame"] = "[/red]" + table["frame"]
    table.to_csv(FRAMES, index=False)
    commit()
    change_rows(row7=0)
    assert any(line.startswith("1/[/red]000001 ") for line in said("HEAD", ""))


def test_the_noise_of_the_seed_is_that_of_results_which_differ_in_nothing_else(said):
    assert "not known: no result here is of HEAD's recipe with another seed" in said("HEAD", "")[-1]
    base = git("rev-parse", "HEAD")
    write([57, *HITS[1:]], seed=2)
    commit()
    for other in ({"seed": 3, "epochs": 6}, {"seed": 4, "code": "2"}):
        write([99] * 7, **other)
        commit()
    write([54, *HITS[1:]], epochs=6)
    found = f"the mIoU of 2 seeds of {base[:7]}'s recipe is up to 0.0100 apart (1: 0.4000, 2: 0.4100); a change"
    assert found in said(base, "")[-1]
    write([64, *HITS[1:]], seed=3)
    assert "is up to 0.0200 apart (1: 0.4000, 2: 0.4100, 3: 0.4200); a change" in said(base, "")[-1]


def test_a_change_that_seeds_make_too_is_called_noise(said):
    base = git("rev-parse", "HEAD")
    write([57, *HITS[1:]], seed=2)
    commit()
    write([57, 20, *HITS[2:]], epochs=6)
    lines = said(base, "")
    assert "drivable 0.5100 0.5800 +0.0700 +0.0700 to +0.0700 seed noise" in lines
    assert "non_drivable 0.1100 0.2100 +0.1000 +0.1000 to +0.1000 better" in lines
    write([43, *HITS[1:]], epochs=6)
    assert "drivable 0.5100 0.4400 -0.0700 -0.0700 to -0.0700 seed noise" in said(base, "")
    write([42, *HITS[1:]], epochs=6)
    assert "drivable 0.5100 0.4300 -0.0800 -0.0800 to -0.0800 worse" in said(base, "")


@pytest.mark.parametrize("metrics", ['{"miou": null}', '{"miou"', "[]", '{"miou_native": 0.5}'])
def test_metrics_that_tell_no_miou_are_passed_over(said, metrics):
    METRICS.write_text(metrics)
    write_lock(seed=2)
    commit()
    assert "not known" in said("HEAD~1", "")[-1]


@pytest.mark.parametrize("lock", ["<<<<<<<", "stages: []", "[]", "\xff"])
def test_a_dvc_lock_that_nobody_can_read_is_passed_over(said, lock):
    Path("dvc.lock").write_text(lock, encoding="latin-1")
    commit()
    assert "not known: no result here" in said("HEAD~1", "")[-1]
    assert "not known: HEAD's dvc.lock does not say" in said("HEAD", "")[-1]


def test_metrics_of_another_run_than_that_of_dvc_lock_are_passed_over(said):
    write([57, *HITS[1:]], seed=2)
    METRICS.write_text('{"miou": 0.9}')
    commit()
    assert "not known" in said("HEAD~1", "")[-1]


def test_outside_of_git_nothing_can_be_compared(own_git):
    with pytest.raises(UserError, match="other commits cannot be read: git says: fatal: not a git repository"):
        compare.main("HEAD", "", md=False)


def test_experiments_have_names_and_seeds_too(workspace):
    workspace.dvc("exp", "run", "--name=second", "--set-param=train.seed=2")
    said = workspace.run("python", "-m", "segcore.compare", "HEAD", "second")
    refs = workspace.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    [second] = [ref for ref in refs if ref.endswith("/second")]
    first, second = (
        json.loads(workspace.git("show", f"{commit}:metrics/evaluate.json"))["miou"] for commit in ("HEAD", second)
    )
    assert said.startswith("HEAD → second: 2 frames of ")
    assert f"(1: {first:.4f}, 2: {second:.4f})" in said
