"""Convolution with reflection padding in the features' own type."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.devices import has_fast_bfloat16

# oneDNN's convolution with a ReLU at its end, which torch's compiler uses: the same to the last bit, a pass over memory less.
CONVOLUTION_RELU = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)


class ReflectionConv2d(nn.Conv2d):
    """``nn.Conv2d(…, padding_mode="reflect")``, the same to the last bit, without the detour that autocast takes.

    Autocast pads in float32: bfloat16 features are widened, padded and narrowed again for the convolution, three passes over
    memory where one does. Under it a VGG-19 with reflection padding spent a sixth of its time so.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, padding_mode="reflect")

    def forward(self, input: Tensor) -> Tensor:
        return self._convolved(input, self.weight)

    def rectified(self, input: Tensor) -> Tensor:
        """``relu(convolution(input))``, in one pass over memory where :func:`fuses_relu` says so."""
        return self._rectified(input, self.weight)

    def _convolved(self, input: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(self._padded(input), weight, self.bias, self.stride)

    def _rectified(self, input: Tensor, weight: Tensor) -> Tensor:
        if not fuses_relu(input):
            return F.relu(self._convolved(input, weight), inplace=True)
        input, weight, bias = (one.bfloat16() for one in (input, weight, self.bias))  # type: ignore[union-attr]
        padded = self._padded(input)  # of the narrower values
        return CONVOLUTION_RELU(padded, weight, bias, [0, 0], self.stride, [1, 1], 1, "relu", [], "")  # type: ignore[misc]

    def _padded(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return F.pad(input, self._reversed_padding_repeated_twice, mode="reflect")


class ReflectionSequential(nn.Sequential):
    """``nn.Sequential`` that takes a :class:`ReflectionConv2d` and the ReLU after it in one."""

    def forward(self, input: Tensor) -> Tensor:
        rectified = False
        for layer, following in pairwise([*self, nn.Identity()]):
            if rectified:
                rectified = False
                continue
            rectified = isinstance(layer, ReflectionConv2d) and isinstance(following, nn.ReLU)
            input = layer.rectified(input) if rectified else layer(input)
        return input


def fuses_relu(input: Tensor) -> bool:
    """Whether a convolution of this can end with a ReLU: in bfloat16 on a processor, where nothing records what is done."""
    return (
        CONVOLUTION_RELU is not None
        and input.device.type == "cpu"
        and has_fast_bfloat16(input.device)
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )
