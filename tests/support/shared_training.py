"""A small training for torchrun to start: ``-m tests.support.shared_training FOLDER DTYPE``.

Each process writes to FOLDER/RANK.pt what it saw and computed: augmented frames, labels and dropped channels of its
part of each batch, the loss of each step, the gradients of the first, the curves and the weights.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from segcore.dataset.classes import VOID
from segcore.network import device
from segcore.network.erfnet import ERFNet
from segcore.parallel import group
from segcore.runtime import processes
from segcore.train.augment import AugmentParams
from segcore.train.loop import Training
from tests.support.tiny_training import CPU, data, recipe

STEPS = 20
AUGMENT = AugmentParams(
    flip=True, shift=2, scale_min=0.85, scale_max=1.35, brightness=0.2, contrast=0.2, saturation=0.1
)


def train(dtype: torch.dtype) -> dict:
    """Take the first 20 steps of 500, on batches of 4 of 20 frames; return what this process saw and computed.

    As in every schedule with warm-up, their learning rate is small: with a large one, rounding grows tenfold a step.
    """
    torch.manual_seed(1)
    weights = ERFNet(7).state_dict()
    torch.set_default_dtype(dtype)
    device.prepare(CPU)
    run = Training(
        recipe(
            augment=AUGMENT,
            optimizer="muon",
            epochs=100,
            batch_size=4,
            lr=0.002,
            validate_every=2,
            class_weights="inverse_log",
        ),
        data(frames=20),
        CPU,
    )
    run.model.load_state_dict(weights)  # the same ones in every type
    run.data.train._labels[:3] = VOID  # of four processes, some have a part without a pixel that counts
    seen = {"images": [], "labels": [], "dropped": [], "losses": [], "gradients": {}}
    optimise = run.optimise

    def watched(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen["images"].append(images.clone())
        seen["labels"].append(labels.clone())
        seen["losses"].append(loss := optimise(images, labels))
        if not seen["gradients"]:
            weights = {name: weight for name, weight in run.model.named_parameters() if weight.grad is not None}
            seen["gradients"] = {name: weight.grad.clone() for name, weight in weights.items()}
        return loss

    def note(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if module.training:
            seen["dropped"].append((output == 0).all(3).all(2))

    for module in run.model.modules():
        if isinstance(module, nn.Dropout2d):
            module.register_forward_hook(note)
    run.optimise = watched
    group.join(CPU)
    run.synchronise()
    for _ in run.events():
        if run.step == STEPS and len(run.curves) == 4:
            break
    group.leave()
    return seen | {"curves": run.curves, "weights": run.model.state_dict()}


if __name__ == "__main__":
    folder, dtype = sys.argv[1:]
    torch.save(train(getattr(torch, dtype)), Path(folder) / f"{processes.rank()}.pt")
