"""The training loop of the article, rewritten: worker processes read, resize and augment frames one by one.

Its settings: Adam with 5e-4, batches of 2, fp32, 4 workers, flip and a shift of 0 to 2 pixels. The network, the size,
ignored void and class weights are as in our training, so that only time is compared.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from segcore.dataset.classes import VOID
from segcore.dataset.frames import find_image, list_frames
from segcore.network.erfnet import ERFNet

BATCH_SIZE, WORKERS, LEARNING_RATE, SHIFT = 2, 4, 5e-4, 2


class Frames(Dataset):
    """The train frames of ``raw``, decoded, resized to ``size`` (width, height) and augmented at each access."""

    def __init__(self, raw: Path, size: tuple[int, int]) -> None:
        self.raw, self.size, self.frames = raw, size, list_frames(raw, "train")

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        frame = self.frames[i]
        image = Image.open(find_image(self.raw, frame)).convert("RGB").resize(self.size, Image.Resampling.BILINEAR)
        label = Image.open(self.raw / frame.label).resize(self.size, Image.Resampling.NEAREST)
        if random.random() < 0.5:
            image, label = (picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in (image, label))
        x, y = (random.randint(0, SHIFT) for _ in range(2))
        image = image.transform(self.size, Image.Transform.AFFINE, (1, 0, -x, 0, 1, -y), fillcolor=(0, 0, 0))
        label = label.transform(self.size, Image.Transform.AFFINE, (1, 0, -x, 0, 1, -y), fillcolor=VOID)
        return to_tensor(image), torch.from_numpy(np.array(label)).long()


def batches(raw: Path, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of :class:`Frames` without end, epoch after epoch."""
    loader = DataLoader(
        Frames(raw, size), BATCH_SIZE, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )
    while True:
        yield from loader


class Loop:
    """The network, its optimizer and a step of training; ``weights`` are those of the classes."""

    def __init__(self, weights: Tensor, encoder_only: bool, device: torch.device) -> None:
        self.device, self.weights = device, weights.to(device)
        self.model = ERFNet(len(weights), encoder_only).to(device).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)

    def step(self, images: Tensor, labels: Tensor) -> float:
        """Train on one batch and return its loss."""
        images, labels = images.to(self.device), labels.to(self.device)
        scores = self.model(images)
        self.optimizer.zero_grad()
        loss = F.cross_entropy(scores, labels, self.weights, ignore_index=VOID)
        loss.backward()
        self.optimizer.step()
        return loss.item()
