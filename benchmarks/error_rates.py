"""How often `gate --not-worse` and verdicts are wrong: ``python -m benchmarks.error_rates BASE WORSE``.

BASE and WORSE are commits or experiments with several seeds each, of the same frames. The pixels of BASE's seeds on all
drives are taken for the whole truth. Each trial draws as many drives as there are, with replacement, and some seeds for
each of two sides, none twice. The true loss of the second side is made from WORSE: the counts of each of its seeds are
mixed with the mean counts of WORSE's seeds, in the proportion that costs exactly this much mIoU over all seeds and
drives. So the loss differs between drives and classes as between two real recipes.
"""

from typing import Annotated

import numpy as np
import typer

from benchmarks.report import publish
from segcore.files.scores import classes_of
from segcore.review import bootstrap
from segcore.review.comparison import drive_counts
from segcore.review.results import check_same_frames, load
from segcore.review.seeds import find_seeds

LOSSES = (0.0, 0.005, 0.01, 0.02)
MARGINS = (0.005, 0.01, 0.02)
RESAMPLES = 2000  # fewer than in a comparison, to save time


def main(
    base: Annotated[str, typer.Argument()],
    worse: Annotated[str, typer.Argument()],
    trials: Annotated[int, typer.Option(min=1)] = 1000,
) -> None:
    """Measure the share of trials in which the gate passes, by numbers of seeds, true loss and margin."""
    bootstrap.RESAMPLES = RESAMPLES
    good, bad = load(base), load(worse)
    check_same_frames(good, bad)
    names = classes_of(good.counts)
    sides = [list(seeds.counts.values()) for seeds in find_seeds(good, bad)]
    seeds, other = (np.stack([drive_counts(counts, names) for counts in side]) for side in sides)
    rows = []
    for number in (count for count in (1, 2, 3, 5) if 2 * count <= len(seeds)):
        for loss in LOSSES:
            lost = seeds + _share(seeds, other.mean(0), loss) * (other.mean(0) - seeds)
            ends = np.array([_trial(seeds, lost, number, trial) for trial in range(trials)])
            rows.append({"seeds": number, "loss": loss} | _rates(ends))
    scores = bootstrap.scores(seeds.sum(1))[:, -1]
    about = {"trials": trials, "resamples": RESAMPLES, "drives": seeds.shape[1]}
    about |= {"base_seeds": len(seeds), "base_miou": round(scores.mean(), 4), "base_sd": round(scores.std(ddof=1), 4)}
    publish("error_rates", "Share of trials in which the gate passes", rows, **about)


def _share(seeds: np.ndarray, other: np.ndarray, loss: float) -> float:
    """Return the share of ``other`` in a mixture that costs ``loss`` of mIoU, by halving an interval."""
    least, most, wanted = 0.0, 1.0, _miou(seeds) - loss
    if _miou(seeds + most * (other - seeds)) > wanted:
        raise typer.BadParameter(f"WORSE is better than BASE less {loss}")
    for _ in range(40):
        middle = (least + most) / 2
        least, most = (middle, most) if _miou(seeds + middle * (other - seeds)) > wanted else (least, middle)
    return least


def _trial(seeds: np.ndarray, lost: np.ndarray, number: int, trial: int) -> np.ndarray:
    """Return the ends of the interval of the change in mIoU between two samples."""
    random = np.random.default_rng(trial)
    drives = random.integers(0, seeds.shape[1], seeds.shape[1])
    chosen = random.permutation(len(seeds))[: 2 * number]
    sides = seeds[chosen[:number]][:, drives], lost[chosen[number:]][:, drives]
    return bootstrap.intervals(*sides)[-1]


def _rates(ends: np.ndarray) -> dict[str, float]:
    """Return the share of trials that pass with each margin and that are called worse or better; the mean width."""
    low, high = ends.T
    passed = {f"passes {margin:g}": ((low >= -margin) & (high >= 0)).mean() for margin in MARGINS}
    verdicts = {"worse": (high < 0).mean(), "better": (low > 0).mean(), "width": (high - low).mean()}
    return {name: round(float(value), 4) for name, value in (passed | verdicts).items()}


def _miou(seeds: np.ndarray) -> float:
    return float(bootstrap.scores(seeds.sum(1))[:, -1].mean())


if __name__ == "__main__":
    typer.run(main)
