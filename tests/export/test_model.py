"""The exported model: the class ids and confidences of the pipeline's own functions, for frames of any size."""

import json

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from segcore.export.graph import Graph
from segcore.export.model import best_class, describe, export, normalised, resized
from segcore.inference.predictor import confidence, to_native
from segcore.network.tensors import Normalise, to_float
from tests.support.exported import RECORD, SIZE, export_random, random_network, run, session
from tests.support.idd_lite import CLASSES, DESCRIPTION, SAMPLE

CPU = torch.device("cpu")


def pictures(batch: int, height: int, width: int) -> np.ndarray:
    """Return smooth pictures, uint8 B×H×W×3: a gradient, and coarse noise enlarged."""
    rng = np.random.default_rng(height)
    coarse = rng.integers(0, 256, (batch, 5, 7, 3), dtype=np.uint8)
    resize = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(each).resize((width, height), resize)) for each in coarse])


def pillow(image: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(image).resize(SIZE[::-1], Image.Resampling.BILINEAR))


def part(build, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Run the nodes that ``build`` adds to a graph."""
    graph = Graph()
    output = build(graph)
    of = onnx.helper.np_dtype_to_tensor_dtype
    info = [
        onnx.helper.make_tensor_value_info(name, of(value.dtype), [None] * value.ndim) for name, value in inputs.items()
    ]
    model = graph.model(info, [onnx.ValueInfoProto(name=output)], {})
    return session(model).run(None, inputs)[0]


@pytest.mark.parametrize("encoder_only", [False, True])
@pytest.mark.parametrize("size", [(1, *SIZE), (3, *SIZE), (1, 227, 320), (3, 37, 51), (1, 5, 3), (1, 1, 1)])
def test_class_ids_and_confidences_are_those_of_the_pipeline(encoder_only, size):
    images = pictures(*size)
    assert_same_as_the_pipeline(encoder_only, CLASSES, images)


@pytest.mark.parametrize("encoder_only", [False, True])
@pytest.mark.parametrize("classes", [["road", "car"], ["a", "b", "c"], [f"class {i}" for i in range(19)]], ids=len)
def test_any_number_of_classes(encoder_only, classes):
    assert_same_as_the_pipeline(encoder_only, classes, pictures(2, 37, 51))


def assert_same_as_the_pipeline(encoder_only: bool, names: list[str], images: np.ndarray) -> None:
    size = images.shape[:3]
    classes, probabilities = run(export_random(encoder_only, names), images)
    assert classes.dtype == np.uint8 and probabilities.dtype == np.float32
    assert classes.shape == probabilities.shape == size
    network, normalise = random_network(encoder_only, names), Normalise(RECORD.mean, RECORD.std, CPU)
    for i, image in enumerate(images):
        with torch.inference_mode():
            [scores] = network(normalise(to_float(torch.from_numpy(pillow(image)[None]))))
        assert np.mean(classes[i] == to_native(scores, size[1:]).numpy()) > 0.998
        np.testing.assert_allclose(probabilities[i], confidence(scores, size[1:]).numpy(), atol=2e-3)


def test_each_frame_of_a_batch_is_predicted_as_on_its_own():
    model, images = export_random(), pictures(3, 45, 64)
    together = run(model, images)
    for i in range(3):
        for values, alone in zip(together, run(model, images[i : i + 1]), strict=True):
            np.testing.assert_allclose(values[i], alone[0], atol=1e-6)


def test_the_first_class_wins_a_tie():
    scores = np.zeros((1, 7, 2, 3), np.float32)
    scores[0, [2, 5], 0] = 1
    ids = part(lambda graph: best_class(graph, "scores"), {"scores": scores})
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[[2, 2, 2], [0, 0, 0]]]


WIDE = [(32, 64), (16, 32), (33, 64), (227, 320), (7, 200), (540, 960), (1, 1)]


@pytest.mark.parametrize("size", WIDE)
@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_frames_are_resized_as_by_pillow(size, kind):
    rng = np.random.default_rng(1)
    images = pictures(3, *size) if kind == "smooth" else rng.integers(0, 256, (3, *size, 3), dtype=np.uint8)
    expected = np.stack([pillow(image) for image in images]).astype(int)
    found = part(lambda graph: resized(graph, "image", SIZE), {"image": images})
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1
    assert np.mean(found != expected) < 0.005


@pytest.mark.parametrize("size", [(37, 51), (200, 100), (701, 333)])
def test_in_tall_frames_the_difference_is_one_at_most(size):
    """Pillow may resize their height before their width, and it rounds in between."""
    images = np.random.default_rng(1).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    found = part(lambda graph: resized(graph, "image", SIZE), {"image": images})
    assert np.abs(found[0].astype(int) - pillow(images[0])).max() <= 1


def test_frames_are_normalised_as_for_training():
    images = np.random.default_rng(1).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    mean, std = [0.3, 0.4, 0.5], [0.2, 0.3, 0.0]  # 0 as of a uniform channel
    expected = Normalise(mean, std, CPU)(to_float(torch.from_numpy(images)))
    found = part(lambda graph: normalised(graph, "image", mean, std), {"image": images})
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)


def test_metadata_says_what_a_program_needs(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc")
    about = describe(tmp_path / "weights", RECORD, DESCRIPTION.dataset(sample=False), "fp32")
    metadata = session(export(random_network(), RECORD, about)).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == CLASSES
    assert json.loads(metadata["colours"])[:2] == [[128, 64, 128], [244, 154, 232]]
    assert len(json.loads(metadata["colours"])) == 7
    assert json.loads(metadata["input_size"]) == list(SIZE)
    assert metadata["model_sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert metadata["precision"] == "fp32"
    assert metadata["licence"] == (
        "The frames are under the terms of IDD, https://idd.insaan.iiit.ac.in/, which forbid passing them on. "
        "The weights were learnt from these frames: read the terms before you pass the weights on, or use them for "
        "anything but research."
    )
    assert metadata.keys() == {"classes", "colours", "input_size", "licence", "model_sha256", "precision", "segcore"}


def test_the_licence_is_that_of_the_frames_and_of_weights_to_start_from(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc")
    sample = "The frames are drawn by tools/scenes, under the licence of this model's repository."
    assert describe(tmp_path / "weights", RECORD, SAMPLE, "fp32").licence == sample
    started = RECORD.model_copy(update={"init": "0" * 32})
    assert describe(tmp_path / "weights", started, SAMPLE, "fp32").licence == (
        f"{sample} The weights that training started from have terms of their own, which apply, too."
    )


def test_old_runtimes_can_read_it():
    """ONNX 1.13 of December 2022: https://onnxruntime.ai/docs/reference/compatibility.html."""
    model = export_random()
    assert (model.ir_version, [(entry.domain, entry.version) for entry in model.opset_import]) == (8, [("", 18)])


@pytest.mark.parametrize("encoder_only", [False, True])
def test_a_session_says_nothing(encoder_only, capfd):
    run(export_random(encoder_only), pictures(1, 45, 64))
    assert capfd.readouterr() == ("", "")
