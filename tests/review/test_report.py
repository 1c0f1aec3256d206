"""The parts of the report, from what DVC answers."""

import json
from pathlib import Path

import pytest

from segcore.review import report
from segcore.review.comparison import Line, compare
from segcore.review.frames import draw_frames, most_changed
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
        (
            {"data": {"iou": [{"type": "vega", "revisions": ["main", "workspace"], "content": {"mark": 3}}]}},
            ["iou cannot be drawn: Vega-Lite to SVG conversion failed:"],
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
    [changed, worst] = draw_frames(compare(load("HEAD"), load("")))
    assert changed.pictures == worst.pictures == []
    said = "No more frames can be read: data/raw/dataset.json and metrics/frames.csv have different classes."
    assert changed.note == worst.note == said


@pytest.mark.parametrize("title", [None, {}, {"anchor": "start"}, {"text": "loss"}, "loss", {"text": ["a", "b"]}])
def test_a_plot_has_its_title_or_its_name(title):
    name, uri = report.draw_plot({"mark": "point", "title": title}, "curves")
    assert name == ("loss" if "loss" in str(title) else "curves")
    assert uri.startswith("data:image/svg+xml;base64,")


def test_captions_name_the_class_that_changed_most(own_git):
    init()
    write([50, 10, 20, 30, 40, 70, 65])
    assert most_changed(compare(load("HEAD"), load("")))["0", "000000"] == "far 0.600 → 0.700"
    write(HITS)
    assert most_changed(compare(load("HEAD"), load(""))) == {}


def test_the_report_goes_on_without_plots(monkeypatch):
    def fail(*arguments: str) -> str:
        raise UserError("`dvc plots diff` failed: why")

    monkeypatch.setattr(report, "dvc", fail)
    assert report.draw_plots("main") == ([], ["No plot can be drawn: `dvc plots diff` failed: why"])


def test_intervals_are_drawn_on_one_scale_with_zero_in_the_middle():
    lines = [Line("mIoU", 0.5, 0.51, -0.02, 0.04, 0.0), Line("sky", 0.5, 0.48, -0.03, -0.01, 0.0)]
    scale, bars = report.draw_intervals(lines)
    assert scale == 0.04
    assert bars == [("mIoU", "no evidence", 25, 100, 62.5), ("sky", "worse", 12.5, 37.5, 25)]


def test_without_intervals_nothing_is_drawn():
    nan = float("nan")
    without = Line("sky", 0.5, 0.51, nan, nan, nan)
    assert report.draw_intervals([without])[1] == report.draw_intervals([])[1] == []
    beyond = Line("mIoU", 0.5, 0.56, 0.01, 0.05, 0.0)
    assert report.draw_intervals([beyond, without]) == (0.06, [("mIoU", "better", 58.33, 91.67, 100)])
    no_change = [Line("mIoU", 0.5, 0.5, 0.0, 0.0, 0.0)]
    assert report.draw_intervals(no_change)[1] == [("mIoU", "same", 50, 50, 50)]
