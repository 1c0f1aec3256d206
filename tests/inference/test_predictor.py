"""Scores and class ids of frames, against the network called directly."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from segcore.inference.predictor import BATCH_SIZE, Predictor, check_classes, confidence, to_native
from segcore.network import device
from segcore.runtime.errors import UserError
from tests.support.idd_lite import CLASSES, SAMPLE
from tests.support.tiny_model import SIZE, save_tiny_model, tiny_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "erfnet.safetensors"
    save_tiny_model(path)
    return Predictor(path, CPU)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(1).integers(0, 256, (BATCH_SIZE + 3, *SIZE, 3), dtype=np.uint8)


def probabilities(network, frames):
    with torch.no_grad():
        return network((torch.from_numpy(frames).permute(0, 3, 1, 2) / 255 - 0.4) / 0.3)


def test_scores_are_those_of_the_network(predictor, network, frames):
    scores = torch.stack(list(predictor.scores(frames)))
    assert torch.allclose(scores, probabilities(network, frames), atol=1e-4)


def test_mirrored_scores_are_of_the_mirror_image_and_mirrored_back(predictor, network, frames):
    scores = torch.stack(list(predictor.scores(frames, mirrored=True)))
    expected = probabilities(network, frames[:, :, ::-1].copy()).flip(3)
    assert torch.allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize("classes", [["road", "car"], ["street", "sidewalk", "anything else"]])
def test_the_classes_are_those_of_the_record(tmp_path, frames, classes):
    save_tiny_model(tmp_path / "model", classes=classes)
    predictor = Predictor(tmp_path / "model", CPU)
    assert predictor.classes == classes
    scores = torch.stack(list(predictor.scores(frames[:2])))
    assert torch.allclose(scores, probabilities(tiny_network(len(classes)), frames[:2]), atol=1e-4)


def test_weights_for_a_different_number_of_classes_than_the_record_has_are_refused(tmp_path):
    save_tiny_model(tmp_path / "model", tiny_network(3).state_dict())
    with pytest.raises(
        UserError, match=r"model: its weights are not ERFNet's .*size mismatch.*; `dvc repro train` makes data"
    ):
        Predictor(tmp_path / "model", CPU)


@pytest.mark.parametrize("classes", [CLASSES[:6], [*CLASSES, "water"], ["road", *CLASSES[1:]], CLASSES[::-1]])
def test_a_model_of_different_classes_cannot_be_scored(tmp_path, classes):
    check_classes(tmp_path / "model", CLASSES, SAMPLE)
    with pytest.raises(UserError) as caught:
        check_classes(tmp_path / "model", classes, SAMPLE)
    assert str(caught.value) == (
        f"{tmp_path / 'model'}: the model predicts {', '.join(classes)}, and the classes of the built-in sample are "
        f"{', '.join(CLASSES)}. It cannot be scored on a data set with different classes; run `dvc repro`"
    )


@pytest.mark.parametrize("count", [0, 1, BATCH_SIZE, BATCH_SIZE + 1])
def test_there_are_as_many_scores_as_frames(predictor, frames, count):
    assert len(list(predictor.scores(iter(frames[:count])))) == count


def test_a_frame_has_the_same_scores_whatever_is_beside_it(predictor, frames):
    together = list(predictor.scores(frames))
    for at, frame in enumerate(frames):
        [alone] = predictor.scores([frame])
        assert torch.equal(alone, together[at])


def test_frames_are_read_only_when_they_are_needed(predictor, frames):
    taken = []
    scores = predictor.scores(taken.append(at) or frame for at, frame in enumerate(frames))
    assert taken == []
    next(scores)
    assert len(taken) == BATCH_SIZE


def test_frames_of_a_different_size_are_refused(predictor):
    with pytest.raises(UserError, match="trained on frames of 32×64, and these are 16×16"):
        list(predictor.scores([np.zeros((16, 16, 3), np.uint8)]))


@pytest.mark.parametrize("classes", [2, 7, 19])
@pytest.mark.parametrize("size", [(16, 32), (23, 32), (40, 100), (8, 9), (1, 1)])
def test_class_ids_and_confidence_are_of_interpolated_scores(size, classes):
    scores = 5 * torch.randn(classes, 16, 32, generator=torch.Generator().manual_seed(2))
    expected, ids = F.interpolate(scores[None], size, mode="bilinear")[0].softmax(0).max(0)
    assert torch.equal(to_native(scores, size), ids.to(torch.uint8))
    assert torch.allclose(confidence(scores, size), expected, atol=1e-5)


def test_the_first_class_wins_a_tie():
    scores = torch.zeros(7, 2, 2)
    scores[3:5] = 1
    assert to_native(scores, (2, 2)).tolist() == [[3, 3], [3, 3]]


def test_confidence_of_very_large_scores_is_finite():
    scores = torch.stack([torch.full((2, 2), value) for value in (-3e4, 3e4, 3e4 - 1)])
    assert torch.allclose(confidence(scores, (2, 2)), torch.tensor(1 / (1 + np.exp(-1))).float())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_cuda_gives_the_same_scores_twice_and_nearly_those_of_the_cpu(tmp_path, predictor, frames):
    save_tiny_model(tmp_path / "model")
    cuda = torch.device("cuda", 0)
    device.prepare(cuda)
    scores = [list(Predictor(tmp_path / "model", cuda).scores(frames)) for _ in range(2)]
    for first, second, expected in zip(*scores, predictor.scores(frames), strict=True):
        assert torch.equal(first, second)
        assert torch.allclose(first.cpu(), expected, atol=1e-3)
        same = to_native(first, (45, 64)).cpu() == to_native(first.cpu(), (45, 64))
        assert same.float().mean() > 0.999  # equal but for rounding
        assert torch.allclose(confidence(first, (45, 64)).cpu(), confidence(first.cpu(), (45, 64)), atol=1e-5)
