"""metrics/curves.tsv and metrics/train.json: how a training went. Git stores both, and a reviewer reads them."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from segcore.runtime.typed import Strict

CURVES = Path("metrics/curves.tsv")
METRICS = Path("metrics/train.json")


class TrainScores(Strict):
    """Content of train.json: scores of the last epoch, with 4 decimals."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    loss: float
    """Mean loss over the train frames; lower is better."""
    val_miou: float | None
    """mIoU on val at the network's input size, which is not the protocol's; `null` if no class occurs."""


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch: its mean loss, its last learning rate, and mIoU at input size where it was validated."""

    number: int
    loss: float
    lr: float
    val_miou: float | None


def write_curves(path: Path, curves: list[Epoch]) -> None:
    """Write the epochs as tab-separated values; ``val_miou`` is empty where there was no validation."""
    rows = ["epoch\tloss\tval_miou\tlr"]  # an empty last column would be trailing white space
    for epoch in curves:
        validation = "" if epoch.val_miou is None else f"{epoch.val_miou:.4f}"
        rows.append(f"{epoch.number}\t{epoch.loss:.4f}\t{validation}\t{epoch.lr:.4g}")
    path.write_text("\n".join(rows) + "\n")


def write_metrics(path: Path, last: Epoch) -> None:
    """Write train.json."""
    miou = None if last.val_miou is None else round(last.val_miou, 4)
    path.write_text(json.dumps(TrainScores(loss=round(last.loss, 4), val_miou=miou).model_dump(), indent=2) + "\n")


@contextmanager
def live_curves(path: Path = CURVES) -> Iterator[Callable[[list[Epoch]], None]]:
    """Yield a function that rewrites the curves, so that `dvc plots show` works during training.

    The file is removed after an error. Without DVC the function does nothing, so that the old curves stay until the
    new ones are complete; DVC has removed them before the stage starts.
    """
    if "DVC_STAGE" not in os.environ:
        yield lambda curves: None
        return
    partial = path.with_name(f".{path.name}.live")
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(curves: list[Epoch]) -> None:
        with suppress(OSError):  # of a full disk: training goes on without a plot
            write_curves(partial, curves)
            partial.replace(path)

    try:
        yield write
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        partial.unlink(missing_ok=True)
