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
from torch.nn import functional as F

from segcore import augment
from segcore.augment import AugmentParams
from segcore.confusion import confusion_matrix, mean_iou
from segcore.console import UserError
from segcore.device import usable_precision
from segcore.erfnet import ERFNet, ModelParams
from segcore.frames import FrameStore, Normalise
from segcore.labels import CLASSES, VOID
from segcore.params import Real, Section
from segcore.pretrained import initialise

ORDER, AUGMENTATION, DROPOUT = range(3)  # streams of random numbers
REMEDY = "choose a smaller train.lr, or train.precision=fp32"


class TrainParams(Section):
    """Section ``train``."""

    init: Path = Field(strict=False)
    seed: int = Field(ge=0, lt=2**32)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["adam", "adamw"]
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
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[params.optimizer]
        self.optimizer = kind(self.model.parameters(), lr=params.lr, weight_decay=params.weight_decay, fused=True)
        self.normalise = Normalise(data.mean, data.std, device)
        self.weights = class_weights(params.class_weights, data.share).to(device)
        self.step = 0
        self.curves: list[Epoch] = []
        self._losses = torch.zeros(self.steps_per_epoch, device=device)  # of the steps of this epoch

    @property
    def network(self) -> ERFNet:
        """The network to keep: the moving average of the weights where there is one."""
        return self.average or self.model

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the rest of the run depends on: copies of tensors by name, on the CPU, and what JSON can hold."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for kind, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{name}.{kind}"] = value
        tensors["losses"] = self._losses
        about = {"step": self.step, "curves": [asdict(epoch) for epoch in self.curves]}
        copies = {name: torch.empty(value.shape, dtype=value.dtype).copy_(value) for name, value in tensors.items()}
        return copies, about

    def restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.model.load_state_dict(_below("model.", tensors))
        if self.average is not None:
            self.average.load_state_dict(_below("average.", tensors))
        parameters = dict(self.model.named_parameters())
        for key, value in _below("optimizer.", tensors).items():
            name, _, kind = key.rpartition(".")
            self.optimizer.state[parameters[name]][kind] = _laid_out_as(parameters[name], value)
        self._losses.copy_(tensors["losses"])
        self.step = about["step"]
        self.curves = [Epoch(**epoch) for epoch in about["curves"]]

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
            self._losses[i] = self._step(index)
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

    def _step(self, index: Tensor) -> Tensor:
        step = self.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.params, step, self.steps)
        images, labels = self.data.train.batch(index)
        drawn = augment.draw(self.augmentation, len(index), self.data.train.size, self._random(AUGMENTATION, step))
        images, labels = augment.apply(images, labels, drawn)
        torch.manual_seed(int(self._random(DROPOUT, step).integers(2**63)))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            scores = self.model(self.normalise(images))
        loss = cross_entropy(scores, labels, self.weights)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            update_average(self.average, self.model, self.params.ema, step)
        return loss.detach()

    @torch.inference_mode()
    def validate(self, tick: Callable[[int], None]) -> float | None:
        """Mean IoU of :attr:`network` over the validation frames, at input size; for ``tick`` see :meth:`epochs`."""
        network = self.network.eval()
        total = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64, device=self.device)
        for images, labels in self.data.val.batches(8):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                scores = network(self.normalise(images))
            total += confusion_matrix(labels, scores.argmax(1), len(CLASSES))
            tick(0)
        return mean_iou(total.cpu())

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.params.seed, stream, number])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """``value`` on the device of ``parameter``; where it has its shape, also in its order in memory.

    The fused optimizers walk through both in the order of memory.
    """
    like = parameter if value.shape == parameter.shape else value
    return torch.empty_like(like, dtype=value.dtype, device=parameter.device).copy_(value)


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


def class_weights(kind: str, share: list[float]) -> Tensor:
    """One weight per class from its share of the train pixels; ``inverse_log`` is 1/ln(1.1 + share).

    Source: Paszke et al., "ENet", 2016; ERFNet was trained with 1.1 in the place of ENet's 1.02.
    """
    shares = torch.tensor(share)
    return torch.ones_like(shares) if kind == "none" else 1 / torch.log(1.1 + shares)


def cross_entropy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of the cross-entropy of scores B×C×H×W over the pixels of labels B×H×W that are not void.

    In fp32 whatever the scores are. Zero when all pixels are void.
    """
    target = labels.long()
    # Reduced here, because torch's own reduction in two dimensions is not deterministic on CUDA; contiguous, because
    # the softmax over 7 adjacent numbers is three times as slow on a CPU.
    losses = F.cross_entropy(scores.float().contiguous(), target, weights, ignore_index=VOID, reduction="none")
    weight = F.pad(weights, (0, VOID + 1 - len(weights)))[target].sum()
    return losses.sum() / weight.clamp_min(torch.finfo(weight.dtype).tiny)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move ``average`` towards ``model`` by 1 - decay; in the first steps further, to forget the random start."""
    decay = min(decay, (1 + step) / (10 + step))
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)
