"""Predict pictures of any size with the network of a model file, or with an ONNX file."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from segcore.drawing.pictures import Colour
from segcore.files.onnx import OnnxModel
from segcore.inference.predictor import Predictor, confidence, to_native
from segcore.predict import tiles
from segcore.predict.colours import find_colours


class Prepared(NamedTuple):
    """An RGB picture, a key that the caller chooses, and the pixels that an engine takes, uint8 h×w×3."""

    key: Any
    picture: Image.Image
    pixels: np.ndarray


class Predicted(NamedTuple):
    """A picture, its key, its class ids, uint8 h×w, and, if asked for, their probabilities, float h×w."""

    key: Any
    picture: Image.Image
    ids: np.ndarray
    confidence: np.ndarray | None


class Engine(Protocol):
    """A model that predicts pictures."""

    @property
    def classes(self) -> Mapping[str, Colour]:
        """The classes in the order of their ids, with their colours."""
        ...

    def prepare(self, picture: Image.Image) -> np.ndarray:
        """Return the pixels for :class:`Prepared`; safe to call from several threads."""
        ...

    def predict(self, pictures: Iterable[Prepared]) -> Iterator[Predicted]:
        """Yield the predictions in the order of the pictures, of which it may take some ahead."""
        ...


class NetworkEngine:
    """The network of a model file. Without ``tile``, the class ids of a frame are those of evaluate.

    Args:
        tile: predict pictures that are larger than the network's input window by window, instead of resizing them.
        with_confidence: return the confidence, too.
    """

    def __init__(self, predictor: Predictor, tile: bool, with_confidence: bool) -> None:
        self._predictor, self._tile, self._with_confidence = predictor, tile, with_confidence
        self.classes = dict(zip(predictor.classes, find_colours(predictor.classes), strict=True))

    def prepare(self, picture: Image.Image) -> np.ndarray:
        height, width = self._predictor.size
        if self._tile and picture.height >= height and picture.width >= width:
            return np.asarray(picture)
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))

    def predict(self, pictures: Iterable[Prepared]) -> Iterator[Predicted]:
        waiting: deque[Prepared] = deque()
        scores = self._predictor.scores(self._windows(pictures, waiting))
        for first in scores:  # of the windows of the next picture
            key, picture, pixels = waiting.popleft()
            merged = tiles.merge(chain([first], scores), pixels.shape[:2], self._predictor.size)
            size = (picture.height, picture.width)
            sure = confidence(merged, size).cpu().numpy() if self._with_confidence else None
            yield Predicted(key, picture, to_native(merged, size).cpu().numpy(), sure)

    def _windows(self, pictures: Iterable[Prepared], waiting: deque[Prepared]) -> Iterator[np.ndarray]:
        for prepared in pictures:
            waiting.append(prepared)
            yield from tiles.cut(prepared.pixels, self._predictor.size)


class OnnxEngine:
    """An ONNX file of this pipeline, which resizes by itself."""

    def __init__(self, model: OnnxModel, with_confidence: bool) -> None:
        self._model, self._with_confidence = model, with_confidence
        self.classes = dict(zip(model.record.classes, model.record.colours, strict=True))

    def prepare(self, picture: Image.Image) -> np.ndarray:
        return np.asarray(picture)

    def predict(self, pictures: Iterable[Prepared]) -> Iterator[Predicted]:
        for key, picture, pixels in pictures:
            [ids], [sure] = self._model.run(pixels[None])
            yield Predicted(key, picture, ids, sure if self._with_confidence else None)
