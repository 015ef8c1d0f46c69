"""What networks are made of between encoder and picture."""

from __future__ import annotations

from torch import Tensor, nn

from nst.modulation import Affine
from nst.reflection import ReflectionConv2d


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> ReflectionConv2d:
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
        return x + self.second(self.first.rectified(inner))
