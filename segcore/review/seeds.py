"""Seeds: the results that differ from a result in nothing but the seed, and how much their scores differ.

Runs have the same recipe if dvc.lock records the same parameters and digests for them, the seed left out. Code can also
change without a change of scores, for example when it is moved. So two recipes count as the same, too, if a run of each
with the same seed gave the same counts in every frame.
"""

import hashlib
import json
from typing import NamedTuple

import pandas as pd

from segcore.files.model import MODEL
from segcore.files.scores import COUNTS, PIXELS, read_counts
from segcore.repository.dvc import LOCK, digests, read_stages
from segcore.repository.git import changed, read_each
from segcore.review import bootstrap
from segcore.review.results import Result

MIOU = "mIoU"


class Seeds(NamedTuple):
    """The counts of each seed of a recipe, and all forms in which dvc.lock records it; empty if it is not known."""

    recipes: set[str]
    counts: dict[int, pd.DataFrame]


class Run(NamedTuple):
    """What a dvc.lock records: everything that made the scores except the seed, the seed, and the counts' digest."""

    recipe: str
    seed: int
    digest: str


def find_seeds(*results: Result) -> list[Seeds]:
    """Return the seeds of each result's recipe, from these results and from all commits and experiments.

    Of several with the same seed, the result itself counts, then the other results, then the newest commit. The recipe
    is not known where dvc.lock does not say what made the result.

    Raises:
        GitError: if git cannot be asked.
        UserError: if counts in a commit cannot be read.
    """
    commits = [commit for [commit] in changed(LOCK)]
    locks = read_each(commits, LOCK)
    parsed = {lock: read_run(lock) for lock in set(locks.values())}
    recorded = {commit: run for commit in commits if commit in locks and (run := parsed[locks[commit]])}
    own = [run if (run := read_run(result.lock)) and run.digest == result.digest else None for result in results]
    known = {*recorded.values(), *filter(None, own)}
    pairs, seeds = list(zip(own, results, strict=True)), []
    for run, result in pairs:
        if run is None:
            seeds.append(Seeds(set(), {}))
            continue
        recipes = _same_recipes(run, known)
        counts = _read({commit: other for commit, other in recorded.items() if other.recipe in recipes})
        counts |= {other.seed: made.counts for other, made in pairs if other and other.recipe in recipes}
        counts[run.seed] = result.counts
        seeds.append(Seeds(recipes, dict(sorted(counts.items()))))
    return seeds


def read_run(lock: bytes) -> Run | None:
    """Return the run that a dvc.lock records, or ``None`` if DVC did not write it so."""
    try:
        stages = read_stages(lock)
        train, evaluate = stages["train"], stages["evaluate"]
        read = digests(train["deps"]), {**digests(evaluate["deps"]), str(MODEL): ""}
        # The parameters of evaluate do not change the counts.
        params = train["params"]["params.yaml"]
        seed, digest = params["train"].pop("seed"), digests(evaluate["outs"])[str(COUNTS)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Run(json.dumps([*read, params], sort_keys=True), seed, digest) if isinstance(seed, int) else None


def seed_scores(seeds: Seeds) -> pd.DataFrame:
    """Return a table of mIoU and the IoU of each class, a row for each seed; NaN for a class without pixels."""
    rows, names = [], [MIOU]
    for counts in seeds.counts.values():
        sums = counts.groupby("class", sort=False)[PIXELS].sum()
        *classes, mean = bootstrap.scores(sums.to_numpy(float))
        rows.append([mean, *classes])
        names = [MIOU, *sums.index]
    return pd.DataFrame(rows, list(seeds.counts), names, dtype=float)


def spread(scores: pd.DataFrame) -> pd.Series:
    """Return the largest difference between seeds in each score; NaN unless two seeds have it."""
    return (scores.max() - scores.min()).where(scores.count() > 1)


def _same_recipes(run: Run, known: set[Run]) -> set[str]:
    """Return the recipe of a run, and those that gave the same counts with the same seed as one of them."""
    recipes, before = {run.recipe}, 0
    while len(recipes) > before:
        before = len(recipes)
        gave = {other[1:] for other in known if other.recipe in recipes}
        recipes |= {other.recipe for other in known if other[1:] in gave}
    return recipes


def _read(runs: dict[str, Run]) -> dict[int, pd.DataFrame]:
    """Return the counts by seed from runs by commit, newest first; those that are not as recorded are left out."""
    contents, found = read_each(runs, str(COUNTS)), {}
    for commit, run in runs.items():
        content = contents.get(commit, b"")
        if run.seed not in found and hashlib.md5(content).hexdigest() == run.digest:
            found[run.seed] = read_counts(content, f"{COUNTS} of {commit[:7]}")
    return found
