"""The training loop: it learns, repeats itself bit for bit, and goes on from any state."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from segcore.network import device
from segcore.network.erfnet import ERFNet, ModelParams
from segcore.network.tensors import FrameStore
from segcore.runtime.errors import UserError
from segcore.train import augment, loop
from segcore.train.curves import Epoch
from segcore.train.loop import Event, Step, Training, Validated
from segcore.train.recipe import Recipe, TrainParams
from tests.support.tiny_training import CPU, data, finish, make, recipe

CUDA = torch.device("cuda", 0)
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
WITH_BF16 = pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no bf16 on this CPU")


@pytest.fixture(autouse=True)
def prepared(monkeypatch):
    device.prepare(CPU)
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # also where it is slow, and so would not be used
        monkeypatch.setattr(device, "_has_bf16", lambda _: True)


class Recorder(FrameStore):
    """A store that remembers which frames were asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = []

    def _read(self, index):
        self.asked.append(index.tolist())
        return super()._read(index)


def next_epoch(events: Iterator[Event]) -> Epoch:
    """Run to the end of the epoch."""
    return next(event for event in events if isinstance(event, Epoch))


def same(a: ERFNet, b: ERFNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("encoder_only", "count"), [(False, 7), (True, 7), (False, 2), (False, 19)])
def test_it_learns(encoder_only, count):
    classes = [f"class {i}" for i in range(count)]
    run = Training(recipe(epochs=30, validate_every=30, encoder_only=encoder_only), data(classes=classes), CPU)
    finish(run)
    assert len(run.weights) == count
    assert run.curves[-1].loss < run.curves[0].loss / 2
    assert run.curves[-1].val_miou > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_twice_bit_for_bit(precision):
    first, second, other = (make(precision=precision, seed=seed) for seed in (1, 1, 2))
    for run in (first, second, other):
        finish(run)
    assert first.curves == second.curves != other.curves
    assert same(first.model, second.model)
    assert not same(first.model, other.model)


STATEFUL = [
    {"optimizer": "adam", "precision": "fp32"},
    {"precision": "bf16"},
    {"precision": "fp32", "encoder_only": True, "validate_every": 2},
    {"precision": "bf16", "optimizer": "muon", "weight_decay": 0.1},
    {"precision": "fp32", "optimizer": "muon", "encoder_only": True},
]


@pytest.mark.slow
@pytest.mark.parametrize("changes", STATEFUL)
def test_a_run_that_goes_on_from_the_state_at_any_event_ends_the_same(changes):
    whole = make(**changes)
    states = [whole.state(), *(whole.state() for _ in whole.events())]
    assert states[-1][1]["step"] == whole.steps == 6
    for tensors, about in states:
        run = make(**changes)
        run.restore(tensors, about)
        steps_before = run.step
        steps = [event for event in finish(run) if isinstance(event, Step)]
        assert len(steps) == 6 - steps_before
        assert same(run.model, whole.model)
        assert run.curves == whole.curves


class Played:
    """A recording on a CPU: the function runs when it is set up, and inputs and result keep their places in memory."""

    def __init__(self, function, *inputs):
        self.function, self.inputs = function, [tensor.clone() for tensor in inputs]
        for _ in range(3):
            self.result = function(*self.inputs)

    def __call__(self, *inputs):
        for own, new in zip(self.inputs, inputs, strict=True):
            own.copy_(new)
        return self.result.copy_(self.function(*self.inputs))


@pytest.mark.slow
@pytest.mark.parametrize("changes", STATEFUL)
def test_recording_a_step_does_not_change_the_run(changes, monkeypatch):
    plain, recorded = make(**changes), make(**changes)
    finish(plain)
    monkeypatch.setattr(loop, "Recording", Played)
    monkeypatch.setattr(loop, "can_record", lambda device: True)
    next_epoch(recorded.events())
    state = recorded.state()
    recorded = make(**changes)
    recorded.restore(*state)
    finish(recorded)
    assert same(recorded.model, plain.model)
    assert recorded.curves == plain.curves


@pytest.mark.gpu
@NO_CUDA
@pytest.mark.parametrize("changes", STATEFUL)
def test_a_recorded_step_does_what_the_step_does(changes, monkeypatch):
    device.prepare(CUDA)
    recorded = make(where=CUDA, **changes)
    finish(recorded)
    monkeypatch.setattr(loop, "can_record", lambda device: False)
    plain = make(where=CUDA, **changes)
    finish(plain)
    assert same(recorded.model, plain.model)
    assert recorded.curves == plain.curves


def test_an_epoch_takes_every_frame_once_in_a_new_order():
    run = make(frames=8, store=Recorder)
    events = finish(run)
    asked = [frame for index in run.data.train.asked for frame in index]
    assert sorted(asked[:8]) == sorted(asked[8:]) == list(range(8))
    assert asked[:8] != asked[8:]
    assert events == [*[Step(2)] * 4, Validated(), run.curves[0], *[Step(2)] * 4, Validated(), run.curves[1]]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_each_frame_is_mirrored_in_every_second_epoch(monkeypatch, batch_size):
    run = make(frames=40, store=Recorder, epochs=4, batch_size=batch_size)
    drawn, draw = [], augment.draw

    def note(params, mirrored, *arguments):
        drawn.extend(mirrored)
        return draw(params, mirrored, *arguments)

    monkeypatch.setattr(augment, "draw", note)
    monkeypatch.setattr(run, "optimise", lambda *_: torch.zeros(()))
    finish(run)
    asked = [frame for index in run.data.train.asked for frame in index][: len(drawn)]
    of_frame = [[mirrored for frame, mirrored in zip(asked, drawn, strict=True) if frame == one] for one in range(40)]
    assert all(seen == [seen[0], not seen[0]] * 2 for seen in of_frame)
    assert 10 <= sum(seen[0] for seen in of_frame) <= 30


def test_it_validates_every_few_epochs_and_at_the_end():
    run = make(epochs=5, validate_every=2)
    finish(run)
    assert [epoch.val_miou is not None for epoch in run.curves] == [False, True, False, True, True]


def test_without_a_pixel_to_count_there_is_no_miou():
    run = make(epochs=1)
    run.data.val._labels.fill_(255)
    finish(run)
    assert run.curves[0].val_miou is None


def test_an_epoch_has_the_learning_rate_of_its_last_step():
    run = make()
    for event in run.events():
        if isinstance(event, Epoch):
            assert event.lr == pytest.approx(run.lr.item())


def test_validating_does_not_change_the_result():
    often, seldom = make(validate_every=1, epochs=3), make(validate_every=3, epochs=3)
    finish(often), finish(seldom)
    assert same(often.model, seldom.model)


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(UserError, match=r"train\.batch_size: 7 is more than the 6 train frames"):
        make(batch_size=7)


def test_a_loss_that_is_not_finite_stops_with_epoch_and_step():
    run = make(epochs=3)
    events = run.events()
    next_epoch(events)
    with torch.no_grad():
        run.model.decoder.output_conv.bias[0] = math.nan
    with pytest.raises(UserError, match=r"the loss is nan in epoch 2, step 1 of 3"):
        next_epoch(events)


def test_weights_that_the_last_step_broke_are_not_kept(monkeypatch):
    run = make(epochs=1)

    def validate():
        with torch.no_grad():
            run.model.encoder.initial_block.conv.bias[0] = math.inf
        yield Validated()
        return 0.0

    monkeypatch.setattr(run, "_validate", validate)
    with pytest.raises(UserError, match="the last step made weights that are not finite"):
        finish(run)


REACHES = [
    ("train", {"optimizer": "adam"}),  # the same as adamw but for the weight decay
    ("train", {"optimizer": "muon"}),
    ("train", {"lr": 0.004}),
    ("train", {"weight_decay": 0.1}),
    ("train", {"schedule": "poly"}),
    ("train", {"class_weights": "inverse_log"}),
    pytest.param("train", {"precision": "bf16"}, marks=WITH_BF16),
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
]


@pytest.mark.slow
@pytest.mark.parametrize(("section", "changes"), REACHES)
def test_every_parameter_reaches_the_weights(section, changes):
    """One epoch with one parameter changed ends in different weights."""
    base = recipe(epochs=1, weight_decay=0.01).model_dump()
    shares = dict(share=[0.9, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01])

    def encoder(values):
        run = Training(Recipe(**values), dataclasses.replace(data(), **shares), CPU)
        finish(run)
        return run.model.encoder

    other = base | {section: base[section] | changes}
    assert not same(encoder(base), encoder(other))


def test_the_parameters_that_reach_the_weights_are_all_but_three():
    models = {"model": ModelParams, "augment": augment.AugmentParams, "train": TrainParams}
    fields = {(section, name) for section, model in models.items() for name in model.model_fields}
    tried = {(section, *changes) for section, changes in (getattr(each, "values", each) for each in REACHES)}
    assert fields - tried == {("train", "init"), ("train", "epochs"), ("train", "validate_every")}


@pytest.mark.gpu
@NO_CUDA
@pytest.mark.parametrize("encoder_only", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_gives_the_same_weights_twice(encoder_only, precision):
    device.prepare(CUDA)
    changes = {"precision": precision, "encoder_only": encoder_only, "optimizer": "muon"}
    runs = [make(where=CUDA, **changes) for _ in range(2)]
    for run in runs:
        finish(run)
    assert same(*(run.model for run in runs))


@pytest.mark.parametrize(
    "where", [pytest.param(CPU, id="cpu"), pytest.param(CUDA, id="cuda", marks=[pytest.mark.gpu, NO_CUDA])]
)
def test_where_the_frames_are_stored_does_not_change_the_result(tmp_path, monkeypatch, where):
    """On the device, or in a memory map where they do not fit."""
    if where == CUDA:
        device.prepare(where)
    plain = data()
    networks = []
    for fits in (True, False):
        monkeypatch.setattr("segcore.network.tensors._fits", lambda size, device, fits=fits: fits)
        stores = []
        for i, store in enumerate((plain.train, plain.val)):
            arrays = store._images.numpy(), store._labels.numpy()
            if not fits:
                for kind, array in zip(("images", "labels"), arrays, strict=True):
                    np.save(tmp_path / f"{i}_{kind}.npy", array)
                arrays = [np.load(tmp_path / f"{i}_{kind}.npy", mmap_mode="c") for kind in ("images", "labels")]
            stores.append(FrameStore(*arrays, where))
        run = Training(recipe(), dataclasses.replace(plain, train=stores[0], val=stores[1]), where)
        finish(run)
        networks.append(run.model)
    assert same(*networks)
