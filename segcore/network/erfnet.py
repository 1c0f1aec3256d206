"""ERFNet: residual blocks of factorised convolutions, 2.06 million parameters.

Source: Romera, Álvarez, Bergasa, Arroyo, "ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic
Segmentation", IEEE T-ITS 2018. Modules are named so that the state dict has the keys of the weights that its
authors published for PyTorch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segcore.runtime.typed import Strict


class ModelParams(Strict):
    """Section `model`: the whole network, or the encoder with its own 1×1 classifier and ×8 upsampling."""

    encoder_only: bool


class Downsampler(nn.Module):
    """Halve height and width: a strided convolution and a max pooling, concatenated to ``cout`` channels."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout - cin, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2, stride=2)
        self.bn = nn.BatchNorm2d(cout, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn(torch.cat([self.conv(x), self.pool(x)], 1)))


class NonBottleneck1d(nn.Module):
    """A residual block of two 3×3 convolutions, each factorised into 3×1 and 1×3; the second pair is dilated."""

    def __init__(self, channels: int, dropout: float = 0.0, dilation: int = 1) -> None:
        super().__init__()
        d = dilation
        self.conv3x1_1 = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0))
        self.conv1x3_1 = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1))
        self.bn1 = nn.BatchNorm2d(channels, eps=1e-3)
        self.conv3x1_2 = nn.Conv2d(channels, channels, (3, 1), padding=(d, 0), dilation=(d, 1))
        self.conv1x3_2 = nn.Conv2d(channels, channels, (1, 3), padding=(0, d), dilation=(1, d))
        self.bn2 = nn.BatchNorm2d(channels, eps=1e-3)
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(self.conv3x1_1(x))
        y = F.relu_(self.bn1(self.conv1x3_1(y)))
        y = F.relu_(self.conv3x1_2(y))
        y = self.dropout(self.bn2(self.conv1x3_2(y)))
        return F.relu_(y + x)


class Upsampler(nn.Module):
    """Double height and width with a transposed convolution."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(cin, cout, 3, stride=2, padding=1, output_padding=1)
        self.bn = nn.BatchNorm2d(cout, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn(self.conv(x)))


class Encoder(nn.Module):
    """Map B×3×H×W to features B×128×H/8×W/8. Without a decoder, ``output_conv`` turns these into class scores."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.initial_block = Downsampler(3, 16)
        self.layers = nn.ModuleList(
            [Downsampler(16, 64)]
            + [NonBottleneck1d(64, dropout=0.03) for _ in range(5)]
            + [Downsampler(64, 128)]
            + [NonBottleneck1d(128, dropout=0.3, dilation=d) for d in (2, 4, 8, 16, 2, 4, 8, 16)]
        )
        self.output_conv = nn.Conv2d(128, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial_block(x)
        for layer in self.layers:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Map features B×128×H/8×W/8 to class scores B×C×H×W."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [Upsampler(128, 64)]
            + [NonBottleneck1d(64) for _ in range(2)]
            + [Upsampler(64, 16)]
            + [NonBottleneck1d(16) for _ in range(2)]
        )
        self.output_conv = nn.ConvTranspose2d(16, classes, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.output_conv(x)


class ERFNet(nn.Module):
    """Map normalised frames B×3×H×W to class scores B×C×H×W; H and W are multiples of 8."""

    def __init__(self, classes: int, encoder_only: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder(classes)
        self.decoder = None if encoder_only else Decoder(classes)

    def hidden_convolutions(self) -> list[Tensor]:
        """Return the weights O×I×H×W of all convolutions but the first, the classifiers and the transposed ones."""
        ends = self.encoder.initial_block.conv, self.encoder.output_conv
        return [module.weight for module in self.modules() if isinstance(module, nn.Conv2d) and module not in ends]

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        if self.decoder is not None:
            return self.decoder(features)
        scores = self.encoder.output_conv(features)
        return F.interpolate(scores, scale_factor=8, mode="bilinear", align_corners=False)
