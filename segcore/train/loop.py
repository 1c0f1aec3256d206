"""The training loop.

Every random choice is a function of (seed, step): what augmentation draws, what dropout drops; the order of the frames
of (seed, epoch); whether a frame is mirrored, of (seed, epoch, frame). With deterministic kernels the result is a
function of parameters, data and code on one kind of hardware, and a run that goes on from the state after any step ends
with the same weights as one that was never stopped.

Several processes may share each batch, by :mod:`segcore.parallel.group`. Each draws the random numbers of the whole
batch, computes its part of the frames, and takes the same step, because sums are exchanged.
"""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from segcore.network.confusion import confusion_matrix
from segcore.network.device import usable_precision
from segcore.network.erfnet import ERFNet
from segcore.network.iou import class_counts, mean_iou
from segcore.network.tensors import FrameStore, Normalise, to_float, upload
from segcore.parallel import group
from segcore.runtime.errors import UserError
from segcore.train import augment
from segcore.train.cuda_graph import Recording, can_record
from segcore.train.curves import Epoch
from segcore.train.global_batch import check_replicas, share_batches
from segcore.train.loss import class_weights, cross_entropy
from segcore.train.optimizer import make_optimizers
from segcore.train.pretrained import initialise
from segcore.train.recipe import Recipe
from segcore.train.schedule import learning_rate

ORDER, AUGMENTATION, DROPOUT, MIRRORED = range(4)  # streams of random numbers
VALIDATION_BATCH = 8
TINY = torch.finfo(torch.float32).tiny
REMEDY = "choose a smaller train.lr, or train.precision=fp32"


@dataclass(frozen=True)
class Data:
    """The frames to train and to validate on, and the statistics of train: see :class:`segcore.files.arrays.Stats`."""

    train: FrameStore
    val: FrameStore
    classes: list[str]
    mean: list[float]
    std: list[float]
    share: list[float]


class Step(NamedTuple):
    """One step of the optimizer was done, on this many frames."""

    frames: int


class Validated(NamedTuple):
    """A batch of each process was validated."""


Event = Step | Validated | Epoch


class Training:
    """One training run on one device.

    Iterate over :meth:`events` to run it. :attr:`model` is its result so far, :attr:`step` counts the steps done,
    :attr:`curves` has the epochs done, :attr:`notes` are lines for the user about the start.
    """

    def __init__(self, recipe: Recipe, data: Data, device: torch.device) -> None:
        """Set up network, optimizer and loss.

        Raises:
            UserError: if there are fewer train frames than one batch takes, several processes cannot share a batch, or
                ``train.init`` cannot be used.
        """
        params = recipe.train
        self.recipe, self.params, self.data, self.device = recipe, params, data, device
        self.steps_per_epoch = len(data.train) // params.batch_size  # the frames left over differ from epoch to epoch
        if not self.steps_per_epoch:
            raise UserError(f"train.batch_size: {params.batch_size} is more than the {len(data.train)} train frames")
        self.steps = params.epochs * self.steps_per_epoch
        self.precision = usable_precision(params.precision, device)

        torch.manual_seed(params.seed)
        self.model = ERFNet(len(data.classes), recipe.model.encoder_only).to(device)
        self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.notes = initialise(self.model, params.init, data.classes)
        if self.precision != params.precision:
            self.notes.append(f"{device} has no {params.precision}: computing in {self.precision}")
        share_batches(self.model, params.batch_size)

        self.lr = torch.zeros((), device=device)  # set by each step
        self.optimizers = make_optimizers(params.optimizer, self.model, self.lr, params.weight_decay)
        self.normalise = Normalise(data.mean, data.std, device)
        self.weights = class_weights(params.class_weights, data.share).to(device)

        self._mirrored_first = self._random(MIRRORED, 0).random(len(data.train)) < 0.5  # in the first epoch
        self.step = 0
        self.curves: list[Epoch] = []
        self._losses = torch.zeros(self.steps_per_epoch, device=device)  # of the steps of this epoch
        # The gradient of the encoder's upsampling may read values on the CPU, which a CUDA graph cannot do.
        self._recordable = can_record(device) and not recipe.model.encoder_only
        self._recording: Recording | None = None

    def events(self) -> Iterator[Event]:
        """Train from the current step, and yield an event after each step, each validated batch and each epoch.

        At these moments :meth:`state` is complete, and the iteration may be abandoned. Several processes yield the same
        events, so that the caller can exchange something after each.

        Raises:
            UserError: if a loss or a weight is not finite, or the weights of several processes differ.
        """
        for number in range(len(self.curves) + 1, self.params.epochs + 1):
            yield from self._train_one_epoch(number)
            loss = self._mean_loss(number)
            is_validated = number % self.params.validate_every == 0 or number == self.params.epochs
            miou = (yield from self._validate()) if is_validated else None
            lr = learning_rate(self.params, number * self.steps_per_epoch - 1, self.steps)
            self.curves.append(Epoch(number, loss, lr, miou))
            check_replicas(self.model)
            yield self.curves[-1]
        if not all(tensor.isfinite().all() for tensor in self.model.state_dict().values()):
            raise UserError(f"the last step made weights that are not finite: {REMEDY}")  # no later loss would show it

    def _train_one_epoch(self, number: int) -> Iterator[Step]:
        self.model.train()
        order = self._random(ORDER, number).permutation(len(self.data.train))
        first_step = (number - 1) * self.steps_per_epoch
        done = self.step - first_step  # in this epoch, by a run that was interrupted
        batches = torch.from_numpy(order).split(self.params.batch_size)[done : self.steps_per_epoch]
        for index, frames in zip(batches, self.data.train.batches(map(group.part, batches)), strict=True):
            self._losses[self.step - first_step] = self.train_step(index, frames)
            self.step += 1
            if self.step == first_step + self.steps_per_epoch:
                self._losses.cpu()  # waits for the device, as a part of the time of the steps
            yield Step(len(index))

    def train_step(self, index: Tensor, frames: tuple[Tensor, ...] | None = None) -> Tensor:
        """Do step :attr:`step` on a batch and return its loss, without waiting for the device.

        Args:
            index: the numbers of the frames of the whole batch.
            frames: the images and labels of this process's part of it; read here if not given.
        """
        step = self.step
        mirrored = self._mirrored_first[index.numpy()] ^ (step // self.steps_per_epoch % 2 == 1)
        drawn = augment.draw(self.recipe.augment, mirrored, self.data.train.size, self._random(AUGMENTATION, step))
        lr = torch.tensor(learning_rate(self.params, step, self.steps))
        drawn = (upload(values, self.device) for values in (group.part(drawn.theta), group.part(drawn.factors), lr))
        inputs = *(frames or self.data.train.batch(group.part(index))), *drawn
        if self._recording is None and self._recordable:
            self._recording = self._record(inputs)
        torch.manual_seed(int(self._random(DROPOUT, step).integers(2**63)))
        return (self._recording or self._learn)(*inputs)

    def _learn(self, images: Tensor, labels: Tensor, theta: Tensor, factors: Tensor, lr: Tensor) -> Tensor:
        """Augment a batch and take a step on it. All of it runs on the device."""
        self.lr.copy_(lr)
        images, labels = augment.apply(to_float(images), labels, augment.Draws(theta, factors))
        return self.optimise(self.normalise(images), labels)

    def optimise(self, images: Tensor, labels: Tensor) -> Tensor:
        """Take one step on normalised frames B×3×H×W and their labels B×H×W; return the loss."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            scores = self.model(images)
        total, weight = cross_entropy(scores, labels, self.weights)
        weight = group.add(weight).clamp_min(TINY)  # over all processes
        loss = total / weight  # of several processes, the part of the mean that comes from the frames of this one
        self.model.zero_grad()
        loss.backward()
        group.add_gradients(self.model)
        for optimizer in self.optimizers:
            optimizer.step()
        return group.add(loss.detach())

    def _record(self, inputs: tuple[Tensor, ...]) -> Recording:
        """Record the kernels of a step, and restore the state of the run."""
        before = self.state()
        recording = Recording(self._learn, *inputs)
        self.restore(*before)
        return recording

    def time_step(self) -> float:
        """Return the seconds that a step takes on the CPU. The state is the same as before."""
        before, index = self.state(), torch.arange(self.params.batch_size)
        self.train_step(index)  # the first one prepares kernels
        started = time.monotonic()
        self.train_step(index)
        seconds = time.monotonic() - started
        self.restore(*before)
        return seconds

    def _mean_loss(self, number: int) -> float:
        # Losses are read once per epoch, because each read makes the CPU wait for the device.
        losses = self._losses.cpu()
        broken = (~losses.isfinite()).nonzero()
        if len(broken):
            raise UserError(
                f"the loss is {losses[broken[0]].item()} in epoch {number}, step {int(broken[0]) + 1} of "
                f"{self.steps_per_epoch}: {REMEDY}"
            )
        return losses.mean().item()

    def _validate(self) -> Generator[Validated, None, float | None]:
        """Return mIoU of :attr:`model` over the validation frames, at input size; ``None`` if no pixel counts."""
        self.model.eval()
        classes = len(self.data.classes)
        total = torch.zeros(classes, classes, dtype=torch.int64, device=self.device)
        batches = torch.arange(len(self.data.val)).split(VALIDATION_BATCH)
        for frames in group.rounds(batches, self.data.val.batches):
            if frames is not None:  # None if no batch is left for this process
                total += self._confusion(*frames)
            yield Validated()
        group.add(total)
        miou = float(mean_iou(class_counts(total.cpu().numpy())))
        return None if math.isnan(miou) else miou

    def _confusion(self, images: Tensor, labels: Tensor) -> Tensor:
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            scores = self.model(self.normalise(to_float(images)))
        return confusion_matrix(labels, scores.argmax(1), len(self.data.classes))

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.params.seed, stream, number])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the rest of the run depends on: copies of tensors on the CPU, and values for JSON."""
        copies = {name: torch.empty(value.shape, dtype=value.dtype).copy_(value) for name, value in self._tensors()}
        return copies, {"step": self.step, "curves": [asdict(epoch) for epoch in self.curves]}

    def restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Go back to what :meth:`state` returned."""
        for name, value in self._tensors():
            value.copy_(tensors[name])
        self.step = about["step"]
        self.curves = [Epoch(**epoch) for epoch in about["curves"]]

    def synchronise(self) -> None:
        """Copy the state of the first process to all others."""
        group.copy_from_first(tensor for _, tensor in self._tensors())
        self.step, self.curves = group.from_first((self.step, self.curves))

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every tensor that a step changes. They keep their addresses, as a CUDA graph requires."""
        yield from ((f"model.{key}", value) for key, value in self.model.state_dict().items())
        state = {weight: values for optimizer in self.optimizers for weight, values in optimizer.state.items()}
        for name, parameter in self.model.named_parameters():
            yield from ((f"optimizer.{name}.{key}", value) for key, value in state[parameter].items())
        yield "losses", self._losses
