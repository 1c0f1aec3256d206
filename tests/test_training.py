"""The loop: what it learns, that it repeats itself, and that it goes on from where it was."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from segcore import device, training
from segcore.augment import AugmentParams
from segcore.console import UserError
from segcore.erfnet import ERFNet, ModelParams
from segcore.frames import FrameStore
from segcore.training import Training, TrainParams
from tests.tiny_training import CPU, PARAMS, PLAIN, data, make

CUDA = torch.device("cuda", 0)
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
WITH_BF16 = pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no bf16 on this CPU")


@pytest.fixture(autouse=True)
def prepared(monkeypatch):
    device.prepare(CPU)
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # also where it is slow, and so would not be used
        monkeypatch.setattr(device, "_has_bf16", lambda _: True)


class Recorder(FrameStore):
    """Remembers which frames were asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = []

    def batch(self, index):
        self.asked.append(index.tolist())
        return super().batch(index)


def finish(run: Training) -> list:
    return list(run.epochs(lambda frames: None))


def same(a: ERFNet, b: ERFNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("encoder_only", [False, True])
def test_it_learns(encoder_only):
    epochs = finish(make(epochs=30, validate_every=30, encoder_only=encoder_only))
    assert epochs[-1].loss < epochs[0].loss / 2
    assert epochs[-1].val_miou > 0.8


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_twice_bit_for_bit(precision):
    first, second, other = (make(precision=precision, ema=0.9, seed=seed) for seed in (1, 1, 2))
    losses = [[epoch.loss for epoch in finish(run)] for run in (first, second, other)]
    assert losses[0] == losses[1] != losses[2]
    assert same(first.network, second.network)
    assert not same(first.network, other.network)


STATEFUL = [
    {"optimizer": "adam", "precision": "fp32"},
    {"precision": "bf16", "ema": 0.9},
    {"precision": "fp32", "encoder_only": True, "validate_every": 2},
    {"precision": "bf16", "optimizer": "muon", "weight_decay": 0.1, "ema": 0.9},
    {"precision": "fp32", "optimizer": "muon", "encoder_only": True},
]


@pytest.mark.parametrize("changes", STATEFUL)
def test_a_run_that_goes_on_from_the_state_of_any_moment_ends_the_same(changes):
    whole = make(**changes)
    states = [whole.state()]
    for _ in whole.epochs(lambda frames: states.append(whole.state())):
        pass
    assert states[-2][1]["step"] == whole.steps == 6
    for tensors, about in states:
        run = make(**changes)
        run.restore(tensors, about)
        steps_before = run.step
        frames = []
        for _ in run.epochs(frames.append):
            pass
        assert sum(frames) == 2 * (6 - steps_before)
        assert same(run.model, whole.model)
        assert same(run.network, whole.network)
        assert run.curves == whole.curves


class Played:
    """Stands in for a recording on a CPU: set up by running the function, inputs and result in places of their own."""

    def __init__(self, function, *inputs):
        self.function, self.inputs = function, [tensor.clone() for tensor in inputs]
        for _ in range(3):
            self.result = function(*self.inputs)

    def __call__(self, *inputs):
        for own, new in zip(self.inputs, inputs, strict=True):
            own.copy_(new)
        return self.result.copy_(self.function(*self.inputs))


@pytest.mark.parametrize("changes", STATEFUL)
def test_recording_a_step_changes_nothing_of_the_run(changes, monkeypatch):
    plain, recorded = make(**changes), make(**changes)
    finish(plain)
    monkeypatch.setattr(training, "Recording", Played)
    monkeypatch.setattr(training, "can_record", lambda device: True)
    next(recorded.epochs(lambda frames: None))
    state = recorded.state()
    recorded = make(**changes)
    recorded.restore(*state)
    finish(recorded)
    assert same(recorded.model, plain.model)
    assert same(recorded.network, plain.network)
    assert recorded.curves == plain.curves


@pytest.mark.gpu
@NO_CUDA
@pytest.mark.parametrize("changes", STATEFUL)
def test_a_recorded_step_does_what_the_step_does(changes, monkeypatch):
    device.prepare(CUDA)
    recorded = make(where=CUDA, **changes)
    finish(recorded)
    monkeypatch.setattr(training, "can_record", lambda device: False)
    plain = make(where=CUDA, **changes)
    finish(plain)
    assert same(recorded.network, plain.network)
    assert recorded.curves == plain.curves


def test_an_epoch_asks_for_every_frame_once_in_an_order_of_its_own():
    run = make(frames=8, store=Recorder)
    ticks = []
    for _ in run.epochs(ticks.append):
        pass
    asked = [frame for index in run.data.train.asked for frame in index]
    assert sorted(asked[:8]) == sorted(asked[8:]) == list(range(8))
    assert asked[:8] != asked[8:]
    assert ticks == [2, 2, 2, 2, 0] * 2


def test_validation_comes_when_asked_for_and_at_the_end():
    validated = [epoch.val_miou is not None for epoch in finish(make(epochs=5, validate_every=2))]
    assert validated == [False, True, False, True, True]


def test_validating_does_not_change_the_result():
    often, seldom = make(validate_every=1, epochs=3), make(validate_every=3, epochs=3)
    finish(often), finish(seldom)
    assert same(often.network, seldom.network)


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(UserError, match=r"train\.batch_size: 7 is more than the 6 train frames"):
        make(batch_size=7)


def test_a_loss_that_is_not_finite_stops_with_epoch_and_step():
    run = make(epochs=3)
    epochs = run.epochs(lambda frames: None)
    next(epochs)
    with torch.no_grad():
        run.model.decoder.output_conv.bias[0] = math.nan
    with pytest.raises(UserError, match=r"the loss is nan in epoch 2, step 1 of 3"):
        next(epochs)


def test_weights_that_the_last_step_broke_are_not_kept(monkeypatch):
    run = make(epochs=1)

    def validate(tick):
        with torch.no_grad():
            run.model.encoder.initial_block.conv.bias[0] = math.inf
        return 0.0

    monkeypatch.setattr(run, "validate", validate)
    with pytest.raises(UserError, match="the last step made weights that are not finite"):
        finish(run)


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("train", {"optimizer": "adam"}),  # the same as adamw but for the weight decay
        ("train", {"optimizer": "muon"}),
        ("train", {"lr": 0.004}),
        ("train", {"weight_decay": 0.1}),
        ("train", {"schedule": "poly"}),
        ("train", {"class_weights": "inverse_log"}),
        pytest.param("train", {"precision": "bf16"}, marks=WITH_BF16),
        ("train", {"ema": 0.5}),
        ("train", {"seed": 2}),
        ("train", {"batch_size": 3}),
        ("model", {"encoder_only": True}),
        ("augment", {"flip": False}),
        ("augment", {"shift": 3}),
        ("augment", {"scale_min": 0.5}),
        ("augment", {"scale_max": 2}),
        ("augment", {"brightness": 0.5}),
        ("augment", {"contrast": 0.5}),
        ("augment", {"saturation": 0.5}),
    ],
)
def test_every_parameter_reaches_the_weights(section, changes):
    """Two steps with one parameter changed end in other weights."""
    base = {"train": PARAMS | {"epochs": 1, "weight_decay": 0.01}, "model": {"encoder_only": False}}
    base["augment"] = PLAIN.model_dump()
    shares = dict(share=[0.9, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01])

    def encoder(values):
        sections = TrainParams(**values["train"]), ModelParams(**values["model"]), AugmentParams(**values["augment"])
        run = Training(*sections, dataclasses.replace(data(), **shares), CPU)
        finish(run)
        return run.network.encoder

    other = base | {section: base[section] | changes}
    assert not same(encoder(base), encoder(other))


@pytest.mark.gpu
@NO_CUDA
@pytest.mark.parametrize("encoder_only", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_gives_the_same_weights_twice(encoder_only, precision):
    device.prepare(CUDA)
    changes = {"precision": precision, "encoder_only": encoder_only, "optimizer": "muon", "ema": 0.9}
    runs = [make(where=CUDA, **changes) for _ in range(2)]
    for run in runs:
        finish(run)
    assert same(*(run.network for run in runs))


@pytest.mark.parametrize(
    "where", [pytest.param(CPU, id="cpu"), pytest.param(CUDA, id="cuda", marks=[pytest.mark.gpu, NO_CUDA])]
)
def test_where_the_frames_are_kept_does_not_change_the_result(tmp_path, monkeypatch, where):
    """On the device, in memory or in a memory map, as there is room."""
    plain = data()
    networks = []
    for fits in (True, False):
        monkeypatch.setattr("segcore.frames._fits", lambda size, device, fits=fits: fits)
        stores = []
        for i, store in enumerate((plain.train, plain.val)):
            arrays = store._images.numpy(), store._labels.numpy()
            if not fits:
                for kind, array in zip(("images", "labels"), arrays, strict=True):
                    np.save(tmp_path / f"{i}_{kind}.npy", array)
                arrays = [np.load(tmp_path / f"{i}_{kind}.npy", mmap_mode="c") for kind in ("images", "labels")]
            stores.append(FrameStore(*arrays, where))
        sections = TrainParams(**PARAMS), ModelParams(encoder_only=False), PLAIN
        run = Training(*sections, dataclasses.replace(plain, train=stores[0], val=stores[1]), where)
        finish(run)
        networks.append(run.network)
    assert same(*networks)


def test_the_average_is_what_is_kept():
    plain, averaged = make(), make(ema=0.9)
    finish(plain), finish(averaged)
    assert same(plain.model, averaged.model)
    assert not same(averaged.network, averaged.model)
