"""Compare two results, and make the texts and tables that other modules print or put on a page."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from segcore.files.scores import FRAME, PIXELS, classes_of, frame_scores
from segcore.review import bootstrap
from segcore.review.results import Result, check_same_classes, check_same_frames
from segcore.review.seeds import MIOU, find_seeds, seed_scores, spread

SHOWN_FRAMES = 10  # the most frames to show: half worse and half better, or more of one if there are few of the other
MORE_SEEDS = "`dvc exp run --queue -S 'train.seed=range(1,6)'` and `dvc queue start`"
UNKNOWN = "{}'s dvc.lock does not say what made its metrics"
ROUNDING = 0.0001  # each score has 4 decimals, so the difference of two can be off by as much


class Line(NamedTuple):
    """The IoU of a class, or mIoU, before and after, the interval of its change, its range over seeds; NaN if none.

    The range is NaN also where the interval already covers the choice of seeds.
    """

    name: str
    base: float
    new: float
    low: float
    high: float
    seeds: float

    @property
    def verdict(self) -> str:
        """Better or worse, or same, no evidence, seed noise, or – without an interval.

        Better and worse need an interval without zero, and a change larger than that of seeds, in the decimals shown.
        """
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


class Table(NamedTuple):
    """A table of text: the names of its columns, and its rows."""

    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Comparison:
    """The change between two results.

    ``lines`` begin with mIoU. If there are several seeds of both recipes, they are about the means over these, and the
    comparison is ``pooled``. ``frames`` has the columns drive, frame, mean IoU before, after, and its change;
    ``changed`` has the rows whose change is not 0, the largest first. Both are about the two results alone.
    ``seeds`` has the scores of each seed of both recipes, as :func:`segcore.review.seeds.seed_scores` gives them;
    ``unstable`` are those that gave different scores in different runs.
    """

    base: Result
    new: Result
    lines: list[Line]
    frames: pd.DataFrame
    changed: pd.DataFrame
    seeds: tuple[pd.DataFrame, pd.DataFrame]
    unstable: tuple[list[int], list[int]]
    pooled: bool

    @property
    def drives(self) -> int:
        """The number of drives that both are scored on."""
        return self.base.counts["drive"].nunique()

    @property
    def title(self) -> str:
        """The two results, and how many frames and drives they are scored on."""
        few = f"; fewer than {bootstrap.MIN_DRIVES} drives are too few for an interval"
        few = few if self.drives < bootstrap.MIN_DRIVES else ""
        frames = self.base.counts.groupby(FRAME).ngroups
        return f"{self.base.name} → {self.new.name}: {frames} frames of {self.drives} drives{few}"

    @property
    def shown(self) -> pd.DataFrame:
        """The rows of ``changed`` to show: those that became worse most, then those that became better most."""
        down = self.changed[self.changed["change"] < 0]
        up = self.changed[self.changed["change"] > 0].head(max(SHOWN_FRAMES // 2, SHOWN_FRAMES - len(down)))
        return pd.concat([down.head(SHOWN_FRAMES - len(up)), up])

    @property
    def noise(self) -> str:
        """How much drives and seeds could change the result, as far as that is known."""
        about = "By chance, one in 20 classes without a change seems to change."
        (seeds, others), recipe = self.seeds, f"{self.base.name}'s recipe"
        about += "".join(map(_instability, (self.base, self.new), self.unstable))
        if self.pooled:
            return (
                f"The IoU of a class and mIoU are means over {len(seeds)} seeds of {recipe} (mIoU by seed: "
                f"{listed(seeds)}) and {len(others)} seeds of {self.new.name}'s ({listed(others)}). Each interval says "
                f"how much the choice of drives and of seeds could change the result. {about}"
            )
        about = f"Each interval says how much the choice of drives could change the result. {about}"
        if seeds.empty:
            return f"{about} How much a different seed could change it is not known: {UNKNOWN.format(self.base.name)}."
        if len(seeds) < 2:
            return (
                f"{about} How much a different seed could change it is not known: no result here is of {recipe} with a "
                f"different seed. In {self.base.name}, {MORE_SEEDS} make some; `dvc exp pull` gets those of others."
            )
        return (
            f"{about} The mIoU of {len(seeds)} seeds of {recipe} differs by up to {spread(seeds)[MIOU]:.4f} "
            f"({listed(seeds)}). A change is called seed noise if it is no larger than the difference of these seeds "
            f"in the class; by luck alone it is larger in at most 1 of {len(seeds)} cases."
            + (f" With several seeds of {self.new.name}'s recipe, too, means are compared." if len(others) < 2 else "")
        )

    def tables(self) -> dict[str, Table]:
        """Return the tables of classes, and of the frames that became worse or better most, by their titles."""
        classes = []
        for line in self.lines:
            low, high, change = (_number(value, "+.4f") for value in (line.low, line.high, line.new - line.base))
            interval = "–" if np.isnan(line.low) else f"{low} to {high}"
            classes.append([line.name, _number(line.base), _number(line.new), change, line.verdict, interval])
        frames = [
            [f"{drive}/{frame}", _number(before), _number(after), _number(change, "+.4f")]
            for drive, frame, before, after, change in self.shown.to_numpy().tolist()
        ]
        up, down = (self.changed["change"] > 0).sum(), (self.changed["change"] < 0).sum()
        frames.append(["all frames", "", "", f"{up} up, {down} down"])
        head = ["before", "after", "change"]
        one_pair = f", in {self.base.name} and {self.new.name} alone" if self.pooled else ""
        return {
            "IoU on val, mean over seeds" if self.pooled else "IoU on val": Table(
                ["class", *head, "verdict", "95 % interval"], classes
            ),
            f"Mean IoU of the frames that became worse or better most{one_pair}": Table(["frame", *head], frames),
        }


def compare(base: Result, new: Result) -> Comparison:
    """Compare two results.

    Raises:
        GitError: if git cannot be asked.
        UserError: if they are not of the same classes and frames.
    """
    check_same_classes(base, new)
    check_same_frames(base, new)
    before, after = find_seeds(base, new)
    seeds = seed_scores(before), seed_scores(after)
    pooled = min(map(len, seeds)) > 1 and before.recipes != after.recipes
    sides = (before.counts, after.counts) if pooled else ({0: base.counts}, {0: new.counts})
    lines = _lines(*sides, None if pooled else spread(seeds[0]))
    frames = pd.DataFrame({"before": frame_scores(base.counts), "after": frame_scores(new.counts)}).reset_index()
    frames["change"] = frames["after"] - frames["before"]
    changed = frames[frames["change"] != 0].sort_values("change", key=lambda change: -change.abs(), kind="stable")
    unstable = before.unstable, after.unstable
    return Comparison(base, new, lines, frames, changed, seeds, unstable, pooled)


def _lines(base: dict[int, pd.DataFrame], new: dict[int, pd.DataFrame], between_seeds: pd.Series | None) -> list[Line]:
    names = classes_of(next(iter(base.values())))
    before, after = (np.stack([drive_counts(counts, names) for counts in side.values()]) for side in (base, new))
    names.append(MIOU)
    means = (bootstrap.scores(side.sum(1)).mean(0) for side in (before, after))
    ends = bootstrap.intervals(before, after).T
    seeds = [np.nan if between_seeds is None else between_seeds.get(name, np.nan) for name in names]
    *classes, mean = (Line(*line) for line in zip(names, *means, *ends, seeds, strict=True))
    return [mean, *classes]


def drive_counts(counts: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Return the counts D×C×3 of the drives in the order of their names; 0 for a class that a drive lacks."""
    sums = counts.groupby(["drive", "class"])[PIXELS].sum()
    every = pd.MultiIndex.from_product([sorted(counts["drive"].unique()), classes])
    return sums.reindex(every, fill_value=0).to_numpy(float).reshape(-1, len(classes), len(PIXELS))


def _instability(result: Result, seeds: list[int]) -> str:
    if not seeds:
        return ""
    which = ", ".join(map(str, seeds))
    reason = "versions of libraries, processor or number of threads differ"
    return f" With {result.name}'s recipe, seed {which} gave different scores in different runs: {reason}."


def listed(seeds: pd.DataFrame) -> str:
    """Return the mIoU of each seed as text."""
    return ", ".join(f"{seed}: {score:.4f}" for seed, score in seeds[MIOU].items())


def _number(value: float, form: str = ".4f") -> str:
    return "–" if np.isnan(value) else f"{round(value, 4) + 0.0:{form}}"  # + 0.0, so that nothing is -0.0000
