"""Predict pictures and videos, and write class ids, overlays and a table."""

import hashlib
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.drawing.pictures import Colour, legend, overlay
from segcore.files.images import Unreadable
from segcore.files.onnx import OnnxModel
from segcore.inference.predictor import BATCH_SIZE, Predictor
from segcore.network import device
from segcore.predict import video
from segcore.predict.engine import Engine, NetworkEngine, OnnxEngine, Predicted, Prepared
from segcore.predict.inputs import Input, find_inputs, passed_over
from segcore.predict.pictures import read_picture, write_picture
from segcore.predict.table import LEGEND, Table
from segcore.predict.video_reader import import_av
from segcore.repository.dvc import explain
from segcore.repository.git import fetch_files, find_commit
from segcore.runtime import console
from segcore.runtime.errors import UserError
from segcore.runtime.outputs import new_outputs
from segcore.runtime.threads import map_in_order, thread_count

LEGEND_WIDTH = 640


class Options(NamedTuple):
    """Options of the command; see ``python -m segcore predict --help``."""

    out: Path
    model: Path
    rev: str
    confidence: bool
    tile: bool
    force: bool


def predict(given: list[Path], options: Options) -> None:
    """Predict the pictures and videos of ``given``.

    Raises:
        UserError: before any work, if an input, an output or the model is refused; after it, if some inputs could not
            be read.
    """
    if options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out: {options.out} is not a folder")
    inputs, others = find_inputs(given, options.out, options.confidence)
    table = Table(options.out)
    with _model_file(options.model, options.rev) as file:
        name = hashlib.sha256(file.read_bytes()).hexdigest()[:16] + " tiled" * options.tile
        waiting = inputs if options.force else _not_done(inputs, table, name, options)
        done = len(inputs) - len(waiting)
        console.say(f"pictures and videos: {len(inputs)}; predicted already: {done}{passed_over(others)}")
        if not waiting:
            return
        if any(found.is_video for found in waiting):
            import_av()  # if it is missing, say so before any work
        engine = _engine(file, options)
    options.out.mkdir(parents=True, exist_ok=True)
    work = Work(engine, table, name, options)
    replaced = [found.outputs(False)[0] for found in waiting]
    with table.open([*engine.classes], replaced), device.explain_out_of_memory("use SEGCORE_DEVICE=cpu"):
        _write_legend(options.out / LEGEND, engine.classes, options.force)
        if pictures := [found for found in waiting if not found.is_video]:
            work.predict_pictures(pictures)
        for found in waiting:
            if found.is_video:
                work.predict_video(found)
    console.say(f"{table.path} has the share of each class")
    if work.failures:
        raise UserError("\n".join([f"{len(work.failures)} of {len(waiting)} were not predicted:", *work.failures]))


class Work:
    """Predict inputs, and list in ``failures`` those that cannot be read, with the reason."""

    def __init__(self, engine: Engine, table: Table, name: str, options: Options) -> None:
        self.failures: list[str] = []
        self._engine, self._table, self._name, self._options = engine, table, name, options
        self._colours = list(engine.classes.values())

    def predict_pictures(self, inputs: list[Input]) -> None:
        """Predict pictures. Some threads read and others write while the network computes."""
        ahead = max(thread_count(), BATCH_SIZE)  # few, because each picture may take 100 MB
        # Pillow warns about broken EXIF data. The filter belongs to the process, so no thread may set it.
        with warnings.catch_warnings(action="ignore"), closing(map_in_order(self._read, inputs, ahead)) as read:
            predicted = self._engine.predict(self._readable(read))
            with closing(map_in_order(self._write, predicted, ahead)) as written:
                for _ in console.progress(written, len(inputs), "predict pictures"):
                    pass

    def predict_video(self, found: Input) -> None:
        """Predict the frames of a video, and write a video with the overlay."""
        pixels = np.zeros(len(self._colours), np.int64)

        def draw(frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
            prepared = (Prepared(None, frame, self._engine.prepare(frame)) for frame in frames)
            predicted = self._engine.predict(prepared)
            total = video.frame_count(found.path)
            for _, picture, ids, _ in console.progress(predicted, total, f"predict frames of {found.path.name}"):
                np.add(pixels, self._count_classes(ids), out=pixels)
                yield overlay(picture, ids, self._colours)

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
            write_picture(paths, predicted.picture, predicted.ids, predicted.confidence, self._colours)
            self._add_row(predicted.key, self._count_classes(predicted.ids))

    def _new_outputs(self, found: Input) -> AbstractContextManager[list[Path]]:
        # Flushing thousands of files one by one takes long. After a power cut, --force replaces files that are empty.
        outputs = found.outputs(self._options.confidence)
        return new_outputs(*(self._options.out / output for output in outputs), flush=False)

    def _add_row(self, found: Input, pixels: np.ndarray) -> None:
        """Add the row of an input just before its outputs appear, because an output without a row is never replaced."""
        first, *_ = outputs = found.outputs(confidence=True)
        for output in outputs:  # else, after a kill here, the new row would describe an old output
            (self._options.out / output).unlink(missing_ok=True)
        self._table.add(first, found.path.absolute(), self._name, pixels)

    def _count_classes(self, ids: np.ndarray) -> np.ndarray:
        """Return the number of pixels of each class in class ids h×w."""
        return np.bincount(ids.ravel(), minlength=len(self._colours))


def _write_legend(path: Path, classes: Mapping[str, Colour], force: bool) -> None:
    """Write the legend, unless there is one already; then say if it is a different one."""
    drawn = BytesIO()
    legend(classes, LEGEND_WIDTH, "the classes of the overlays").save(drawn, "PNG")
    if force or not path.exists():
        with new_outputs(path) as [partial]:
            partial.write_bytes(drawn.getvalue())
    elif path.read_bytes() != drawn.getvalue():
        console.say(f"{path} stays, but is not the legend of this model's classes and colours: --force replaces it")


def _not_done(inputs: list[Input], table: Table, name: str, options: Options) -> list[Input]:
    """Return the inputs whose outputs are missing or older than they are.

    Raises:
        UserError: if a different model made an existing output, or predictions.csv does not list it.
    """
    waiting = []
    for found in inputs:
        outputs = found.outputs(options.confidence)
        there = [path for output in outputs if (path := options.out / output).exists()]
        source, made_by = table.maker(outputs[0]) or (None, None)
        reason = ""
        if there and source is None:
            reason = f"is not in {table.path}"
        elif there and Path(source or "").resolve() != found.path.resolve():
            reason = f"is the prediction of {source}, not of {found.path}"
        elif there and made_by != name:
            reason = f"was made by the model {made_by}, not by {name}"
        if reason:
            raise UserError(f"{there[0]} {reason}: --force replaces it, or choose a different --out")
        if len(there) < len(outputs) or any(_time(path) < _time(found.path) for path in there):
            waiting.append(found)
    return waiting


def _time(path: Path) -> int:
    """Return when a file was changed; if it has vanished, now, so that the attempt to read it says so."""
    return path.stat().st_mtime_ns if path.exists() else time.time_ns()


@contextmanager
def _model_file(model: Path, rev: str) -> Iterator[Path]:
    """Yield the path of the model: ``model`` itself, or a copy of it at ``rev`` from DVC's cache or remote."""
    if not rev:
        if not model.is_file():
            raise UserError(f"--model: {model}: no such file; `dvc repro` makes it, or `dvc pull` gets it")
        yield model
        return
    from dvc.api import DVCFileSystem

    commit = find_commit(rev)
    fetch_files(commit)  # DVC would wait forever for a file that a partial clone lacks
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, model.name)
        try:
            DVCFileSystem(rev=commit).get_file(model.as_posix(), str(file))
        except Exception as error:  # DVC also passes on those of its libraries
            raise UserError(
                f"{model} of {rev} cannot be read: {explain(error)}; if a remote has it, "
                f"`dvc fetch --remote NAME` gets it after `git checkout {rev}`"
            ) from None
        yield file


def _engine(file: Path, options: Options) -> Engine:
    with file.open("rb") as content:
        is_safetensors = content.read(9)[8:] == b"{"  # behind the 8 bytes with the length of its header
    if not is_safetensors and file.suffix != ".onnx":
        raise UserError(f"--model: {options.model} is neither a safetensors file nor an .onnx of this pipeline")
    if not is_safetensors and options.tile:
        raise UserError(f"--tile blends scores, and {options.model} gives none; use the .safetensors it was made from")
    if not is_safetensors:
        return OnnxEngine(OnnxModel(file), options.confidence)
    where = device.prepare()
    predictor = Predictor(file, where)
    return NetworkEngine(predictor, options.tile, options.confidence)
