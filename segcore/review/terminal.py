"""Print the output of the commands compare and scores."""

from math import isnan

from rich.console import Console
from rich.table import Table
from rich.text import Text

from segcore.files.images import RENDERS
from segcore.files.scores import read_scores
from segcore.review.comparison import MORE_SEEDS, UNKNOWN, compare, listed
from segcore.review.results import default_base, load
from segcore.review.seeds import MIOU, find_seeds, seed_scores
from segcore.runtime.errors import UserError
from segcore.templates.jinja import render

STYLE = {"better": "green", "worse": "red", "same": "dim", "no evidence": "dim", "seed noise": "dim", "–": "dim"}


def print_comparison(base: str, new: str, md: bool) -> None:
    """Print the comparison of two results, as tables for the terminal or in Markdown.

    Raises:
        GitError: if git cannot be asked.
        UserError: if there are no two results of the same classes and frames.
    """
    comparison = compare(load(base or default_base()), load(new))
    if md:
        print(render("review/comparison.md.jinja", comparison=comparison), end="")
        return
    screen = Console(highlight=False)
    screen.print(comparison.title, markup=False, soft_wrap=True)
    for heading, (head, rows) in comparison.tables().items():
        screen.print(Text(f"\n{heading}", "bold"))  # not as the table's own title, which a narrow table would break
        table = Table()
        for name in head:
            table.add_column(name, justify="left" if name in ("class", "frame", "verdict") else "right")
        for row in rows:
            table.add_row(*(Text(cell, STYLE.get(cell, "")) for cell in row))
        screen.print(table)
    screen.print(f"\n{comparison.noise}", markup=False, soft_wrap=True)


def print_scores() -> None:
    """Print the scores of the workspace, and the paths of the rendered pictures."""
    scores = read_scores()
    means = {"mIoU": scores.miou, "mIoU at native size": scores.miou_native}
    if "miou_flip" in scores.model_fields_set:
        means["mIoU with flip"] = scores.miou_flip
    table = Table("class", title="IoU on val")
    table.add_column("IoU", justify="right")
    for group in (scores.iou, means | {"pixel accuracy": scores.pixel_accuracy}):
        for name, value in group.items():
            shown = "–" if value is None else f"{value:.4f}"
            table.add_row(Text(name), shown, style="bold" if name == "mIoU" else "")
        table.add_section()
    screen = Console(highlight=False)
    screen.print(table)
    for path in ["Pictures to open:", *(f"  {path}" for path in sorted(RENDERS.iterdir()))]:
        screen.print(path, markup=False, soft_wrap=True)


def print_seeds() -> None:
    """Print the scores of the seeds of the workspace's recipe: mean, standard deviation (of a sample), and range.

    Raises:
        GitError: if git cannot be asked.
        UserError: if dvc.lock does not say what made the metrics.
    """
    [seeds] = find_seeds(load(""))
    if not seeds.counts:
        raise UserError(f"{UNKNOWN.format('the workspace')}: run `dvc repro`")
    scores = seed_scores(seeds)
    table = Table("class", title=f"IoU on val over {len(scores)} seed{'s' * (len(scores) > 1)}")
    for name in ("mean", "sd", "lowest", "highest"):
        table.add_column(name, justify="right")
    summary = scores.agg(["mean", "std", "min", "max"]).T
    for name, row in [*summary.drop(MIOU).iterrows(), (MIOU, summary.loc[MIOU])]:
        shown = ("–" if isnan(value) else f"{value:.4f}" for value in row)
        table.add_row(Text(str(name)), *shown, style="bold" if name == MIOU else "")
    screen = Console(highlight=False)
    screen.print(table)
    screen.print(f"mIoU by seed: {listed(scores)}.", soft_wrap=True)
    if len(scores) == 1:
        screen.print(f"{MORE_SEEDS} make more seeds of this recipe.", markup=False, soft_wrap=True)
