"""The exported model is run and described; a file that this pipeline did not export is an error. So is export.json."""

import contextlib
import json
import subprocess
import sys
from random import Random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.mutations import mutate
from segcore.files.onnx import ExportScores, OnnxModel, read_export_scores, write_export_scores
from segcore.runtime.errors import UserError
from tests.support.exported import ABOUT, export_random, run, save_random
from tests.support.running import ROOT

SCORES = ExportScores(miou=0.5, miou_change=-0.0012, pixels_changed=0.0105, parameters=2064314, multiply_adds=10**10)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save_random(tmp_path_factory.mktemp("model") / "erfnet.onnx")


def foreign() -> onnx.ModelProto:
    """Return a model that another program could have written."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "foreign", value[:1], value[1:])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def with_metadata(**changes: str) -> onnx.ModelProto:
    model = export_random()
    props = {prop.key: prop.value for prop in model.metadata_props} | changes
    helper.set_model_props(model, {key: value for key, value in props.items() if value})
    return model


def test_it_predicts_frames_of_any_size(file):
    model = OnnxModel(file)
    for size in ((1, 45, 64), (2, 30, 70)):
        images = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
        for found, expected in zip(model.run(images), run(export_random(), images), strict=True):
            assert found.dtype == expected.dtype and found.shape == size
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_record_is_that_of_the_export(file):
    assert OnnxModel(file).record == ABOUT


@pytest.mark.parametrize("count", [2, 3, 19])
def test_a_model_of_any_number_of_classes(tmp_path, count):
    classes = [f"class {i}" for i in range(count)]
    path, images = tmp_path / "erfnet.onnx", np.random.default_rng(1).integers(0, 256, (1, 45, 64, 3), dtype=np.uint8)
    path.write_bytes(export_random(classes=classes).SerializeToString())
    model = OnnxModel(path)
    assert model.record.classes == classes and len(model.record.colours) == count
    for found, expected in zip(model.run(images), run(export_random(classes=classes), images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a complete ONNX file"),
        (b"no ONNX\n" * 100, "not a complete ONNX file"),
        (b"\x89PNG\r\n\x1a\n", "not a complete ONNX file"),
        (foreign().SerializeToString(), "ONNX, but not exported by this pipeline"),
        (with_metadata(segcore="").SerializeToString(), "ONNX, but not exported by this pipeline"),
        (with_metadata(classes='["road"]').SerializeToString(), "colours: one colour per class was expected"),
        (with_metadata(classes='["a", "b", "a"]').SerializeToString(), "classes: different names of printable"),
        (with_metadata(classes="[]", colours="[]").SerializeToString(), "classes: list should have at least 1 item"),
        (with_metadata(classes="[" * 10_000).SerializeToString(), "classes: input should be a valid list"),
        (with_metadata(colours="[[1, 2]]").SerializeToString(), "colours"),
        (with_metadata(precision="").SerializeToString(), "precision: missing"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, message):
    path = tmp_path / "erfnet.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        OnnxModel(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; `dvc repro export` makes data/model/erfnet.onnx")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_refused(file, tmp_path, share):
    content = file.read_bytes()
    (tmp_path / "erfnet.onnx").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="; `dvc repro export` makes data"):
        OnnxModel(tmp_path / "erfnet.onnx")


def test_a_file_without_its_last_bytes_is_refused(file, tmp_path):
    """The metadata is at the end."""
    content = file.read_bytes()
    for lost in (*range(1, 60), 200, 500, 800):
        (tmp_path / "erfnet.onnx").write_bytes(content[:-lost])
        with pytest.raises(UserError, match="; `dvc repro export` makes data"):
            OnnxModel(tmp_path / "erfnet.onnx")


def test_a_wrong_number_of_threads_is_told(file, monkeypatch):
    monkeypatch.setenv("SEGCORE_THREADS", "0")
    with pytest.raises(UserError, match="SEGCORE_THREADS: a whole number"):
        OnnxModel(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        OnnxModel(tmp_path / "erfnet.onnx")
    assert caught.value.filename == str(tmp_path / "erfnet.onnx")


def test_scores_that_are_written_are_read_back(tmp_path):
    for scores in (SCORES, SCORES.model_copy(update={"miou": None, "miou_change": None})):
        write_export_scores(tmp_path / "export.json", scores)
        assert read_export_scores(tmp_path / "export.json") == scores
    assert list(json.loads((tmp_path / "export.json").read_text())) == list(ExportScores.model_fields)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"miou": NaN}', b"\xff", b"[" * 10_000])
def test_scores_of_another_kind_are_refused(tmp_path, content):
    (tmp_path / "export.json").write_bytes(content)
    with pytest.raises(UserError, match=r"export\.json: not what export writes .*; run `dvc repro export`"):
        read_export_scores(tmp_path / "export.json")


def test_damaged_scores_are_read_or_refused(tmp_path):
    path = tmp_path / "export.json"
    write_export_scores(path, SCORES)
    content = path.read_bytes()
    for seed in range(300):
        path.write_bytes(mutate(Random(seed), content))
        with contextlib.suppress(UserError):
            read_export_scores(path)


@pytest.mark.slow
def test_scores_are_read_without_torch_and_onnx(tmp_path):
    write_export_scores(tmp_path / "export.json", SCORES)
    program = f"""
import sys
for name in ("torch", "onnx", "onnxruntime"):
    sys.modules[name] = None
from pathlib import Path
from segcore.files.onnx import read_export_scores
print(read_export_scores(Path({str(tmp_path / "export.json")!r})).miou)
"""
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True) == "0.5\n"
