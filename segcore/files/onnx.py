"""Read the exported model, erfnet.onnx, and read and write its scores, metrics/export.json.

The model maps RGB frames of any size to class ids and confidences at that size; docs/export.md has an example. Its
metadata is :class:`OnnxRecord`: text is stored as it is, other values as JSON.
"""

import json
import os
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from segcore.dataset.classes import ClassNames
from segcore.files.dataset import Colour
from segcore.runtime.errors import UserError
from segcore.runtime.threads import thread_count
from segcore.runtime.typed import Strict, read_json, validate

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession

ONNX = Path("data/model/erfnet.onnx")
EXPORT = Path("metrics/export.json")
KEY = "segcore"  # key of the metadata that marks files of this pipeline
TEXTS = ("licence", "model_sha256", "precision")  # the others are JSON
# Without this variable, onnxruntime sends usage data to Microsoft, and leaves files in the home folder and in $TMPDIR.
# It reads the variable when it is imported, so functions import it only after this line.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class OnnxRecord(Strict):
    """The metadata of an exported model."""

    model_config = ConfigDict(extra="ignore")
    classes: ClassNames
    colours: list[Colour]  # in the order of the classes
    licence: str  # of the frames that it was trained on
    model_sha256: str  # of the .safetensors file that it was made from
    input_size: tuple[int, int] = Field(strict=False)  # height, width of the network's input
    precision: str  # fp32 or int8

    @field_validator("colours")
    @classmethod
    def _one_per_class(cls, colours: list[Colour], found: ValidationInfo) -> list[Colour]:
        if len(colours) != len(found.data.get("classes", colours)):
            raise ValueError("one colour per class was expected")
        return colours


class ExportScores(Strict):
    """Content of export.json: scores with 4 decimals, ``None`` if no class occurs."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    miou: float | None
    """mIoU of the exported model, by the protocol of evaluate.json."""
    miou_change: float | None
    """This mIoU minus that of the model it was made from, in fp32."""
    pixels_changed: float = Field(ge=0, le=1)
    """Share of the pixels, at native size, whose class differs between the two."""
    parameters: int
    """Number of weights of the network."""
    multiply_adds: int
    """Multiplications and additions for one frame at the network's input size."""


class OnnxModel:
    """An exported model, run by onnxruntime on the CPU with as many threads as a stage has."""

    def __init__(self, path: Path = ONNX) -> None:
        """Load ``path``.

        Raises:
            UserError: if it is not an ONNX file that this pipeline exported.
        """
        content, threads = path.read_bytes(), thread_count()
        try:
            self._session = make_session(content, threads)
        except Exception as error:  # onnxruntime raises a class without a public name for each kind
            reason = shorten(str(error), 200)
            raise UserError(f"{path}: not a complete ONNX file ({reason}); `dvc repro export` makes {ONNX}") from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if KEY not in metadata:
            raise UserError(f"{path}: ONNX, but not exported by this pipeline; `dvc repro export` makes {ONNX}")
        try:
            self.record = validate({key: _value(key, text) for key, text in metadata.items()}, OnnxRecord, path)
        except UserError as error:
            raise UserError(f"{error}; `dvc repro export` makes {ONNX}") from None

    def run(self, images: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Predict RGB frames, uint8 B×H×W×3: class ids, uint8 B×H×W, and their probabilities, float32 B×H×W."""
        classes, confidence = self._session.run(["classes", "confidence"], {"image": images})
        return classes, confidence  # pyright: ignore[reportReturnType]


def make_session(content: bytes, threads: int) -> "InferenceSession":
    """Return an onnxruntime session on the CPU for the content of an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take time from torch's threads and from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def write_export_scores(path: Path, scores: ExportScores) -> None:
    """Write export.json."""
    path.write_text(json.dumps(scores.model_dump(), indent=2) + "\n")


def read_export_scores(path: Path = EXPORT) -> ExportScores:
    """Read export.json.

    Raises:
        UserError: if it is not what export writes.
    """
    return read_json(path, ExportScores, "export")


def metadata(record: OnnxRecord) -> dict[str, str]:
    """Return the metadata of an ONNX file with this record, sorted by key."""
    values = {key: value if key in TEXTS else json.dumps(value) for key, value in record.model_dump().items()}
    return dict(sorted((values | {KEY: "1"}).items()))


def _value(key: str, text: str) -> Any:
    if key in TEXTS:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # validation then names the key, because the type is wrong
