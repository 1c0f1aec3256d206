"""Batch norm and dropout for a batch that is split over several processes: what one process computes on all of it."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from segcore.parallel import group
from segcore.runtime import processes
from segcore.runtime.errors import UserError

MOMENTUM = 0.1  # of the running mean and variance, as of every nn.BatchNorm2d here


def share_batches(model: nn.Module, batch_size: int) -> None:
    """Replace each batch norm and dropout of ``model`` by one for the whole batch, if there are several processes.

    Raises:
        UserError: if the processes cannot take equal parts of ``batch_size`` frames.
    """
    if processes.count() == 1:
        return
    if batch_size % processes.count():
        raise UserError(
            f"train.batch_size: {processes.count()} processes cannot take equal parts of {batch_size} frames"
        )
    for name, module in model.named_modules():
        parent, _, own_name = name.rpartition(".")
        if isinstance(module, nn.BatchNorm2d):
            shared = GlobalBatchNorm2d(module.num_features, module.eps).to(module.weight.device)
            shared.load_state_dict(module.state_dict())
            setattr(model.get_submodule(parent), own_name, shared)
        elif isinstance(module, nn.Dropout2d):
            setattr(model.get_submodule(parent), own_name, GlobalDropout2d(module.p))


def check_replicas(model: nn.Module) -> None:
    """Check that the processes, if there are several, have the same weights.

    Raises:
        UserError: if not, as on different hardware, which rounds differently.
    """
    if processes.count() > 1:
        weights = b"".join(weight.detach().cpu().numpy().tobytes() for weight in model.parameters())
        digests = group.gather(hashlib.md5(weights).digest())
        for rank, digest in enumerate(digests):
            if digest != digests[0]:
                raise UserError(f"process {rank} has other weights than process 0: use the same kind of hardware")


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of B×C×H×W. The batch is split equally over the processes.

    torch.nn.SyncBatchNorm does the same on CUDA, but not on the CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        output, mean, var, count = _BatchNorm.apply(input, self.weight, self.bias, self.eps)
        running_mean, running_var, batches = self.buffers()
        with torch.no_grad():
            running_mean.lerp_(mean, MOMENTUM)
            running_var.lerp_(var * (count / (count - 1)), MOMENTUM)
            batches.add_(1)
        return output


class _BatchNorm(torch.autograd.Function):
    """Normalise B×C×H×W with the mean and the variance of each channel over all processes.

    Source of the forward and the backward formula: Ioffe and Szegedy, "Batch Normalization", 2015, section 3.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, int]:
        var, mean = torch.var_mean(x.to(weight.dtype), (0, 2, 3), correction=0)
        means, variances = group.stack(torch.stack([mean, var])).unbind(1)  # of each process
        mean = means.mean(0)
        var = (variances + (means - mean).square()).mean(0)  # of equal parts: within them, and between them
        scale = (var + eps).rsqrt()
        ctx.count = x.numel() // x.shape[1] * processes.count()
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.mark_non_differentiable(mean, var)
        output = torch.addcmul(_by_channel(bias), x - _by_channel(mean), _by_channel(weight * scale))
        return output.to(x.dtype), mean, var, ctx.count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, mean, scale = ctx.saved_tensors
        gradient = gradient.to(weight.dtype)
        normal = (x - _by_channel(mean)) * _by_channel(scale)
        of_weight, of_bias = (gradient * normal).sum((0, 2, 3)), gradient.sum((0, 2, 3))
        mean_of_weight, mean_of_bias = (group.add(torch.stack([of_weight, of_bias])) / ctx.count).unbind()
        gradient = gradient - _by_channel(mean_of_bias) - normal * _by_channel(mean_of_weight)
        return (gradient * _by_channel(weight * scale)).to(x.dtype), of_weight, of_bias, None


class GlobalDropout2d(nn.Dropout2d):
    """Drop channels of B×C×H×W. Every process draws for the whole batch, and uses its part."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        frames, channels = len(input) * processes.count(), input.shape[1]
        # The same random numbers, and the same operations, as those of nn.Dropout2d on the whole batch.
        kept = input.new_empty(frames, channels, 1, 1).bernoulli_(1 - self.p).div_(1 - self.p)
        return input * group.part(kept)


def _by_channel(values: Tensor) -> Tensor:
    return values[:, None, None]
