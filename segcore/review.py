"""`python -m segcore.review [BASE]`: what a change did, as review/report.md and review/report.html."""

import io
import json
import re
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segcore import compare, console, webpage
from segcore.console import UserError
from segcore.gate import ADVICE, dvc, find_changes
from segcore.idd_lite import Frame
from segcore.results import Result, check_same_frames, default_base, load
from segcore.revisions import GitError

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem
    from pandas import Series

OUT = Path("review")
WORST = 5  # frames
CHANGED = "Frames that changed most"


def main(
    base: Annotated[str, typer.Argument(help="A commit or experiment.", show_default="where main was left")] = "",
    without_pictures: Annotated[
        bool, typer.Option("--without-pictures", help="No frames, for a report that leaves this machine.")
    ] = False,
) -> None:
    """Write what the workspace changed: parameters, classes and frames, whether that is luck, metrics, curves.

    Without BASE it is chosen as by `python -m segcore.compare`.

    Reads: what that reads, and params.yaml, here and in BASE; for the
    pictures data/native and data/predictions here, and the predictions of
    BASE in DVC's cache or remote.

    Writes: review/report.md and review/report.html, which needs no other
    file and no network.

    Exit code: 0 whatever the change did; 1 if there is no result to report.
    """
    from segcore.outputs import new_folder

    try:
        before, after = load(base or default_base()), load("")
        text = report(before, after)
    except GitError as reason:
        raise UserError(f"other commits cannot be read: {reason}") from None
    shown = [] if without_pictures else list(panels(before, after))
    parts = [with_links(markup(text), "".join(shown)), "<h2>Curves and classes</h2>", *plots(before), *shown]
    page = webpage.page(heading(before, after), parts)
    with new_folder(OUT) as folder:
        (folder / "report.md").write_text(text, encoding="utf-8")
        (folder / "report.html").write_text(page, encoding="utf-8")
    print(f"{OUT}/report.md, {OUT}/report.html")


def heading(before: Result, after: Result) -> str:
    """What is compared."""
    return f"{before.name} → {after.name}"


def report(before: Result, after: Result) -> str:
    """The report in Markdown.

    Raises:
        GitError: if git cannot be asked.
        UserError: if DVC fails.
    """
    parts = {
        "dvc.lock": lock_state(find_changes()),
        "Parameters": difference("params", before.name),
        "Better or worse": comparison(before, after),
        "Metrics": difference("metrics", before.name),
    }
    sections = (f"## {title}\n\n{content.strip()}\n" for title, content in parts.items())
    return "\n".join([f"# {heading(before, after)}\n", *sections])


def lock_state(changes: list[str]) -> str:
    """Whether the metrics are of the code and the parameters."""
    if not changes:
        return "Up to date: the metrics are of this code and these parameters."
    return "\n".join(["Out of date:\n", *(f"- {change}" for change in changes), f"\nSo {ADVICE}."])


def difference(kind: str, base: str) -> str:
    """DVC's table of ``params`` or ``metrics`` that are others than in ``base``.

    Raises:
        UserError: if DVC fails.
    """
    table = dvc(kind, "diff", "--md", base).strip()
    return table if len(table.splitlines()) > 2 else "No change."  # where there is none DVC prints the table's head


def comparison(before: Result, after: Result) -> str:
    """What `segcore.compare` says, in Markdown, or why it cannot: a change of the data has a report, too."""
    from rich.console import Console

    said = io.StringIO()
    try:
        compare.show(before, after, Console(file=said, width=compare.WIDE, highlight=False), md=True)
    except UserError as reason:
        return f"Not known: {reason}."
    return "\n".join(line.rstrip() for line in said.getvalue().splitlines())


def plots(before: Result) -> Iterator[str]:
    """The plots of dvc.yaml, old and new in one, as pictures in HTML.

    Raises:
        UserError: if DVC fails.
    """
    import vl_convert

    with tempfile.TemporaryDirectory() as folder:  # where DVC puts pictures, which are not looked at here
        drawn = json.loads(dvc("plots", "diff", "--json", "--out", folder, before.name))
    for failed in drawn.get("errors", []):
        yield webpage.paragraph(f"{failed['name']} of {failed['rev']} cannot be drawn: {failed['msg']}")
    for name, parts in drawn["data"].items():
        for part in parts:
            if part["type"] == "vega":
                # Not as elements of the page: names that each of them defines would be taken for one another.
                yield webpage.picture(vl_convert.vegalite_to_svg(part["content"]).encode(), "svg+xml", name)


def panels(before: Result, after: Result) -> Iterator[str]:
    """The frames that changed most and those that are worst now, as pictures in HTML, or why there are none."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError

    try:
        check_same_frames(before, after)
    except UserError as reason:
        yield webpage.paragraph(f"No frames: {reason}.")
        return
    scores = compare.frame_scores(before.counts, after.counts)
    shown = {
        CHANGED: compare.changes(before.counts, after.counts).head(compare.FRAMES),
        "Worst frames": scores.sort_values("after", kind="stable").head(WORST),
    }
    for title, frames in shown.items():
        yield f"<h2>{title}</h2>"
        if frames.empty:
            yield webpage.paragraph("None.")
        try:
            cache = DVCFileSystem(rev=before.commit)
            for (drive, name), score in frames.iterrows():
                drawn = draw_change(Frame("val", drive, name), score, cache)
                yield webpage.picture(drawn, "png", f"{title}: {drive}/{name}")
        except (FileNotFoundError, DataIndexDirError):
            yield (
                "<p>No more frames are here. <code>dvc pull</code> brings those of the workspace, "
                "<code>dvc fetch --all-commits</code> those of other commits, where they were pushed.</p>"
            )
        except (UserError, OSError, ValueError, DvcException) as error:
            yield webpage.paragraph(f"No more frames can be read: {error}.")


def draw_change(frame: Frame, score: "Series", cache: "DVCFileSystem") -> bytes:
    """A PNG of a validation frame, its truth, and what was predicted ``before``, by ``cache``, and ``after``."""
    from segcore import drawing, pages, pictures

    drawn = pages.val_pictures(frame)
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder, frame.label.name)
        cache.get_file(f"{pages.PREDICTIONS}/{frame.split}/{frame.drive}/{frame.label.name}", str(old))
        predicted = pictures.read_labels(old, drawn["frame"].size)
    shown = {
        "frame": drawn["frame"],
        "truth": drawn["truth"],
        f"before: mean IoU {score['before']:.3f}": drawing.overlay(drawn["frame"], predicted),
        f"after: mean IoU {score['after']:.3f}": drawn["prediction"],
    }
    content = io.BytesIO()
    drawing.panel(f"{frame.drive}/{frame.name}", shown).save(content, "PNG")
    return content.getvalue()


def with_links(table: str, pictures: str) -> str:
    """HTML with a table of frames, each name a link to its picture where there is one."""
    for name in set(re.findall(rf'alt="{CHANGED}: ([^"]*)"', pictures)):
        table = table.replace(f">{name}</td>", f">{webpage.link(unescape(name), f'{CHANGED}: {unescape(name)}')}</td>")
    return table


def markup(text: str) -> str:
    """Markdown as HTML; what looks like HTML in it stays text."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").render(text)


if __name__ == "__main__":
    console.run(main)
