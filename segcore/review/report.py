"""The report on a change: review/report.md, and review/report.html, which has pictures, too.

Functions that ask DVC raise ``UserError`` if it fails.
"""

import io
import json
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import vl_convert
from dvc.api import DVCFileSystem
from dvc_data.index import DataIndexDirError

from segcore.dataset.frames import Frame
from segcore.drawing.pictures import Colour, overlay, panel
from segcore.files.dataset import DATASET, read_dataset
from segcore.files.images import PREDICTIONS, read_labels
from segcore.files.scores import COUNTS, classes_of
from segcore.render.panels import val_pictures
from segcore.repository.dvc import dvc, explain
from segcore.repository.git import fetch_files
from segcore.repository.project import open_project
from segcore.review.comparison import SHOWN_FRAMES, Comparison, Table, compare
from segcore.review.gate import ADVICE, find_changes
from segcore.review.quality import judge
from segcore.review.results import default_base, load
from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_folder
from segcore.templates.jinja import data_uri, render

OUT = Path("review")
WORST = 5  # frames
NO_MORE = (
    "No more frames are here. `dvc pull` gets those of the workspace, `dvc fetch --all-commits` those of other "
    "commits, if they were pushed and the remote can be reached."
)

Picture = tuple[str, str]  # its name, and its content as a data: URI


class Difference(NamedTuple):
    """Parameters or metrics that differ, in the columns of DVC's own table, and those that could not be read."""

    table: Table
    unreadable: list[str]


class FrameSection(NamedTuple):
    """Pictures of frames under a title. Links lead to ``id`` and a number; ``note`` says why there are no more."""

    id: str
    title: str
    pictures: list[Picture]
    note: str


def write(base: str, with_frames: bool, margin: float) -> None:
    """Write the report on what the workspace changed since ``base``, or, if that is empty, since it left main.

    Its first line says whether the result is not worse, as :func:`segcore.review.quality.judge` does with ``margin``.

    Raises:
        GitError: if git cannot be asked.
        UserError: if there is no result to report.
    """
    before, after = load(base or default_base()), load("")
    fetch_files(before.commit)  # DVC would wait forever for a file that a partial clone lacks
    comparison, reason = None, ""
    try:
        comparison = compare(before, after)
        answer = judge(comparison, margin).text
    except UserError as error:  # the report is also written after a change of the data
        reason = str(error)
        answer = f"Not compared: {reason}"
    plots, errors = draw_plots(before.name)
    values = {
        "title": f"{before.name} → {after.name}",
        "answer": answer,
        "changes": find_changes(),
        "advice": ADVICE,
        "parameters": difference("params", before.name),
        "metrics": difference("metrics", before.name),
        "comparison": comparison,
        "reason": reason,
        "plots": plots,
        "errors": errors,
        "frames": draw_frames(comparison) if comparison and with_frames else [],
        "with_frames": with_frames,
    }
    with new_folder(OUT) as folder:
        for name in ("report.md", "report.html"):
            (folder / name).write_text(render(f"review/{name}.jinja", **values), encoding="utf-8")
    print(f"{OUT}/report.md, {OUT}/report.html")


def difference(kind: Literal["params", "metrics"], base: str) -> Difference:
    """Return the parameters or metrics that differ from ``base``; none of a file that one of the two cannot read."""
    head = ["Path", "Param", base, "workspace"] if kind == "params" else ["Path", "Metric", base, "workspace", "Change"]
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
            values = [change.get(key) for key in ("old", "new", "diff")[: len(head) - 2]]
            if kind == "metrics":
                values = [round(value, 5) if isinstance(value, float) else value for value in values]
            rows.append([path, name, *("-" if value is None else str(value) for value in values)])
    return Difference(Table(head, rows), unreadable)


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
        svgs = [vl_convert.vegalite_to_svg(part["content"]) for part in parts if part["type"] == "vega"]
        plots += [(name, data_uri(svg.encode(), "svg+xml")) for svg in svgs]
        shown = [rev for part in parts for rev in part["revisions"]]
        for rev in (base, "workspace") if svgs or not parts else ():
            if rev not in shown and ("Every plot", rev) not in failed:
                failed.setdefault((name, rev), f"{name} of {rev} has no points")
    return plots, list(failed.values())


def draw_frames(comparison: Comparison) -> list[FrameSection]:
    """Return pictures of the frames that changed most, and of those that are worst now."""
    changed = comparison.changed.head(SHOWN_FRAMES)
    worst = comparison.frames.sort_values("after", kind="stable").head(WORST)
    found = []
    for id, title, frames in (("changed", "Frames that changed most", changed), ("worst", "Worst frames", worst)):
        pictures, note = [], "None." if frames.empty else ""
        try:
            dataset, stored = read_dataset(), DVCFileSystem(rev=comparison.base.commit)
            if dataset.names != classes_of(comparison.new.counts):
                raise UserError(f"{DATASET} and {COUNTS} have different classes")
            for drive, name, before, after, _ in frames.to_numpy().tolist():
                frame = Frame("val", drive, name)
                pictures.append((str(frame), draw_change(frame, before, after, stored, dataset.colours)))
        except (FileNotFoundError, DataIndexDirError):
            note = NO_MORE
        except Exception as error:  # those of the libraries below DVC, too
            note = f"No more frames can be read: {explain(error)}."
        found.append(FrameSection(id, title, pictures, note))
    return found


def draw_change(frame: Frame, before: float, after: float, stored: DVCFileSystem, colours: list[Colour]) -> str:
    """Return a picture of a frame, its truth, and its predictions before (``stored`` by DVC) and after."""
    drawn = val_pictures(frame, colours)
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder, frame.label.name)
        stored.get_file(str(PREDICTIONS / frame.prediction), str(old))
        predicted = read_labels(old, drawn["frame"].size, len(colours))
    shown = {
        "frame": drawn["frame"],
        "truth": drawn["truth"],
        f"before: mean IoU {before:.3f}": overlay(drawn["frame"], predicted, colours),
        f"after: mean IoU {after:.3f}": drawn["prediction"],
    }
    content = io.BytesIO()
    panel(str(frame), shown).save(content, "PNG")
    return data_uri(content.getvalue(), "png")
