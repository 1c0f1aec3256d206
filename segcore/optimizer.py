"""Adam, AdamW, and Muon. Their state is there from the start, so that a step can be recorded and a run taken up.

Muon makes the step of each matrix nearly orthogonal: all directions in it are learnt alike, and not only the few with
the largest gradients. Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the size
of a step is that of Liu et al., "Muon is Scalable for LLM Training", 2025, with which AdamW's learning rate and weight
decay fit. torch.optim.Muon does one matrix after another, in bf16, and takes no convolution.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from segcore.erfnet import ERFNet

Kind = Literal["muon", "adamw", "adam"]
MOMENTUM = 0.95
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: five times, singular values between 0.01 and 1 come to 0.68 to 1.14


def make_optimizers(
    kind: Kind, model: ERFNet, lr: float, weight_decay: float, capturable: bool
) -> list[torch.optim.Optimizer]:
    """The optimizers that together train ``model``. Of ``muon``, AdamW takes all but the hidden convolutions.

    The ``lr`` of their groups may be set to a tensor on the device. ``capturable``: AdamW counts its steps there.
    """
    hidden = model.hidden_convolutions() if kind == "muon" else []
    taken = set(hidden)
    others = [weight for weight in model.parameters() if weight not in taken]
    adam_or_adamw = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    adam = adam_or_adamw(others, lr=lr, weight_decay=weight_decay, fused=True, capturable=capturable)
    for weight in others:
        moments = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
        adam.state[weight] = {"step": torch.zeros((), device=weight.device)} | moments
    return [adam, Muon(hidden, lr, weight_decay)] if hidden else [adam]


class Muon(torch.optim.Optimizer):
    """Muon for weights of convolutions, O×I×H×W, as matrices O×IHW; those of one shape are done together."""

    def __init__(self, weights: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        shapes = {weight.shape: [] for weight in weights}
        for weight in weights:
            shapes[weight.shape].append(weight)
        super().__init__([{"params": alike} for alike in shapes.values()], {"lr": lr, "weight_decay": weight_decay})
        for weight in weights:
            self.state[weight] = {"momentum": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self) -> None:
        """Take the step that the gradients ask for."""
        for group in self.param_groups:
            weights, lr = group["params"], group["lr"]
            gradients = [weight.grad for weight in weights]
            momenta = [self.state[weight]["momentum"] for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            steps = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov's
            last = torch.stack([step.movedim(1, 3) for step in steps])  # channels, as they lie in memory
            steps = orthogonal(last.flatten(2))
            steps = steps * (lr * 0.2 * max(steps.shape[1:]) ** 0.5)  # its elements then are as large as AdamW's
            torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
            torch._foreach_sub_(weights, list(steps.view(last.shape).movedim(4, 2)))


def orthogonal(matrices: Tensor) -> Tensor:
    """Of matrices B×M×N, M ≤ N, those with nearly the same singular vectors and all singular values near 1.

    Five times X becomes aX + bXXᵀX + c(XXᵀ)²X = FX. What is computed is the product of the five F, from XXᵀ, and then
    that times X: all but X is M×M, which on a CPU takes two thirds of the time.
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
