"""How far the score moves when nothing changes but the seed, by the results that are here."""

import hashlib
import json
from typing import Any, NamedTuple

import yaml

from segcore.history import LOCK, MODEL
from segcore.results import METRICS, Result
from segcore.revisions import changed, read_each

MIOU = "mIoU"


class Run(NamedTuple):
    """A result as its dvc.lock has it: what made it but for the seed, as one text; the seed; mIoU and IoU by class."""

    recipe: str
    seed: int
    scores: dict[str, float]


def seed_scores(base: Result, new: Result) -> dict[int, dict[str, float]]:
    """MIoU and IoU by class of each seed: of all commits and experiments, and ``new``, with the recipe of ``base``.

    Of several results with one seed, as on other machines, it is the newest one's. Empty if the recipe is not known.

    Raises:
        GitError: if git cannot be asked.
    """
    wanted = read_run(base.lock, base.metrics)
    if wanted is None:
        return {}
    commits = [commit for [commit] in changed(LOCK)]
    locks, metrics = read_each(commits, LOCK), read_each(commits, METRICS)
    runs = [read_run(new.lock, new.metrics), wanted]
    runs += [read_run(locks[commit], metrics[commit]) for commit in commits if commit in locks and commit in metrics]
    found = {run.seed: run.scores for run in reversed(runs) if run and run.recipe == wanted.recipe}
    return dict(sorted(found.items()))


def spread(scores: dict[int, dict[str, float]]) -> dict[str, float]:
    """How far each score of the seeds is apart, of those that at least two seeds have."""
    names = {name for each in scores.values() for name in each}
    found = {name: [each[name] for each in scores.values() if name in each] for name in names}
    return {name: max(values) - min(values) for name, values in found.items() if len(values) > 1}


def read_run(lock: bytes, metrics: bytes) -> Run | None:
    """The run that dvc.lock tells of, if the metrics are its own, else nothing."""
    try:
        stages = yaml.load(lock, yaml.CSafeLoader)["stages"]
        train, evaluate = stages["train"], stages["evaluate"]
        read = [
            _digests(train["deps"]),
            {path: md5 for path, md5 in _digests(evaluate["deps"]).items() if path != MODEL},
        ]
        # What evaluate's parameters decide is not in the plain mIoU.
        params = train["params"]["params.yaml"]
        seed, scored = params["train"].pop("seed"), json.loads(metrics)
        scores = {MIOU: scored["miou"], **scored.get("iou", {})}
        own = _digests(evaluate["outs"])[METRICS] == hashlib.md5(metrics).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):  # not as DVC and evaluate write them
        return None
    if not (own and isinstance(seed, int) and isinstance(scores[MIOU], float)):
        return None
    known = {name: score for name, score in scores.items() if isinstance(score, float)}
    return Run(json.dumps([read, params], sort_keys=True), seed, known)


def _digests(files: list[dict[str, Any]]) -> dict[str, str]:
    return {file["path"]: file["md5"] for file in files}
