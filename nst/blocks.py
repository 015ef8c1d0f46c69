"""What networks are made of between encoder and picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nst.modulation import Affine
from nst.reflection import ReflectionConv2d


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps or halves the size, He-initialised.

    With reflection padding: zeros tell the network where the border is, and it learned to leave there what the style's
    statistics still lacked, a frame and a blot in a corner of every picture.
    """
    layer = ReflectionConv2d(in_channels, out_channels, kernel_size, padding=1, stride=stride)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class ResidualBlock(nn.Module):
    """``x + convolution(relu(convolution(modulation(x))))`` (He et al. 2016); starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = convolution(width, width), convolution(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, modulation: Affine | None = None) -> Tensor:
        inner = x if modulation is None else modulation(x)
        return x + self.second(F.relu(self.first(inner)))


class CoarseBranch(nn.Module):
    """Residual blocks at half the resolution beside the features: what a style does to large forms costs a quarter there.

    A new branch adds nothing. Sides must be even, and at least 4.

    Args:
        width: channels of the features.
        inner_width: channels of the branch.
        blocks: number of its residual blocks.
    """

    def __init__(self, width: int, inner_width: int, blocks: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(width, inner_width, 2, stride=2)
        self.blocks = nn.ModuleList(ResidualBlock(inner_width) for _ in range(blocks))
        self.up = nn.Conv2d(inner_width, width, 1)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]

    def margin(self, margin: int, stride: int) -> int:
        """How far a picture looks through the branch, given the pixels that it looks through what follows.

        Pictures are cut at multiples of ``stride``, that of the branch's inside, where a convolution looks one position further.
        """
        return stride * (-(-margin // stride) + 2 * len(self.blocks))

    def forward(self, x: Tensor, modulations: Sequence[Affine | None]) -> Tensor:
        inner = self.down(x)
        for block, modulation in zip(self.blocks, modulations, strict=True):
            inner = block(inner, modulation)
        return x + F.interpolate(self.up(inner), scale_factor=2, mode="nearest")
