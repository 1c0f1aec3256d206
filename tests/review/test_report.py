"""The parts of the report, from what DVC answers."""

import json
from pathlib import Path

import pytest

from segcore.review import report
from segcore.review.comparison import compare
from segcore.review.results import load
from segcore.runtime.errors import UserError
from tests.support.idd_lite import save_dataset
from tests.support.two_results import HITS, init, write


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"errors": [{"rev": "main", "type": "A", "msg": "why"}]}, ["Every plot of main cannot be drawn: why"]),
        ({"errors": [{"name": "loss", "rev": "main", "msg": "why"}]}, ["loss of main cannot be drawn: why"]),
        ({"errors": [{"type": "A"}], "data": {}}, ['Every plot of a commit cannot be drawn: {"type": "A"}']),
        ({"errors": [{"msg": ""}]}, ['Every plot of a commit cannot be drawn: {"msg": ""}']),
        ({"data": {"loss": []}}, ["loss of main has no points", "loss of workspace has no points"]),
        (
            {"errors": [{"name": "loss", "rev": "main", "msg": "why"}], "data": {"loss": []}},
            ["loss of main cannot be drawn: why", "loss of workspace has no points"],
        ),
        (
            {"errors": [{"rev": "main", "msg": "why"}], "data": {"loss": []}},
            ["Every plot of main cannot be drawn: why", "loss of workspace has no points"],
        ),
        ({"data": {"a.png": [{"type": "image", "revisions": ["main"]}]}}, []),
        ({}, []),
    ],
)
def test_what_cannot_be_drawn_is_named_whatever_dvc_says_about_it(monkeypatch, answer, said):
    monkeypatch.setattr(report, "dvc", lambda *arguments: json.dumps(answer))
    plots, errors = report.draw_plots("main")
    assert (plots, sorted(errors)) == ([], sorted(said))


def test_frames_are_not_drawn_in_the_colours_of_other_classes(own_git):
    init()
    write([55, *HITS[1:]])
    save_dataset(Path(), classes={"road": (1, 2, 3), "sky": (4, 5, 6)})
    [changed, worst] = report.draw_frames(compare(load("HEAD"), load("")))
    assert changed.pictures == worst.pictures == []
    said = "No more frames can be read: data/raw/dataset.json and metrics/frames.csv have different classes."
    assert changed.note == worst.note == said


def test_the_report_goes_on_without_plots(monkeypatch):
    def fail(*arguments: str) -> str:
        raise UserError("`dvc plots diff` failed: why")

    monkeypatch.setattr(report, "dvc", fail)
    assert report.draw_plots("main") == ([], ["No plot can be drawn: `dvc plots diff` failed: why"])
