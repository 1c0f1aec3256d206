"""Training ERFNet: the loop, its schedule and its loss.

Every random choice is a function of (seed, step): the order of frames, what augmentation draws, what dropout drops.
With deterministic kernels the result is a function of parameters, data and code, on one kind of hardware; and a run
that goes on from the state of any step ends as one that was never stopped.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from segcore import augment
from segcore.augment import AugmentParams
from segcore.confusion import confusion_matrix, mean_iou
from segcore.console import UserError
from segcore.device import usable_precision
from segcore.erfnet import ERFNet, ModelParams
from segcore.frames import FrameStore, Normalise, to_float, upload
from segcore.labels import CLASSES
from segcore.loss import class_weights, cross_entropy
from segcore.optimizer import Kind, make_optimizers
from segcore.params import Real, Section
from segcore.pretrained import initialise
from segcore.replay import Recording, can_record

ORDER, AUGMENTATION, DROPOUT = range(3)  # streams of random numbers
REMEDY = "choose a smaller train.lr, or train.precision=fp32"


class TrainParams(Section):
    """Section ``train``."""

    init: Path = Field(strict=False)
    seed: int = Field(ge=0, lt=2**32)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Kind
    lr: Real = Field(gt=0, le=1)
    weight_decay: Real = Field(ge=0, le=1)
    schedule: Literal["one_cycle", "poly", "constant"]
    class_weights: Literal["none", "inverse_log"]
    precision: Literal["bf16", "fp32"]
    ema: Real = Field(ge=0, lt=1)
    validate_every: int = Field(ge=1)


@dataclass(frozen=True)
class Data:
    """What is trained and validated on, and the statistics of the train split: see :mod:`segcore.arrays`."""

    train: FrameStore
    val: FrameStore
    mean: list[float]
    std: list[float]
    share: list[float]


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; ``loss`` is its mean, ``val_miou``, at input size, is ``None`` when not validated."""

    number: int
    loss: float
    lr: float
    val_miou: float | None


class Training:
    """One training run on one device.

    :meth:`epochs` runs it, :attr:`network` is its result so far, :attr:`step` counts the steps done and :attr:`curves`
    has the epochs done.
    """

    def __init__(
        self,
        params: TrainParams,
        model: ModelParams,
        augmentation: AugmentParams,
        data: Data,
        device: torch.device,
    ) -> None:
        """Set everything up; :attr:`notes` is then what to tell the user of the start.

        Raises:
            UserError: if there are fewer train frames than one batch takes, or ``params.init`` is not to be used.
        """
        self.params, self.augmentation, self.data, self.device = params, augmentation, data, device
        self.steps_per_epoch = len(data.train) // params.batch_size  # the frames left over differ from epoch to epoch
        if not self.steps_per_epoch:
            raise UserError(f"train.batch_size: {params.batch_size} is more than the {len(data.train)} train frames")
        self.steps = params.epochs * self.steps_per_epoch
        self.precision = usable_precision(params.precision, device)
        torch.manual_seed(params.seed)
        self.model = ERFNet(len(CLASSES), model.encoder_only).to(device, memory_format=torch.channels_last)
        self.notes = initialise(self.model, params.init)
        self.average = copy.deepcopy(self.model) if params.ema else None
        self.optimizers = make_optimizers(
            params.optimizer, self.model, params.lr, params.weight_decay, can_record(device)
        )
        self.normalise = Normalise(data.mean, data.std, device)
        self.weights = class_weights(params.class_weights, data.share).to(device)
        self.step = 0
        self.curves: list[Epoch] = []
        self._losses = torch.zeros(self.steps_per_epoch, device=device)  # of the steps of this epoch
        # The gradient of the encoder's upsampling may look at numbers on the CPU, which no recording can.
        self._recordable = can_record(device) and not model.encoder_only
        self._recording: Recording | None = None

    @property
    def network(self) -> ERFNet:
        """The network to keep: the moving average of the weights where there is one."""
        return self.average or self.model

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the rest of the run depends on: copies of tensors by name, on the CPU, and what JSON can hold."""
        copies = {name: torch.empty(value.shape, dtype=value.dtype).copy_(value) for name, value in self._tensors()}
        return copies, {"step": self.step, "curves": [asdict(epoch) for epoch in self.curves]}

    def restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        for name, value in self._tensors():
            value.copy_(tensors[name])
        self.step = about["step"]
        self.curves = [Epoch(**epoch) for epoch in about["curves"]]

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that a step changes, by name. They stay where they are in memory: a recording knows no other."""
        for name, network in (("model", self.model), ("average", self.average)):
            if network is not None:
                yield from ((f"{name}.{key}", value) for key, value in network.state_dict().items())
        state = {weight: values for optimizer in self.optimizers for weight, values in optimizer.state.items()}
        for name, parameter in self.model.named_parameters():
            yield from ((f"optimizer.{name}.{key}", value) for key, value in state[parameter].items())
        yield "losses", self._losses

    def epochs(self, tick: Callable[[int], None]) -> Iterator[Epoch]:
        """Train epoch by epoch, from where the run stands.

        ``tick(frames)`` is called after every step, and with 0 frames after every batch of validation: these are the
        moments at which :meth:`state` is whole, and ``tick`` may raise to stop.

        Raises:
            UserError: if a loss is not finite, with the epoch and the step.
        """
        for number in range(len(self.curves) + 1, self.params.epochs + 1):
            loss = self._train_epoch(number, tick)
            last = number == self.params.epochs
            validated = last or number % self.params.validate_every == 0
            lr = learning_rate(self.params, number * self.steps_per_epoch - 1, self.steps)
            epoch = Epoch(number, loss, lr, self.validate(tick) if validated else None)
            self.curves.append(epoch)
            yield epoch
        if not all(tensor.isfinite().all() for tensor in self.network.state_dict().values()):
            raise UserError(f"the last step made weights that are not finite: {REMEDY}")  # no loss came after it

    def _train_epoch(self, number: int, tick: Callable[[int], None]) -> float:
        self.model.train()
        order = self._random(ORDER, number).permutation(len(self.data.train))
        first = (number - 1) * self.steps_per_epoch
        for i in range(self.step - first, self.steps_per_epoch):
            index = torch.from_numpy(order[i * self.params.batch_size :][: self.params.batch_size])
            self._losses[i] = self.train_on(index)
            self.step += 1
            tick(len(index))
        # One look at the losses an epoch, because each look makes the CPU wait for the device.
        losses = self._losses.cpu()
        broken = (~losses.isfinite()).nonzero()
        if len(broken):
            raise UserError(
                f"the loss is {losses[broken[0]].item()} in epoch {number}, step {int(broken[0]) + 1} of "
                f"{self.steps_per_epoch}: {REMEDY}"
            )
        return losses.mean().item()

    def train_on(self, index: Tensor) -> Tensor:
        """Do step :attr:`step` on the train frames ``index`` and give its loss, without waiting for the device."""
        step = self.step
        drawn = augment.draw(self.augmentation, len(index), self.data.train.size, self._random(AUGMENTATION, step))
        rates = torch.tensor([learning_rate(self.params, step, self.steps), average_share(self.params.ema, step)])
        inputs = *self.data.train.batch(index), *(upload(values, self.device) for values in (*drawn, rates))
        if self._recording is None and self._recordable:
            self._recording = self._record(inputs)
        torch.manual_seed(int(self._random(DROPOUT, step).integers(2**63)))
        return (self._recording or self._learn)(*inputs)

    def _record(self, inputs: tuple[Tensor, ...]) -> Recording:
        """The step as a recording of its kernels; nothing of the run is changed by making it."""
        before = self.state()
        recording = Recording(self._learn, *inputs)
        self.restore(*before)
        return recording

    def _learn(self, images: Tensor, labels: Tensor, theta: Tensor, factors: Tensor, rates: Tensor) -> Tensor:
        lr, share = rates
        images, labels = augment.apply(to_float(images), labels, augment.Draws(theta, factors))
        loss = self.optimise(self.normalise(images), labels, lr)
        if self.average is not None:
            update_average(self.average, self.model, share)
        return loss

    def optimise(self, images: Tensor, labels: Tensor, lr: Tensor) -> Tensor:
        """One step of the optimizer on normalised frames B×3×H×W and their labels B×H×W; gives the loss."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            scores = self.model(images)
        loss = cross_entropy(scores, labels, self.weights)
        self.model.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
        return loss.detach()

    @torch.inference_mode()
    def validate(self, tick: Callable[[int], None]) -> float | None:
        """Mean IoU of :attr:`network` over the validation frames, at input size; for ``tick`` see :meth:`epochs`."""
        network = self.network.eval()
        total = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64, device=self.device)
        for images, labels in self.data.val.batches(8):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                scores = network(self.normalise(to_float(images)))
            total += confusion_matrix(labels, scores.argmax(1), len(CLASSES))
            tick(0)
        return mean_iou(total.cpu())

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.params.seed, stream, number])


def learning_rate(params: TrainParams, step: int, steps: int) -> float:
    """The learning rate of ``step``, counted from 0, of ``steps``.

    one_cycle: from lr/25 up to lr over the first 30 % of the steps and down to lr/250,000 at the last, both along a
    cosine (Smith and Topin 2018; the learning rate, and not the momentum, of torch's ``OneCycleLR``). poly:
    lr · (1 - step/steps)^0.9, as ERFNet was trained, but step by step and not epoch by epoch.
    """
    if params.schedule == "constant":
        return params.lr
    if params.schedule == "poly":
        return params.lr * (1 - step / steps) ** 0.9
    start, end = params.lr / 25, params.lr / 250_000
    peak = 0.3 * steps - 1
    if step <= peak:
        return _cosine(start, params.lr, step / peak)
    return _cosine(params.lr, end, (step - peak) / (steps - 1 - peak))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def average_share(decay: float, step: int) -> float:
    """The share of the new weights in their average: 1 - decay; more in the first steps, to forget the random start."""
    return 1 - min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, share: Tensor) -> None:
    """Move ``average`` towards ``model`` by ``share``; its counters become those of ``model``."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, share)
        else:
            old.copy_(new)
