"""Convolution with reflection padding in the features' own type."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReflectionConv2d(nn.Conv2d):
    """``nn.Conv2d(…, padding_mode="reflect")``, the same to the last bit, without the detour that autocast takes.

    Autocast pads in float32: bfloat16 features are widened, padded and narrowed again for the convolution, three passes over
    memory where one does. Under it a VGG-19 with reflection padding spent a sixth of its time so.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, padding_mode="reflect")

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            padded = F.pad(input, self._reversed_padding_repeated_twice, mode="reflect")
        return F.conv2d(padded, self.weight, self.bias, self.stride)
