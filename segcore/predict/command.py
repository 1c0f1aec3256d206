"""Predict pictures and videos, and write class ids, overlays and a table."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.dataset.classes import CLASSES
from segcore.drawing.pictures import legend, overlay
from segcore.files.images import Unreadable
from segcore.files.onnx import OnnxModel
from segcore.inference.predictor import Predictor
from segcore.network import device
from segcore.predict import video
from segcore.predict.engine import Engine, NetworkEngine, OnnxEngine, Predicted, Prepared
from segcore.predict.inputs import Input, find_inputs, passed_over
from segcore.predict.pictures import read_picture, write_picture
from segcore.predict.table import Table
from segcore.predict.video_reader import import_av
from segcore.repository.dvc import explain
from segcore.repository.git import find_commit
from segcore.runtime import console
from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_outputs
from segcore.runtime.threads import map_in_order

LEGEND_WIDTH = 640


class Options(NamedTuple):
    """What to predict with, where to, and how; see ``python -m segcore predict --help``."""

    out: Path
    model: Path
    rev: str
    confidence: bool
    tile: bool
    force: bool


def predict(given: list[Path], options: Options) -> None:
    """Predict the pictures and videos of ``given``.

    Raises:
        UserError: before any work if an input, an output or the model is not as it must be; after it if some of the
            inputs could not be read.
    """
    inputs, others = find_inputs(given, options.out, options.confidence)
    table = Table(options.out)
    with _model_file(options.model, options.rev) as file:
        name = hashlib.sha256(file.read_bytes()).hexdigest()[:16] + " tiled" * options.tile
        waiting = inputs if options.force else _not_done(inputs, table, name, options)
        done = len(inputs) - len(waiting)
        console.say(f"{len(inputs)} pictures and videos, {done} of them predicted already{passed_over(others)}")
        if not waiting:
            return
        if any(found.is_video for found in waiting):
            import_av()  # if it is missing, say so before any work
        engine = _engine(file, options)
    options.out.mkdir(parents=True, exist_ok=True)
    legend(LEGEND_WIDTH, "the classes of the overlays").save(options.out / "legend.png")
    work = Work(engine, table, name, options)
    with table.open(), device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"):
        if pictures := [found for found in waiting if not found.is_video]:
            work.predict_pictures(pictures)
        for found in waiting:
            if found.is_video:
                work.predict_video(found)
    if work.failures:
        raise UserError("\n".join([f"{len(work.failures)} of {len(waiting)} were not predicted:", *work.failures]))


class Work:
    """Predict inputs, and keep a line for each input that cannot be read in ``failures``."""

    def __init__(self, engine: Engine, table: Table, name: str, options: Options) -> None:
        self.failures: list[str] = []
        self._engine, self._table, self._name, self._options = engine, table, name, options

    def predict_pictures(self, inputs: list[Input]) -> None:
        """Predict pictures; some threads read and others write while the network computes."""
        with closing(map_in_order(self._read, inputs)) as read:
            predicted = self._engine.predict(self._readable(read))
            with closing(map_in_order(self._write, predicted)) as written:
                for _ in console.progress(written, len(inputs), "predict pictures"):
                    pass

    def predict_video(self, found: Input) -> None:
        """Predict the frames of a video, and write a video with the overlay."""
        pixels = np.zeros(len(CLASSES), np.int64)

        def draw(frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
            prepared = (Prepared(None, frame, self._engine.prepare(frame)) for frame in frames)
            predicted = self._engine.predict(prepared)
            total = video.frame_count(found.path)
            for _, picture, ids, _ in console.progress(predicted, total, f"predict {found.path.name}"):
                np.add(pixels, count_classes(ids), out=pixels)
                yield overlay(picture, ids)

        try:
            with self._new_outputs(found) as [target]:
                video.redraw(found.path, target, draw)
                self._add_row(found, pixels)
        except Unreadable as error:
            self.failures.append(f"{found.path}: {error}")

    def _read(self, found: Input) -> Prepared | str:
        try:
            picture = read_picture(found.path)
        except Unreadable as error:
            return f"{found.path}: {error}"
        return Prepared(found, picture, self._engine.prepare(picture))

    def _readable(self, read: Iterator[Prepared | str]) -> Iterator[Prepared]:
        for result in read:
            if isinstance(result, str):
                self.failures.append(result)
            else:
                yield result

    def _write(self, predicted: Predicted) -> None:
        with self._new_outputs(predicted.key) as paths:
            write_picture(paths, predicted.picture, predicted.ids, predicted.confidence)
            self._add_row(predicted.key, count_classes(predicted.ids))

    def _paths(self, found: Input) -> list[Path]:
        return [self._options.out / output for output in found.outputs(self._options.confidence)]

    def _new_outputs(self, found: Input) -> AbstractContextManager[list[Path]]:
        # Thousands of files are not flushed one by one; what a power cut leaves empty has to be predicted with --force.
        return new_outputs(*self._paths(found), flush=False)

    def _add_row(self, found: Input, pixels: np.ndarray) -> None:
        """Add the row of an input just before its outputs appear. An output without a row counts as a stranger's."""
        for path in self._paths(found):
            path.unlink(missing_ok=True)  # or after a kill here, the row would seem to be about the old output
        self._table.add(found.outputs(self._options.confidence)[0], found.path, self._name, pixels)


def count_classes(ids: np.ndarray) -> np.ndarray:
    """Return the number of pixels of each class in class ids h×w."""
    return np.bincount(ids.ravel(), minlength=len(CLASSES))


def _not_done(inputs: list[Input], table: Table, name: str, options: Options) -> list[Input]:
    """Return the inputs whose outputs are missing or older than they are.

    Raises:
        UserError: if an output is there that a different model made, or that is not in predictions.csv.
    """
    waiting = []
    for found in inputs:
        outputs = found.outputs(options.confidence)
        there = [path for output in outputs if (path := options.out / output).exists()]
        made_by = table.model(outputs[0])
        if there and made_by != name:
            whose = f"of the model {made_by}, and this is {name}" if made_by else f"not in {table.path}"
            raise UserError(f"{there[0]} is {whose}: --force replaces it, or choose a different --out")
        changed = found.path.stat().st_mtime_ns
        if len(there) < len(outputs) or any(path.stat().st_mtime_ns < changed for path in there):
            waiting.append(found)
    return waiting


@contextmanager
def _model_file(model: Path, rev: str) -> Iterator[Path]:
    """Yield the path of the model: in the workspace, or fetched from DVC's cache or remote as ``rev`` has it."""
    if not rev:
        yield model
        return
    from dvc.api import DVCFileSystem

    commit = find_commit(rev)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, model.name)
        try:
            DVCFileSystem(rev=commit).get_file(model.as_posix(), str(file))
        except Exception as error:  # those of the libraries below DVC, too
            raise UserError(f"{model} of {rev} cannot be read: {explain(error)}") from None
        yield file


def _engine(file: Path, options: Options) -> Engine:
    with file.open("rb") as content:
        is_safetensors = content.read(9)[8:] == b"{"  # after the length of its head
    if not is_safetensors and options.tile:
        raise UserError(f"--tile blends scores, and {options.model} gives none; use the .safetensors it was made from")
    if not is_safetensors:
        return OnnxEngine(OnnxModel(file))
    where = device.find_device()
    device.prepare(where)
    predictor = Predictor(file, where)
    if predictor.precision != predictor.wanted:
        console.say(f"{where} has no {predictor.wanted}: computing in {predictor.precision}")
    return NetworkEngine(predictor, options.tile, options.confidence)
