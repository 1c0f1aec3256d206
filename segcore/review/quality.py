"""Check whether a result is not worse than its base: a test of non-inferiority by the interval of the change in mIoU.

Source: Piaggio et al., "Reporting of noninferiority and equivalence randomized trials" (CONSORT), JAMA 308, 2012.
"""

from typing import NamedTuple

from segcore.files.scores import COUNTS
from segcore.repository.dvc import LOCK
from segcore.review.bootstrap import MIN_DRIVES
from segcore.review.comparison import Comparison, compare
from segcore.review.results import Result, default_base, load
from segcore.review.seeds import read_run
from segcore.runtime.errors import UserError


class Answer(NamedTuple):
    """Whether the new result is not worse, and a sentence that says so and why."""

    not_worse: bool
    text: str


def check(base: str, workspace: bool, margin: float) -> str:
    """Return that HEAD, or the workspace, is not worse than ``base``, or, if that is empty, than where it left main.

    Raises:
        GitError: if git cannot be asked.
        UserError: if it is worse, or may be worse by more than ``margin`` of mIoU, or the two cannot be compared.
    """
    before, after = load(base or default_base(workspace)), load("" if workspace else "HEAD")
    check_recorded(before)
    answer = judge(compare(before, after), margin)
    if not answer.not_worse:
        raise UserError(answer.text)
    return answer.text


def check_recorded(base: Result) -> None:
    """Check that the counts of a base are those that its dvc.lock records, if it has one.

    Raises:
        UserError: if they are not.
    """
    if (run := read_run(base.lock)) and run.digest != base.digest:
        raise UserError(f"{COUNTS} of {base.name} is not the one that its {LOCK} records: name a different BASE")


def judge(comparison: Comparison, margin: float) -> Answer:
    """Return whether the interval of the change in mIoU excludes a loss of more than ``margin`` and is not all loss."""
    mean, *classes = comparison.lines
    low, high, change = (round(value, 4) + 0.0 for value in (mean.low, mean.high, mean.new - mean.base))
    score = "mean mIoU" if comparison.pooled else "mIoU"
    what = f"{comparison.base.name} → {comparison.new.name}: {score} {mean.base:.4f} → {mean.new:.4f}"
    if comparison.base.digest == comparison.new.digest:
        return Answer(True, f"{what}: not worse, with the same {COUNTS}")
    if comparison.drives < MIN_DRIVES:
        return Answer(False, f"{what}: may be worse, as fewer than {MIN_DRIVES} drives are too few for an interval")
    over = "drives alone"
    if comparison.pooled:
        over = "drives and {} and {} seeds".format(*map(len, comparison.seeds))
    what += f", change {change:+.4f}, 95 % interval over {over} {low:+.4f} to {high:+.4f}"
    verdicts = {verdict: [line.name for line in classes if line.verdict == verdict] for verdict in ("better", "worse")}
    found = "".join(f"; classes {verdict}: {', '.join(names)}" for verdict, names in verdicts.items() if names)
    if mean.verdict == "worse":
        return Answer(False, f"{what}: worse{found}")
    if not low >= -margin:  # so that a margin of NaN excludes nothing
        return Answer(False, f"{what}: may be worse, as the interval goes below {0 - margin:g}{found}")
    return Answer(True, f"{what}: not worse, as the interval does not go below {0 - margin:g}{found}")
