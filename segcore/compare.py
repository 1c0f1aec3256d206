"""`python -m segcore.compare [BASE] [NEW]`: what is better or worse, and whether other drives would say so."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import pandas as pd
import typer

from segcore import bootstrap, console
from segcore.console import UserError
from segcore.counts import score
from segcore.labels import CLASSES
from segcore.results import FRAME, Result, check_same_frames, default_base, load
from segcore.revisions import GitError
from segcore.seeds import MIOU, seed_scores, spread

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FRAMES = 10  # of those that changed most, to show
PIXELS = ["tp", "fp", "fn"]
ROUNDING = 0.0001  # the scores of two seeds have 4 decimals, so their difference can be so much off
WIDE = 1000  # columns: Markdown has no broken lines
STYLE = {"better": "green", "worse": "red", "same": "dim", "no evidence": "dim", "seed noise": "dim", "–": "dim"}


class Line(NamedTuple):
    """The IoU of a class, or the mean of all, in both results, and the interval of its change; NaN: there is none.

    ``seeds``: how far it is apart in results that differ in nothing but the seed; NaN: not known.
    """

    name: str
    base: float
    new: float
    low: float
    high: float
    seeds: float

    @property
    def verdict(self) -> str:
        """Better or worse if the interval leaves zero out, and seeds are less apart; in the decimals that are shown."""
        if np.isnan(self.low):
            return "–"
        low, high, change = (round(value, 4) for value in (self.low, self.high, self.new - self.base))
        if low == high == 0:
            return "same"
        if low <= 0 <= high:
            return "no evidence"
        if abs(change) <= round(self.seeds + ROUNDING, 4):
            return "seed noise"
        return "better" if low > 0 else "worse"


def main(
    base: Annotated[str, typer.Argument(help="A commit or experiment.", show_default="where main was left")] = "",
    new: Annotated[str, typer.Argument(help="Another one.", show_default="the workspace")] = "",
    md: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
) -> None:
    """Compare two results: IoU before and after, the 95 % interval of the change, and the frames that changed most.

    Without BASE it is where this branch left main; on main itself the last
    commit if the workspace has other counts than it, else the one before.

    Reads: metrics/frames.csv, metrics/evaluate.json and dvc.lock of both; the
    latter two also of all commits and experiments, for those that differ in
    nothing but the seed.

    Exit code: 0 whatever the verdicts are; 1 if the two cannot be compared.
    """
    from rich.console import Console

    try:
        before, after = load(base or default_base()), load(new)
        show(before, after, Console(width=WIDE if md else None, highlight=False), md)
    except GitError as reason:
        raise UserError(f"other commits cannot be read: {reason}") from None


def show(before: Result, after: Result, screen: "Console", md: bool) -> None:
    """Print the comparison, with tables for a terminal or in Markdown.

    Raises:
        GitError: if git cannot be asked.
        UserError: if the two are not of the same frames.
    """
    from rich import box

    check_same_frames(before, after)
    seeds = seed_scores(before, after)
    lines = compare(before.counts, after.counts, spread(seeds))
    screen.print(f"{before.name} → {after.name}: {count(before.counts)}", markup=False, soft_wrap=True)
    tables = {
        "IoU, IDD-Lite protocol": class_table(lines),
        "Mean IoU of the frames that changed most": frame_table(before.counts, after.counts),
    }
    for title, table in tables.items():
        if md:
            table.box = box.MARKDOWN
        # Not as the table's own title, which would be broken where the table is narrow.
        screen.print(f"\n**{title}**" if md else f"\n[bold]{title}")
        screen.print(table)
    screen.print(f"\n{noise(before, seeds)}", markup=False, soft_wrap=True)


def compare(base: pd.DataFrame, new: pd.DataFrame, seeds: dict[str, float]) -> list[Line]:
    """One line for the mean IoU and one for each class, of two tables with the same frames, and ``spread`` of seeds."""
    before, after = by_drive(base), by_drive(new)
    ends = bootstrap.intervals(before, after)
    both = bootstrap.scores(before.sum(0)), bootstrap.scores(after.sum(0))
    names = [*CLASSES, MIOU]
    apart = [seeds.get(name, np.nan) for name in names]
    lines = [Line(*line) for line in zip(names, *both, *ends.T, apart, strict=True)]
    return [lines[-1], *lines[:-1]]


def by_drive(counts: pd.DataFrame) -> np.ndarray:
    """Counts D×C×3 of the drives in order of their names; a class that a drive does not have has none."""
    sums = counts.groupby(["drive", "class"])[PIXELS].sum()
    every = pd.MultiIndex.from_product([sorted(counts["drive"].unique()), CLASSES])
    return sums.reindex(every, fill_value=0).to_numpy(float).reshape(-1, len(CLASSES), len(PIXELS))


def changes(base: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The mean IoU of the frames that changed, before and after, and the change, the largest first."""
    both = frame_scores(base, new)
    moved = both[both["change"] != 0]
    return moved.sort_values("change", key=lambda change: -change.abs(), kind="stable")


def frame_scores(base: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The mean IoU of each frame before and after, and the change."""
    both = pd.DataFrame({"before": score(base), "after": score(new)})
    return both.assign(change=both["after"] - both["before"])


def noise(base: Result, scores: dict[int, dict[str, float]]) -> str:
    """What other seeds of the base's recipe came to, by seed, which the intervals have nothing of."""
    about = "Each interval is for itself, and says what other drives could; what another seed could is not in it"
    if not scores:
        return f"{about}, and not known: {base.name}'s dvc.lock does not say what made its metrics."
    if len(scores) < 2:
        return (
            f"{about}, and not known: no result here is of {base.name}'s recipe with another seed; "
            "`dvc exp run -S train.seed=…` makes one."
        )
    listed = ", ".join(f"{seed}: {each[MIOU]:.4f}" for seed, each in scores.items())
    return (
        f"{about}: the mIoU of {len(scores)} seeds of {base.name}'s recipe is up to {spread(scores)[MIOU]:.4f} apart "
        f"({listed}); a change no larger than what they are apart in the class is called seed noise, "
        f"and one that is luck alone is larger in at most 1 of {len(scores)} cases."
    )


def count(counts: pd.DataFrame) -> str:
    """How many frames and drives, and what follows where these are few."""
    drives, frames = counts["drive"].nunique(), counts.groupby(FRAME).ngroups
    said = f"{frames} frames of {drives} drives"
    return (
        said
        if drives >= bootstrap.DRIVES
        else f"{said}; fewer than {bootstrap.DRIVES} say too little about others for an interval"
    )


def class_table(lines: list[Line]) -> "Table":
    """IoU before and after, the change and its interval, and the verdict."""
    table = new_table(["before", "after", "change", "95 % interval"])
    table.add_column("verdict")
    for line in lines:
        ends = number(line.low, "+.4f"), number(line.high, "+.4f")
        interval = "–" if np.isnan(line.low) else " to ".join(ends)
        numbers = number(line.base), number(line.new), number(line.new - line.base, "+.4f")
        verdict = f"[{STYLE[line.verdict]}]{line.verdict}"
        table.add_row(line.name, *numbers, interval, verdict)
    return table


def frame_table(base: pd.DataFrame, new: pd.DataFrame) -> "Table":
    """The frames that changed most, and how many are better and worse."""
    from rich.markup import escape

    moved = changes(base, new)
    table = new_table(["before", "after", "change"])
    for (drive, frame), row in moved.head(FRAMES).iterrows():
        numbers = number(row["before"]), number(row["after"]), number(row["change"], "+.4f")
        table.add_row(escape(f"{drive}/{frame}"), *numbers)
    table.add_row("all frames", "", "", f"{(moved['change'] > 0).sum()} up, {(moved['change'] < 0).sum()} down")
    return table


def new_table(columns: list[str]) -> "Table":
    """A table with a column of names without a heading, and these columns of numbers."""
    from rich.table import Table

    table = Table("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def number(value: float, form: str = ".4f") -> str:
    """Four decimals, or a dash where there is no number."""
    return "–" if np.isnan(value) else f"{round(value, 4) + 0.0:{form}}"  # + 0.0, so that nothing is -0.0000


if __name__ == "__main__":
    console.run(main)
