"""Score an exported model on the validation frames, and compare it with the model that it was made from."""

import copy

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from segcore.dataset.frames import find_image
from segcore.files.arrays import Row, load_split
from segcore.files.dataset import Protocol
from segcore.files.images import NATIVE, read_image, read_labels
from segcore.files.onnx import ExportScores, OnnxModel
from segcore.inference.predictor import Predictor, to_native
from segcore.inference.protocol import Evaluation
from segcore.network.erfnet import ERFNet
from segcore.runtime import console
from segcore.runtime.errors import UserError


def compare(exported: OnnxModel, predictor: Predictor, protocol: Protocol) -> ExportScores:
    """Return the score of ``exported`` on frames of native size, and how it differs from that of ``predictor``.

    Both have the classes of the frames.

    Raises:
        UserError: if the frames, their labels and data/arrays do not match.
    """
    rows, images = load_split("val")
    classes = predictor.classes
    scored, reference = Evaluation(classes, protocol), Evaluation(classes, protocol)
    changed = 0
    predicted = zip(rows, predictor.scores(images), strict=True)
    for row, scores in console.progress(predicted, len(rows), "export val"):
        truth = read_labels(NATIVE / row.frame.label, (row.width, row.height), len(classes))
        [found], _ = exported.run(read_frame(row)[None])
        expected = to_native(scores, truth.shape).cpu().numpy()
        scored.add(row.frame, truth, found)
        reference.add(row.frame, truth, expected)
        changed += int((found != expected).sum())
    return ExportScores(
        miou=scored.miou,
        miou_change=difference(scored.miou, reference.miou),
        pixels_changed=round(changed / max(scored.pixels, 1), 4),
        parameters=sum(parameter.numel() for parameter in predictor.network.parameters()),
        multiply_adds=multiply_adds(predictor.network, predictor.size),
    )


def read_frame(row: Row) -> np.ndarray:
    """Read a frame at native size, uint8 H×W×3.

    Raises:
        UserError: if it is damaged, or its size differs from that in frames.csv.
    """
    path = find_image(NATIVE, row.frame)
    picture = read_image(path)
    if picture.size != (row.width, row.height):
        found = "×".join(map(str, picture.size))
        raise UserError(f"{path}: its size is {found}, in frames.csv {row.width}×{row.height}; run `dvc repro`")
    return np.asarray(picture)


def difference(score: float | None, reference: float | None) -> float | None:
    """Return ``score - reference`` with 4 decimals; ``None`` if either is missing."""
    return None if score is None or reference is None else round(score - reference, 4)


def multiply_adds(network: ERFNet, size: tuple[int, int]) -> int:
    """Return the number of multiply-adds of the convolutions for one frame whose height and width are ``size``."""
    network = copy.deepcopy(network).to("meta")  # where nothing is computed
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2
