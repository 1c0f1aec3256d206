"""The benchmark of prediction, rehearsed with a tiny model."""

import json
import os
import time

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import latency
from tests.support.exported import SIZE, save_random
from tests.support.tiny_model import save_tiny_model, tiny_network

pytestmark = pytest.mark.system

FIGURES = ("ms", "10 %", "90 %", "frames/s", "MiB")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write a model and an exported model of the same input size."""
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder / "erfnet.safetensors")
    return folder / "erfnet.safetensors", save_random(folder / "erfnet.onnx")


def measured(monkeypatch, tmp_path, *arguments: object):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    app = typer.Typer()
    app.command()(latency.main)
    done = CliRunner().invoke(app, [*map(str, arguments), "--out", str(tmp_path / "new")])
    return done, json.loads((tmp_path / "new/latency.json").read_text())


def test_each_runtime_input_and_batch_has_a_row_with_positive_figures(files, tmp_path, monkeypatch):
    monkeypatch.setattr(latency.device, "usable_precision", lambda *_: "fp32")
    monkeypatch.setattr(latency, "BATCHES", (2,))
    model, onnx = files
    done, written = measured(monkeypatch, tmp_path, model, "--onnx", onnx, "--seconds", 0)
    assert done.exit_code == 0, done.output
    assert done.output.count("Prediction, median of a batch") == 1
    native, small = "227×320", "32×64"
    assert [(row["runtime"], row["precision"], row["input"], row["batch"]) for row in written["rows"]] == [
        ("torch", "fp32", "network alone", 2),
        ("torch", "fp32", small, 2),
        ("torch", "fp32", native, 2),
        ("onnxruntime", "fp32", small, 2),
        ("onnxruntime", "fp32", native, 2),
    ]
    for row in written["rows"]:
        assert all(row[figure] > 0 for figure in FIGURES), row
        assert row["10 %"] <= row["ms"] <= row["90 %"]
        assert row["problem"] is None
    assert written["parameters"] == sum(parameter.numel() for parameter in tiny_network().parameters())
    assert written["multiply-adds"] > 0
    assert written["files"] == {file.name: file.stat().st_size for file in files}
    assert written["measured"]["command"].startswith("python -m benchmarks.latency")


def sleep(*_: object) -> None:
    time.sleep(600)


def die(*_: object) -> None:
    os._exit(7)


def test_a_row_that_hangs_or_dies_says_so(files, monkeypatch):
    case = latency.Case(files[0], "torch", "cpu", "fp32", SIZE, 1)
    for serve, limit, problem in ((sleep, 1, "not done after 1 s"), (die, 60, "exit code 7")):
        monkeypatch.setattr(latency, "serve", serve)
        assert latency.measure(case, 0, limit) == {"problem": problem}


def test_a_row_that_could_not_be_measured_is_written_and_the_exit_code_is_1(files, tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "measure", lambda *_: {"problem": "not done after 1 s"})
    done, written = measured(monkeypatch, tmp_path, files[0])
    assert done.exit_code == 1
    assert {row["problem"] for row in written["rows"]} == {"not done after 1 s"}
    assert all(row[figure] is None for row in written["rows"] for figure in FIGURES)


def test_rows_are_written_as_soon_as_they_are_known(files, tmp_path, monkeypatch):
    def measure(*_: object) -> dict[str, object]:
        known.append(len(json.loads((tmp_path / "new/latency.json").read_text())["rows"]) if known else 0)
        return {"problem": "none of this is measured"}

    known = []
    monkeypatch.setattr(latency, "measure", measure)
    measured(monkeypatch, tmp_path, files[0])
    assert known == list(range(len(known)))
    assert len(known) >= 6


def test_bf16_is_measured_only_where_the_hardware_has_it(files, monkeypatch):
    monkeypatch.setenv("SEGCORE_DEVICE", "cpu")
    for has, expected in ((True, {"fp32", "bf16"}), (False, {"fp32"})):
        monkeypatch.setattr(latency.device, "usable_precision", lambda wanted, _, has=has: wanted if has else "fp32")
        assert {case.precision for case in latency.cases(files[0], [], SIZE)} == expected


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_measured_predicts(files, precision):
    [(ids, sure)] = latency.torch_run(latency.Case(files[0], "torch", "cpu", precision, (40, 50), 1))()
    assert (ids.shape, ids.dtype) == ((40, 50), torch.uint8)
    assert ((sure > 1 / 8) & (sure <= 1)).all()
