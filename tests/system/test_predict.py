"""`python -m segcore predict` with the model of a pipeline that DVC ran."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segcore.files.model import MODEL
from segcore.files.onnx import ONNX
from tests.support.running import assert_fails
from tests.support.workspace import Workspace

FRAMES = "data/native/leftImg8bit"


def predict(workspace: Workspace, out: Path, *arguments: str) -> dict[str, np.ndarray]:
    """Return the class ids of the frames of val and test by their paths in data/predictions."""
    workspace.run("python", "-m", "segcore", "predict", FRAMES, "--out", str(out), *arguments)
    return read(out, "_image_label.png")


def read(folder: Path, ending: str = "_label.png") -> dict[str, np.ndarray]:
    found = {str(path.relative_to(folder)).removesuffix(ending): path for path in folder.rglob(f"*{ending}")}
    return {name: np.asarray(Image.open(path)) for name, path in found.items()}


def assert_equal(predicted: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert predicted.keys() == expected.keys()
    assert all(np.array_equal(ids, expected[name]) for name, ids in predicted.items())


@pytest.fixture(scope="module")
def evaluated(finished) -> dict[str, np.ndarray]:
    return read(finished.root / "data/predictions")


def test_class_ids_are_those_of_evaluate_bit_for_bit(finished, evaluated, tmp_path):
    assert len(evaluated) == 4
    assert_equal(predict(finished, tmp_path / "out"), evaluated)


@pytest.mark.parametrize("more", [[], ["--confidence"]])
def test_the_onnx_file_predicts_nearly_the_same(finished, evaluated, tmp_path, more):
    predicted = predict(finished, tmp_path / "out", "--model", str(ONNX), *more)
    assert predicted.keys() == evaluated.keys()
    assert np.mean([predicted[name] == evaluated[name] for name in evaluated]) > 0.98
    assert len(list((tmp_path / "out").rglob("*_confidence.png"))) == (len(evaluated) if more else 0)


def test_the_onnx_file_has_no_scores_to_blend(finished, tmp_path):
    with pytest.raises(AssertionError, match=r"--tile blends scores, and data/model/erfnet\.onnx gives none"):
        predict(finished, tmp_path / "out", "--model", str(ONNX), "--tile")
    assert not (tmp_path / "out").exists()


def test_the_model_of_a_commit_comes_from_the_cache(workspace, evaluated, tmp_path):
    (workspace.root / MODEL).write_bytes(b"something else")
    assert_equal(predict(workspace, tmp_path / "out", "--rev", "HEAD"), evaluated)
    assert (workspace.root / MODEL).read_bytes() == b"something else"


def test_the_model_of_a_branch_comes_from_the_remote(workspace, evaluated, tmp_path):
    workspace.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    workspace.commit("remote")
    workspace.dvc("push")
    clone = workspace.clone(tmp_path / "clone" / "workspace")
    workspace.give("data/native", clone)
    assert_equal(predict(clone, tmp_path / "out", "--rev", "origin/main"), evaluated)


@pytest.mark.parametrize(
    ("rev", "message"),
    [("nowhere", "nowhere: no commit, branch, tag or experiment has this name"), ("HEAD", "of HEAD cannot be read: ")],
)
def test_a_model_that_is_nowhere(finished, tmp_path, rev, message):
    clone = finished.clone(tmp_path / "clone" / "workspace")
    finished.give("data/native", clone)
    done = clone.attempt("python", "-m", "segcore", "predict", FRAMES, "--out", "out", "--rev", rev)
    assert_fails(done, message)
    assert not (clone.root / "out").exists()
