"""Seeds: the results that differ from a result in nothing but the seed, and how much their scores differ.

Runs have the same recipe if dvc.lock records the same parameters and digests for them, the seed left out. Code can also
change without a change of scores, for example when it is moved. So two recipes count as the same, too, if a run of each
with the same seed gave the same counts in every frame. Counts that several seeds gave do not show this: a network that
learnt nothing may predict one class everywhere.
"""

import hashlib
import json
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import pandas as pd

from segcore.files.model import MODEL
from segcore.files.scores import COUNTS, PIXELS, read_counts
from segcore.repository.dvc import LOCK, digests, read_stages
from segcore.repository.git import changed, read_each
from segcore.review import bootstrap
from segcore.review.results import Result, ground_truth
from segcore.runtime.errors import UserError

MIOU = "mIoU"


class Seeds(NamedTuple):
    """The counts of each seed of a recipe, and all forms in which dvc.lock records it; empty if it is not known.

    ``unstable`` are the seeds that gave different counts in different runs.
    """

    recipes: set[str]
    counts: dict[int, pd.DataFrame]
    unstable: list[int]


class Run(NamedTuple):
    """A run as dvc.lock records it: all that made its scores except the seed, as text; the seed; the counts' digest."""

    recipe: str
    seed: int
    digest: str


def find_seeds(*results: Result) -> list[Seeds]:
    """Return the seeds of each result's recipe, from these results and from all commits and experiments.

    If several runs have the same seed, the result itself counts, then the other results, then the newest commit. The
    recipe is not known where dvc.lock does not say what made the result.

    Raises:
        GitError: if git cannot be asked.
    """
    commits = [commit for [commit] in changed(LOCK)]
    locks = read_each(commits, LOCK)
    parsed = {lock: read_run(lock) for lock in set(locks.values())}
    recorded = {commit: run for commit in commits if commit in locks and (run := parsed[locks[commit]])}
    made = [(own_run(result), result) for result in results]
    known = {*recorded.values(), *(run for run, _ in made if run)}
    return [_seeds_of(run, result, recorded, made, known) if run else Seeds(set(), {}, []) for run, result in made]


def own_run(result: Result) -> Run | None:
    """Return the run that made a result, or ``None`` if its dvc.lock does not say."""
    run = read_run(result.lock)
    return run if run and run.digest == result.digest else None


def read_run(lock: bytes) -> Run | None:
    """Return the run that a dvc.lock records, or ``None`` if it is damaged, or evaluate ran with a different model."""
    try:
        stages = read_stages(lock)
        train, evaluate = stages["train"], stages["evaluate"]
        read = digests(train["deps"]), (evaluated := digests(evaluate["deps"]))
        if evaluated.pop(str(MODEL)) != digests(train["outs"])[str(MODEL)]:
            return None
        # The parameters of evaluate do not change the counts.
        params = train["params"]["params.yaml"]
        seed, digest = params["train"].pop("seed"), digests(evaluate["outs"])[str(COUNTS)]
        return Run(json.dumps([*read, params], sort_keys=True), seed, digest) if isinstance(seed, int) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


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


def _seeds_of(
    run: Run, result: Result, recorded: dict[str, Run], made: list[tuple[Run | None, Result]], known: set[Run]
) -> Seeds:
    recipes = _same_recipes(run, known)
    counts = _read({commit: other for commit, other in recorded.items() if other.recipe in recipes})
    counts |= {other.seed: its.counts for other, its in made if other and other.recipe in recipes}
    counts[run.seed] = result.counts
    truth = ground_truth(result.counts)  # the same by dvc.lock, which may have been changed by hand
    counts = {seed: table for seed, table in sorted(counts.items()) if ground_truth(table).equals(truth)}
    gave = Counter(seed for seed, _ in {other[1:] for other in known if other.recipe in recipes})
    return Seeds(recipes, counts, sorted(seed for seed, number in gave.items() if number > 1))


def _same_recipes(run: Run, known: set[Run]) -> set[str]:
    """Return the recipe of a run, and those that gave the same counts with the same seed as one of them."""
    seeds = Counter(digest for _, digest in {other[1:] for other in known})
    telling = [other for other in known if seeds[other.digest] == 1]
    recipes, before = {run.recipe}, 0
    while len(recipes) > before:
        before = len(recipes)
        gave = {other[1:] for other in telling if other.recipe in recipes}
        recipes |= {other.recipe for other in telling if other[1:] in gave}
    return recipes


def _read(runs: dict[str, Run]) -> dict[int, pd.DataFrame]:
    """Return the counts by seed from runs by commit, newest first; those that are not as recorded are left out."""
    contents, found = read_each(runs, str(COUNTS)), {}
    for commit, run in runs.items():
        content = contents.get(commit, b"")
        if run.seed not in found and hashlib.md5(content).hexdigest() == run.digest:
            with suppress(UserError):  # no table, and dvc.lock records it
                found[run.seed] = read_counts(content, str(COUNTS))
    return found
