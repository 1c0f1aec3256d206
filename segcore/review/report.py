"""The report on a change: review/report.md, and review/report.html, which has pictures, too.

Functions that ask DVC raise ``UserError`` if it fails.
"""

import json
import tempfile
from math import ceil
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import vl_convert

from segcore.repository.dvc import dvc, explain
from segcore.repository.git import GitError, fetch_files, git
from segcore.repository.project import open_project
from segcore.review.comparison import Line, Table, compare
from segcore.review.frames import draw_frames
from segcore.review.gate import ADVICE, find_changes
from segcore.review.quality import check_recorded, judge
from segcore.review.results import Result, default_base, load
from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_outputs
from segcore.templates.jinja import data_uri, escape_markdown, render

REPORTS = [Path("review/report.md"), Path("review/report.html")]
LOWER_IS_BETTER = ("ece", "loss")

Picture = tuple[str, str]  # its name, and its content as a data: URI


class Difference(NamedTuple):
    """Parameters or metrics that differ, in the columns of DVC's own table, and those that could not be read."""

    table: Table
    unreadable: list[str]


class Bar(NamedTuple):
    """The interval of a change as a drawing: both ends and the change, from 0 to 100, where zero is at 50."""

    name: str
    verdict: str
    low: float
    high: float
    change: float


def write(base: str, with_frames: bool, margin: float) -> None:
    """Write the report on what the workspace changed since ``base``, or, if that is empty, since it left main.

    It begins by saying whether the result is not worse, as :func:`segcore.review.quality.judge` does with ``margin``.

    Raises:
        GitError: if git cannot be asked.
        UserError: if there is no result to report.
    """
    before, after = load(base or default_base()), load("")
    fetch_files(before.commit)  # DVC would wait forever for a file that a partial clone lacks
    comparison, reason = None, ""
    try:
        check_recorded(before)
        comparison = compare(before, after)
        not_worse, answer = judge(comparison, margin)
    except GitError:
        raise
    except UserError as error:  # the report is also written after a change of the data
        reason = str(error)
        not_worse, answer = False, f"Not compared: {reason}"
    plots, errors = draw_plots(before.name)
    frames = draw_frames(comparison) if comparison and with_frames else []
    scale, bars = draw_intervals(comparison.lines if comparison else [])
    values = {
        "title": f"Review: {before.name} → {after.name}",
        "about": (about := _about(before)),
        "about_md": escape_markdown(about),
        "answer": answer,
        "not_worse": not_worse,
        "changes": find_changes(),
        "advice": ADVICE,
        "parameters": difference("params", before.name),
        "metrics": difference("metrics", before.name),
        "comparison": comparison,
        "reason": reason,
        "scale": scale,
        "bars": bars,
        "plots": plots,
        "errors": errors,
        "frames": frames,
        "headings": [(part.id, part.title) for part in frames],
        "with_frames": with_frames,
    }
    with new_outputs(*REPORTS) as files:
        for path, file in zip(REPORTS, files, strict=True):
            file.write_text(render(f"review/{path.name}.jinja", **values), encoding="utf-8")
    print(*REPORTS, sep=", ")


def _about(base: Result) -> str:
    """Return which commit the base is, as its name may soon mean a different one."""
    # Not `git log`, which may also print signatures.
    said = git("rev-list", "--max-count=1", "--encoding=UTF-8", "--format=%h of %cs, “%s”", base.commit)
    commit = said.decode(errors="replace").strip().partition("\n")[2]
    return f"{'The base' if base.commit.startswith(base.name) else base.name} is the commit {commit}"


def difference(kind: Literal["params", "metrics"], base: str) -> Difference:
    """Return the parameters or metrics that differ from ``base``; none of a file that one of the two cannot read."""
    head = ["name", base, "workspace", *(["change"] if kind == "metrics" else []), "file"]
    with open_project() as project:  # the command `dvc params diff` takes what it cannot read for removed
        found = getattr(project, kind).diff(a_rev=base)
    failed = [  # with the path of a file, or for all files of a commit
        (path, rev, error)
        for rev, errors in found.get("errors", {}).items()
        for path, error in (errors.items() if isinstance(errors, dict) else [("", errors)])
    ]
    unreadable = [f"{path or f'The {kind}'} of {rev} cannot be read: {explain(error)}" for path, rev, error in failed]
    rows = []
    for path, changes in sorted(found.get("diff", {}).items()):
        readable = not {path, ""} & {path for path, *_ in failed}
        for name, change in sorted(changes.items()) if readable else ():
            digits = 5 if kind == "metrics" else None
            values = [_shown(change[key], digits) for key in ("old", "new")]
            if kind == "metrics":
                values.append(_shown(change.get("diff"), digits, sign="+"))
                name += " (lower is better)" if name in LOWER_IS_BETTER else ""
            rows.append([name, *values, path])
    return Difference(Table(head, rows), unreadable)


def _shown(value: object, digits: int | None, sign: str = "") -> str:
    if isinstance(value, float) and digits is not None:
        value = round(value, digits)
    return "-" if value is None else f"{value:{sign}}" if sign else str(value)


def draw_plots(base: str) -> tuple[list[Picture], list[str]]:
    """Return the plots of dvc.yaml, each for ``base`` and the workspace together, and why some cannot be drawn."""
    with tempfile.TemporaryDirectory() as folder:  # where DVC puts pictures, which are not used here
        try:
            drawn = json.loads(dvc("plots", "diff", "--json", "--out", folder, base))
        except UserError as error:
            return [], [f"No plot can be drawn: {error}"]
    failed, plots = {}, []
    for error in drawn.get("errors", []):
        name, rev = error.get("name", "Every plot"), error.get("rev", "a commit")  # without a name it is about all
        failed[name, rev] = f"{name} of {rev} cannot be drawn: {explain(error.get('msg') or json.dumps(error))}"
    for name, parts in drawn.get("data", {}).items():
        # As pictures, because as SVG elements of one page they would all define the same ids.
        try:
            found = [draw_plot(part["content"], name) for part in parts if part["type"] == "vega"]
        except ValueError as error:  # of a template that is no Vega-Lite
            failed[name, ""] = f"{name} cannot be drawn: {str(error).splitlines()[0]}"
            continue
        plots += found
        shown = [rev for part in parts for rev in part["revisions"]]
        for rev in (base, "workspace") if found or not parts else ():
            if rev not in shown and ("Every plot", rev) not in failed:
                failed.setdefault((name, rev), f"{name} of {rev} has no points")
    return plots, list(failed.values())


def draw_plot(plot: dict[str, Any], name: str) -> Picture:
    """Return a plot in Vega-Lite as a picture under its title, or, if it has none, under ``name``.

    Raises:
        ValueError: if it is no Vega-Lite.
    """
    # For a dark page, and for a reader whose letters are wider than those here.
    config = {"background": "transparent", "padding": {"left": 5, "top": 5, "right": 25, "bottom": 5}}
    svg = vl_convert.vegalite_to_svg(plot, config=config)
    title = plot.get("title")
    title = title.get("text") if isinstance(title, dict) else title
    return title if isinstance(title, str) and title else name, data_uri(svg.encode(), "svg+xml")


def draw_intervals(lines: list[Line]) -> tuple[float, list[Bar]]:
    """Return the intervals as bars, of the lines that have one, and the change at both ends of the drawing."""
    lines = [line for line in lines if not np.isnan(line.low)]
    places = [abs(value) for line in lines for value in (line.low, line.high, line.new - line.base)]
    scale = ceil(round(max([*places, 0.001]) * 1000, 6)) / 1000

    def place(value: float) -> float:
        return round(50 + 50 * value / scale, 2)

    bars = [
        Bar(line.name, line.verdict, place(line.low), place(line.high), place(line.new - line.base)) for line in lines
    ]
    return scale, bars
