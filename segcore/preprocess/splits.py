"""Choose the frames of train, val and test."""

import hashlib
from pathlib import Path

from segcore.dataset.frames import LABELLED, SPLITS, Frame, list_frames
from segcore.runtime.errors import UserError

HOLDOUT_SHARE = 1 / 7  # nearly the share of the official val in the labelled frames of IDD-Lite: 204 of 1607
ADVICE = "official needs labelled train and val frames, holdout at least two drives of labelled train frames"


def choose_splits(raw: Path, validation: str) -> dict[str, list[Frame]]:
    """Return the frames of each split in array order; with ``holdout``, some drives of train replace val.

    Drives are held out in the order of a hash of their names: a choice that looks random, and that hardly changes when
    drives are added.

    Raises:
        UserError: if the train or the val split would be empty, or a frame of them has no label.
    """
    splits = {split: list_frames(raw, split) for split in SPLITS}
    if validation == "holdout":
        frames = splits["train"]
        held_out: set[str] = set()
        for drive in sorted({frame.drive for frame in frames}, key=_digest):
            if sum(frame.drive in held_out for frame in frames) >= HOLDOUT_SHARE * len(frames):
                break
            held_out.add(drive)
        splits["val"] = [frame for frame in frames if frame.drive in held_out]
        splits["train"] = [frame for frame in frames if frame.drive not in held_out]
    for split in LABELLED:
        _check_labelled(raw, splits[split], f"{split} frames with preprocess.validation={validation}")
    return splits


def _check_labelled(raw: Path, frames: list[Frame], what: str) -> None:
    if not frames:
        raise UserError(f"{raw}: no {what}; {ADVICE}")
    if missing := [frame.label for frame in frames if not (raw / frame.label).exists()]:
        raise UserError(
            f"{raw}: {len(missing)} of the {len(frames)} {what} have no label, for example {missing[0]}; {ADVICE}"
        )


def _digest(drive: str) -> str:
    return hashlib.sha256(drive.encode()).hexdigest()
