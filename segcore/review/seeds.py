"""Seed noise: how much the scores differ between results that differ in nothing but the seed."""

import hashlib
import json
from typing import NamedTuple

from segcore.files.model import MODEL
from segcore.files.scores import SCORES
from segcore.repository.dvc import LOCK, digests, read_stages
from segcore.repository.git import changed, read_each
from segcore.review.results import Result

MIOU = "mIoU"

SeedScores = dict[str, float]  # mIoU, and the IoU of each class that has one


class Run(NamedTuple):
    """A result as dvc.lock records it: everything that made it except the seed, as text; the seed; its scores."""

    inputs: str
    seed: int
    scores: SeedScores


def seed_scores(base: Result, new: Result) -> dict[int, SeedScores]:
    """Return scores by seed, from all results with the recipe of ``base``: commits, experiments and ``new``.

    If several results have the same seed, the newest counts. Empty if the recipe is not known.

    Raises:
        GitError: if git cannot be asked.
    """
    wanted = read_run(base.lock, base.scores)
    if wanted is None:
        return {}
    commits = [commit for [commit] in changed(LOCK)]
    locks, scores = read_each(commits, LOCK), read_each(commits, str(SCORES))
    runs = [read_run(new.lock, new.scores), wanted]
    runs += [read_run(locks[commit], scores[commit]) for commit in commits if commit in locks and commit in scores]
    found = {run.seed: run.scores for run in reversed(runs) if run and run.inputs == wanted.inputs}
    return dict(sorted(found.items()))


def spread(seeds: dict[int, SeedScores]) -> SeedScores:
    """Return the largest difference between seeds in each score that at least two of them have."""
    names = {name for scores in seeds.values() for name in scores}
    values = {name: [scores[name] for scores in seeds.values() if name in scores] for name in names}
    return {name: max(known) - min(known) for name, known in values.items() if len(known) > 1}


def read_run(lock: bytes, scores: bytes) -> Run | None:
    """Return the run that a dvc.lock records, if ``scores`` is the evaluate.json of that run, else ``None``."""
    try:
        stages = read_stages(lock)
        train, evaluate = stages["train"], stages["evaluate"]
        read = digests(train["deps"]), {**digests(evaluate["deps"]), str(MODEL): ""}
        # The parameters of evaluate do not change the plain mIoU.
        params = train["params"]["params.yaml"]
        seed, scored = params["train"].pop("seed"), json.loads(scores)
        named = {MIOU: scored["miou"], **scored.get("iou", {})}
        own = digests(evaluate["outs"])[str(SCORES)] == hashlib.md5(scores).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError):  # not as DVC and evaluate write them
        return None
    if not (own and isinstance(seed, int) and isinstance(named[MIOU], float)):
        return None
    known = {name: score for name, score in named.items() if isinstance(score, float)}
    return Run(json.dumps([*read, params], sort_keys=True), seed, known)
