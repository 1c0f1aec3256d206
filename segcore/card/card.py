"""The model card: what the model is, what it was made from, how good it is and where not, and what it is for.

Source of the form: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. The card has one fact per line, so
that a diff shows which fact changed.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from numbers import Integral

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from segcore.card import metadata
from segcore.dataset.frames import SPLITS
from segcore.files.arrays import read_rows
from segcore.files.dataset import DATASET, read_dataset
from segcore.files.model import MODEL, NotOurs, Record, read_record
from segcore.files.onnx import ONNX, read_export_scores
from segcore.files.params import load
from segcore.files.scores import (
    CONFUSION,
    COUNTS,
    SCORES,
    frame_scores,
    read_confusion,
    read_counts,
    read_scores,
)
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict, validate
from segcore.templates.jinja import escape_markdown, render

WORST = 5  # drives to name


class PreprocessValidation(Strict):
    """The parameter of section `preprocess` that the card needs."""

    model_config = ConfigDict(extra="ignore")
    validation: str


class ExportPrecision(Strict):
    """The parameter of section `export` that the card needs."""

    model_config = ConfigDict(extra="ignore")
    precision: str


def make_card() -> str:
    """Return the card in Markdown.

    Raises:
        UserError: if the data set, the model, the arrays, the scores or params.yaml are not as the earlier stages write
            or read them.
    """
    with MODEL.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        record = validate(read_record(MODEL), Record, MODEL)
    except NotOurs as error:
        raise UserError(f"{MODEL}: {error}; run `dvc repro train`") from None
    scores, confusion, dataset = read_scores(), read_confusion(), read_dataset()
    if not record.classes == dataset.names == list(confusion.index) == list(scores.iou):
        raise UserError(f"{DATASET}, {MODEL}, {CONFUSION} and {SCORES} have different classes; run `dvc repro`")
    held_out = load("preprocess", PreprocessValidation).validation == "holdout"
    name, from_weights = f"ERFNet on {dataset.name}", record.init is not None
    drives = drive_scores(read_counts(COUNTS.read_bytes(), str(COUNTS)))
    return render(
        "card/model-card.md.jinja",
        cell=cell,
        head=metadata.dump(metadata.describe(name, dataset, held_out, from_weights, scores.miou)),
        name=escape_markdown(name),
        about=escape_markdown(dataset.about),
        protocol=None if dataset.protocol == "native" else dataset.protocol,
        sample=dataset.sample,
        held_out=held_out,
        licence=escape_markdown(dataset.terms(from_weights)),
        file=MODEL,
        digest=digest,
        record=record,
        encoder_only=record.params.get("model", {}).get("encoder_only", False),
        classes=record.classes,
        splits=list(split_sizes()),
        scores=scores,
        onnx=ONNX,
        exported=read_export_scores(),
        onnx_precision=load("export", ExportPrecision).precision,
        by_class=list(class_scores(confusion, scores.iou)),
        mistakes=list(common_mistakes(confusion)),
        drives=drives,
        worst=drives[:WORST],
        recipe=[
            (f"{section}.{name}", json.dumps(value))
            for section, values in record.params.items()
            for name, value in values.items()
        ],
    )


def split_sizes() -> Iterator[tuple[str, int, int]]:
    """Yield the name of each split, and how many frames and drives it has."""
    for split in SPLITS:
        rows = read_rows(split)
        yield split, len(rows), len({row.frame.drive for row in rows})


def class_scores(confusion: pd.DataFrame, iou: dict[str, float | None]) -> Iterator[tuple[object, ...]]:
    """Yield the name, IoU, recall, precision and share of the pixels of each class; NaN for 0 / 0.

    Args:
        confusion: as :func:`read_confusion` returns it.
        iou: by name of the class.
    """
    classes, matrix = list(confusion.index), confusion.to_numpy()
    hits, truth, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid="ignore"):
        columns = hits / truth, hits / predicted, truth / truth.sum()
    return zip(classes, map(iou.get, classes), *columns, strict=True)


def common_mistakes(confusion: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Yield each class with wrong pixels, the class that most of them were taken for, and these as a share of all."""
    classes, matrix = list(confusion.index), confusion.to_numpy()
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, matrix)
    for i in np.flatnonzero(wrong.any(1)):
        most = wrong[i].argmax()
        yield classes[i], classes[most], wrong[i, most] / matrix[i].sum()


def drive_scores(counts: pd.DataFrame) -> list[tuple[str, int, float]]:
    """Return the name, the number of frames and the score of each drive, the lowest score first."""
    scores = frame_scores(counts, by=("drive",)).sort_values(kind="stable")
    frames = counts.groupby("drive")["frame"].nunique().reindex(scores.index)
    return list(zip(scores.index, frames, scores, strict=True))


def cell(value: str | float | None) -> str:
    """Return a value as the text of a table's cell: a number with 4 decimals unless it is whole, a dash for none."""
    if isinstance(value, str):
        return value.replace("|", "\\|").replace("\n", " ")
    if value is None or math.isnan(value):
        return "–"
    return str(value) if isinstance(value, Integral) else f"{value:.4f}"
