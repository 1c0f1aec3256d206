"""Milliseconds and memory of a model, by torch and by onnxruntime: ``python -m benchmarks.latency MODEL.safetensors``.

Three things are measured, in batches of 1 and of 8 frames:

- the network alone: normalised floats at its input size to scores, by torch only;
- frames at its input size, uint8 RGB, to class ids and confidences;
- frames of IDD-Lite's size, 227×320, to class ids and confidences at that size; for torch, Pillow resizes them.

None of them decodes pictures. Each row is measured in a process of its own, for some seconds after a few runs that do
not count. ``ms`` is the median time of a batch, ``10 %`` and ``90 %`` are percentiles. ``MiB`` is what the
model and its runs add to the process: on a CPU the peak of its resident memory (``VmHWM``) less what it had before the
model was loaded; on CUDA the peak of what torch allocated there. ``ru_maxrss`` would not do, because it begins with the
peak of the parent process. onnxruntime runs on the CPU only.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.growth import NATIVE, memory_of
from benchmarks.rates import wait
from benchmarks.report import show, write
from segcore.export.comparison import multiply_adds
from segcore.files.onnx import OnnxModel
from segcore.inference.predictor import Predictor, confidence, to_native
from segcore.network import device
from segcore.network.tensors import Normalise, to_float, upload

BATCHES = (1, 8)
WARM_UP = 3  # runs that do not count
LEAST = 5  # runs that count, however long they take
NETWORK = "network alone"
Row = dict[str, Any]
Run = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """Measurement of one row. ``size`` is the height and width of the frames, ``None`` for the network alone."""

    file: Path
    runtime: str
    device: str
    precision: str
    size: tuple[int, int] | None
    batch: int


def main(
    model: Annotated[Path, typer.Argument(exists=True, help="A model file of the pipeline, .safetensors.")],
    onnx: Annotated[list[Path], typer.Option(exists=True, help="An exported model; may be given several times.")] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="A folder for the results; by default benchmarks/results.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Seconds for which each row is measured.")] = 3,
    limit: Annotated[float, typer.Option(help="Seconds after which a row is given up.")] = 120,
) -> None:
    """Measure fp32 and, where the hardware has it, bf16 by torch, and each ONNX file; on the CPU and on CUDA.

    SEGCORE_DEVICE and SEGCORE_THREADS apply. Each row is printed and written
    as soon as it is known. Exits with 1 if one could not be measured.
    """
    predictor = Predictor(model, torch.device("cpu"))
    about = {
        "parameters": sum(parameter.numel() for parameter in predictor.network.parameters()),
        "multiply-adds": multiply_adds(predictor.network, predictor.size),
        "input": by(predictor.size),
        "files": {file.name: file.stat().st_size for file in (model, *onnx)},
        "load average": [round(load, 1) for load in os.getloadavg()],
    }
    rows: list[Row] = []
    for case in cases(model, onnx, predictor.size):
        rows.append(row_of(case, measure(case, seconds, limit)))
        print(*(f"{key} {value}" for key, value in rows[-1].items() if value is not None), sep=", ", flush=True)
        # After each row, in case a later one ends this process.
        measured = write("latency", rows, out, **about)
    show("Prediction, median of a batch", rows, measured)
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


def cases(model: Path, onnx: list[Path], size: tuple[int, int]) -> Iterator[Case]:
    """Yield the measurements in order."""
    for where in dict.fromkeys([torch.device("cpu"), device.find_device()]):
        for precision in dict.fromkeys(["fp32", device.usable_precision("bf16", where)]):
            for frames in (None, size, NATIVE):
                for batch in BATCHES:
                    yield Case(model, "torch", str(where), precision, frames, batch)
    for file in onnx:
        for frames in (size, NATIVE):
            for batch in BATCHES:
                yield Case(file, "onnxruntime", "cpu", OnnxModel(file).record.precision, frames, batch)


def measure(case: Case, seconds: float, limit: float) -> Row:
    """Measure in a new process. Return the figures, or ``problem`` if it fails or takes more than ``limit`` seconds."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, case, seconds))
    process.start()
    theirs.close()
    try:
        if ours.poll(limit):
            return ours.recv()
        return {"problem": f"not done after {limit:g} s"}
    except EOFError:
        process.join()
        return {"problem": f"exit code {process.exitcode}"}
    finally:
        process.kill()
        process.join()
        ours.close()


def serve(pipe: Connection, case: Case, seconds: float) -> None:
    """Send the figures of a case."""
    where = torch.device(case.device)
    device.prepare(where)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak, which is that of the imports
    before = memory_of(os.getpid())["VmRSS"]
    run = (torch_run if case.runtime == "torch" else onnx_run)(case)
    times = timed(run, where, seconds)
    peak = memory_of(os.getpid())["VmHWM"] - before
    if where.type == "cuda":
        peak = torch.cuda.max_memory_allocated(where) / 2**20
    low, middle, high = np.percentile(times, [10, 50, 90])
    pipe.send({"ms": middle * 1e3, "10 %": low * 1e3, "90 %": high * 1e3, "MiB": peak})


def timed(run: Run, where: torch.device, seconds: float) -> list[float]:
    """Return the seconds of each run."""
    for _ in range(WARM_UP):
        run()
    wait(where)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < until:
        started = time.perf_counter()
        run()
        wait(where)
        times.append(time.perf_counter() - started)
    return times


def torch_run(case: Case) -> Run:
    """Return the run to measure for torch. Unlike ``Predictor.scores``, it does not fill up a batch."""
    where = torch.device(case.device)
    predictor = Predictor(case.file, where, case.precision)
    normalise = Normalise(predictor.record.mean, predictor.record.std, where)
    height, width = predictor.size
    frames = random_frames(case.size or predictor.size, case.batch)
    normalised = normalise(to_float(upload(torch.from_numpy(frames), where))) if case.size is None else None

    def resized(frame: np.ndarray) -> np.ndarray:
        if case.size == predictor.size:
            return frame
        return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))

    @torch.inference_mode()
    def run() -> object:
        images = normalised
        if images is None:
            images = normalise(
                to_float(upload(torch.from_numpy(np.stack([resized(frame) for frame in frames])), where))
            )
        with torch.autocast(where.type, torch.bfloat16, enabled=case.precision == "bf16"):
            scores = predictor.network(images).float()
        if case.size is None:
            return scores
        return [(to_native(score, case.size).cpu(), confidence(score, case.size).cpu()) for score in scores]

    return run


def onnx_run(case: Case) -> Run:
    """Return the run to measure for onnxruntime."""
    assert case.size is not None
    model, frames = OnnxModel(case.file), random_frames(case.size, case.batch)
    return lambda: model.run(frames)


def random_frames(size: tuple[int, int], count: int) -> np.ndarray:
    """Return frames of noise, uint8 N×H×W×3. The time does not depend on the content."""
    return np.random.default_rng(1).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def row_of(case: Case, found: Row) -> Row:
    """Return the row of a case."""
    figures = {name: found.get(name) for name in ("ms", "10 %", "90 %", "frames/s", "MiB")}
    if figures["ms"]:
        figures["frames/s"] = case.batch * 1e3 / figures["ms"]
    return (
        {"runtime": case.runtime, "device": case.device, "precision": case.precision}
        | {"input": by(case.size) if case.size else NETWORK, "batch": case.batch}
        | {name: value and rounded(value) for name, value in figures.items()}
        | {"problem": found.get("problem")}
    )


def rounded(value: float) -> float:
    """Round to the digits for which the table has room."""
    return round(value) if value >= 1000 else round(value, 2)


def by(size: tuple[int, int]) -> str:
    """Return height and width as text."""
    return "×".join(map(str, size))


if __name__ == "__main__":
    typer.run(main)
