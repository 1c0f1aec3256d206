"""Pack the predictions of the test frames in the layout that the organisers' evaluation of IDD-Lite reads.

Source: https://github.com/AutoNUE/public-code, evaluation/idd_lite_evaluate_mIoU.py, which reads DRIVE/NAME_label.png.
"""

import zipfile
from pathlib import Path

from segcore.dataset.classes import VOID
from segcore.files.arrays import ARRAYS, FRAMES, Row, read_rows
from segcore.files.dataset import DATASET, read_dataset
from segcore.files.description import SETS, read_description
from segcore.files.images import PREDICTIONS, read_labels
from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_outputs

SUBMISSION = Path("data/submission.zip")
SPLIT = "test"
ORGANISERS = SETS / "idd_lite.yaml"  # the data set that the organisers evaluate
TIME = (1980, 1, 1, 0, 0, 0)  # the time of every file is fixed, so that the same predictions give the same bytes
MODE = 0o100644 << 16  # a plain file that everybody may read, in the bits that ZIP uses


def pack() -> str:
    """Write the predictions of the test frames to data/submission.zip, and return a line for the terminal.

    Raises:
        UserError: unless the data set is IDD-Lite, and there is one prediction for each test frame, with class ids at
            its native size, and no other file beside them.
    """
    classes = _count_classes()
    rows = {row.frame.prediction: row for row in read_rows(SPLIT)}
    if not rows:
        raise UserError(f"{ARRAYS / FRAMES}: it lists no {SPLIT} frames, so there is nothing to submit")
    found = {path.relative_to(PREDICTIONS) for path in (PREDICTIONS / SPLIT).rglob("*") if not path.is_dir()}
    _refuse(rows.keys() - found, len(rows), f"{SPLIT} frames have no prediction")
    _refuse(found - rows.keys(), len(found), f"predictions are of no {SPLIT} frame in {ARRAYS / FRAMES}")
    _check(rows, classes)
    with new_outputs(SUBMISSION) as [partial], zipfile.ZipFile(partial, "w") as archive:  # PNG is compressed already
        for path in sorted(rows):
            entry = zipfile.ZipInfo(path.relative_to(SPLIT).as_posix(), TIME)
            entry.external_attr = MODE
            archive.writestr(entry, (PREDICTIONS / path).read_bytes())
    drives = {row.frame.drive for row in rows.values()}
    return f"{SUBMISSION}: {len(rows)} predictions of {len(drives)} drives"


def _count_classes() -> int:
    """Return the number of classes of IDD-Lite, or raise if the data set is a different one."""
    try:
        dataset = read_dataset()
    except FileNotFoundError:
        raise UserError(
            f"{DATASET} is missing: `dvc pull data/raw` gets it from a remote, `dvc repro fetch` makes it"
        ) from None
    theirs = read_description(ORGANISERS).dataset(sample=False)
    if dataset.sample or (dataset.name, dataset.names) != (theirs.name, theirs.names):
        raise UserError(
            f"{DATASET}: the data set is {dataset.name}; the archive is in the format of {theirs.name}'s organisers, "
            f"who take predictions for its classes alone; run `dvc repro` with {theirs.name} as fetch.source and "
            f"fetch.dataset={ORGANISERS}"
        )
    return len(dataset.classes)


def _refuse(paths: set[Path], total: int, what: str) -> None:
    """Raise if there are any ``paths``, with a few of their drives in the message."""
    if paths:
        drives = sorted({path.parent.name for path in paths})
        shown = ", ".join(drives[:5]) + (", …" if drives[5:] else "")
        raise UserError(
            f"{PREDICTIONS / SPLIT}: {len(paths)} of {total} {what}, for example {min(paths)} (drives: {shown}); "
            "run `dvc repro evaluate`"
        )


def _check(rows: dict[Path, Row], classes: int) -> None:
    """Read every prediction, and raise if any is not an 8-bit grey PNG of class ids at its frame's size."""
    reasons = []
    for path, row in rows.items():
        try:
            if (read_labels(PREDICTIONS / path, (row.width, row.height), classes) == VOID).any():
                reasons.append(f"{PREDICTIONS / path}: {VOID} (void) is not a class; run `dvc repro evaluate`")
        except UserError as reason:
            reasons.append(str(reason))
    if reasons:
        raise UserError(f"{len(reasons)} of {len(rows)} predictions cannot be submitted, for example\n{min(reasons)}")
