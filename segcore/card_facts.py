"""What a model card says, read from the model, the arrays, the metrics and params.yaml."""

import hashlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from segcore.arrays import read_rows
from segcore.console import UserError
from segcore.counts import read_counts
from segcore.idd_lite import SPLITS
from segcore.labels import CLASSES
from segcore.params import Section, load, parse
from segcore.weights import load_weights

SAMPLE, IDD_LITE = "the built-in sample", "IDD-Lite"
ClassName = Literal[CLASSES]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation: counted, not learnt


class Source(Section):
    """Of section ``fetch``: where the data set is."""

    model_config = ConfigDict(extra="ignore")
    source: str

    @property
    def data(self) -> str:
        """What the data set is."""
        return SAMPLE if self.source.endswith(".yaml") else IDD_LITE


class Validation(Section):
    """Of section ``preprocess``: which frames are validated on."""

    model_config = ConfigDict(extra="ignore")
    validation: str


class Scores(Section):
    """metrics/evaluate.json; ``None`` where there is nothing to score."""

    miou: float | None
    miou_native: float | None
    pixel_accuracy: float | None
    iou: dict[str, float | None]
    miou_flip: float | None = None


class Cell(Section):
    """One entry of metrics/confusion.json: so many pixels of a class were predicted as a class."""

    actual: ClassName
    predicted: ClassName
    pixels: int = Field(ge=0, le=2**53)


class About(Section):
    """Of the model's metadata: what it was made with."""

    model_config = ConfigDict(extra="ignore")
    input_size: tuple[int, int] = Field(strict=False)  # height, width
    params: dict[str, dict[str, Any]]
    init: str | None
    versions: dict[str, str]
    device: str
    precision: str
    threads: int


class Facts(NamedTuple):
    """All that the card is made from."""

    source: Source
    validation: Validation
    digest: str  # SHA-256 of the model file
    weights: int  # how many numbers the network has
    about: About
    splits: pd.DataFrame  # frames and drives of each split
    scores: Scores
    confusion: pd.DataFrame  # pixels by true class, the index, and predicted class
    counts: pd.DataFrame  # see segcore.counts


def read(model: Path, arrays: Path, metrics: Path) -> Facts:
    """Read all of it.

    Raises:
        UserError: if a file is not what the stages write.
    """
    state, about = load_weights(model)
    learnt = [tensor.numel() for name, tensor in state.items() if not name.endswith(STATISTICS)]
    rows = [(split, row.frame.drive) for split in SPLITS for row in read_rows(arrays, split)]
    splits = pd.DataFrame(rows, columns=["split", "drive"]).groupby("split")["drive"].agg(["size", "nunique"])
    cells = read_json(metrics / "confusion.json", list[Cell])
    listed = pd.DataFrame([cell.model_dump() for cell in cells], columns=list(Cell.model_fields))
    pixels = listed.pivot_table("pixels", "actual", "predicted", aggfunc="sum", fill_value=0)
    counts = metrics / "frames.csv"
    return Facts(
        source=load("fetch", Source),
        validation=load("preprocess", Validation),
        digest=hashlib.sha256(model.read_bytes()).hexdigest(),
        weights=sum(learnt),
        about=parse(about, About, model),
        splits=splits.reindex(SPLITS, fill_value=0),
        scores=read_json(metrics / "evaluate.json", Scores),
        confusion=pixels.reindex(index=CLASSES, columns=CLASSES, fill_value=0),
        counts=read_counts(counts.read_bytes(), str(counts)),
    )


def read_json(path: Path, kind: Any) -> Any:
    """Read a file as ``kind``.

    Raises:
        UserError: if it is not what evaluate writes.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path}: not what evaluate writes ({error.errors()[0]['msg']}); run `dvc repro`") from None
