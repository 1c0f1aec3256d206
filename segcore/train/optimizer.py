"""Adam, AdamW and Muon. Their state exists from the start, so that a step can be recorded and a run restored.

Muon makes the step of each weight matrix nearly orthogonal: it learns all directions in it at the same speed, and not
only the few with the largest gradients. Source: Jordan et al., "Muon: An optimizer for hidden layers in neural
networks", 2024, https://kellerjordan.github.io/posts/muon/. The size of a step is that of Liu et al., "Muon is Scalable
for LLM Training", 2025, which suits AdamW's learning rate and weight decay. torch.optim.Muon is not used: it
takes one matrix after the other, in bf16, and no convolutions.
"""

from typing import Literal

import torch
from torch import Tensor

from segcore.network.erfnet import ERFNet

MOMENTUM = 0.95
# Jordan's coefficients: five iterations bring singular values between 0.01 and 1 to between 0.68 and 1.14.
QUINTIC = (3.4445, -4.7750, 2.0315)


def make_optimizers(
    kind: Literal["muon", "adamw", "adam"], model: ERFNet, lr: Tensor, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together train ``model``: with ``muon``, AdamW trains all but the hidden convolutions.

    Args:
        lr: a scalar on the device. The training loop sets it before each step.
    """
    hidden = model.hidden_convolutions() if kind == "muon" else []
    taken = set(hidden)
    others = [weight for weight in model.parameters() if weight not in taken]
    adam_or_adamw = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    # Capturable: it counts its steps on the device, so that a CUDA graph can hold it.
    adam = adam_or_adamw(others, lr=lr, weight_decay=weight_decay, fused=True, capturable=lr.is_cuda)
    for weight in others:
        moments = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
        adam.state[weight] = {"step": torch.zeros((), device=weight.device)} | moments
    return [adam, Muon(hidden, lr, weight_decay)] if hidden else [adam]


class Muon(torch.optim.Optimizer):
    """Muon for weights of convolutions, O×I×H×W, as matrices O×IHW. Weights of the same shape are updated together."""

    def __init__(self, weights: list[Tensor], lr: Tensor, weight_decay: float) -> None:
        shapes = {weight.shape: [] for weight in weights}
        for weight in weights:
            shapes[weight.shape].append(weight)
        super().__init__([{"params": alike} for alike in shapes.values()], {"lr": lr, "weight_decay": weight_decay})
        for weight in weights:
            self.state[weight] = {"momentum": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one step."""
        for group in self.param_groups:
            weights, lr = group["params"], group["lr"]
            gradients = [weight.grad for weight in weights]
            momenta = [self.state[weight]["momentum"] for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            steps = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov momentum
            channels_last = torch.stack([step.movedim(1, 3) for step in steps])  # channels last, as they are stored
            steps = orthogonal(channels_last.flatten(2))
            steps = steps * (lr * 0.2 * max(steps.shape[1:]) ** 0.5)  # elements as large as those of AdamW's step
            torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
            torch._foreach_sub_(weights, list(steps.view(channels_last.shape).movedim(4, 2)))


def orthogonal(matrices: Tensor) -> Tensor:
    """Return B matrices M×N, M ≤ N, with nearly the same singular vectors and all singular values near 1.

    Five iterations replace X by aX + bXXᵀX + c(XXᵀ)²X = FX. The product of the five F is computed from XXᵀ, and then
    multiplied by X: all matrices but X are M×M, which takes two thirds of the time on a CPU.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = torch.bmm(x, x.mT)
    product = factor = _factor(gram)
    for _ in range(4):
        gram = torch.bmm(torch.bmm(factor, gram), factor)
        factor = _factor(gram)
        product = torch.bmm(factor, product)
    return torch.bmm(product, x)


def _factor(gram: Tensor) -> Tensor:
    a, b, c = QUINTIC
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor
