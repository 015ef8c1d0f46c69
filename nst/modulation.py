"""Scales and shifts of features that a style's statistics decide.

AdaIN gives features the style's mean and deviation; what a style does beyond that, a small MLP reads from the same statistics
(as the mapping of Ghiasi et al. 2017 does for instance normalisation), and from layers too deep to be fused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nst.style_code import StyleCode

SMALLEST_STATISTIC = 0.01  # added to every statistic before its logarithm is taken


class Affine(NamedTuple):
    """``scale · x + shift`` of features, ``(B, C, 1, 1)`` or, where regions differ, ``(B, C, H, W)``; B may be 1."""

    scale: Tensor
    shift: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addcmul(self.shift.to(features.dtype), features, self.scale.to(features.dtype))


def blended(affines: Sequence[Affine], masks: Sequence[Tensor]) -> Affine:
    """One map where regions differ: each ``(1, 1, H, W)`` mask's share of its own."""
    scales = [mask * affine.scale for mask, affine in zip(masks, affines, strict=True)]
    shifts = [mask * affine.shift for mask, affine in zip(masks, affines, strict=True)]
    return Affine(reduce(torch.add, scales), reduce(torch.add, shifts))  # some may be of one sample, others of B


def log_statistics(style: StyleCode, layers: Sequence[str]) -> Tensor:
    """``(B, 2·ΣC)``: means and deviations as logarithms, since activations span decades and a style's contrast is a factor.

    ``log(x + ε)``; means below 0, which layers without a ReLU have, are mirrored at the value of 0, ``log ε``.
    """
    zero = math.log(SMALLEST_STATISTIC)
    values = torch.cat([value for layer in layers for value in style[layer]], dim=1)
    return zero + values.sign() * ((values.abs() + SMALLEST_STATISTIC).log() - zero)


class ModulationPredictor(nn.Module):
    """MLP from a StyleCode to one :class:`Affine` a place; a new one leaves all features as they are.

    Args:
        layers: the code's layers that it reads …
        channels: … and their channels.
        widths: of the features at each place.
        hidden: width of the MLP.
    """

    def __init__(self, layers: Sequence[str], channels: Sequence[int], widths: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.layers, self.widths = tuple(layers), tuple(widths)
        self.first, self.last = nn.Linear(2 * sum(channels), hidden), nn.Linear(hidden, 2 * sum(widths))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, style: StyleCode, degrees: Sequence[float | Tensor]) -> list[Affine]:
        """One map a place for each of B styles.

        Args:
            style: code of B styles.
            degrees: of stylization, one a place, from 0 (features stay) to 1; numbers or ``(B, 1)``.
        """
        with torch.autocast(style[self.layers[0]].mean.device.type, enabled=False):
            predicted = self.last(self.first(log_statistics(style, self.layers)).relu())
            parts = predicted.split([width for width in self.widths for _ in range(2)], dim=1)
            maps = zip(parts[::2], parts[1::2], degrees, strict=True)
            return [
                Affine((1 + degree * scale)[:, :, None, None], (degree * shift)[:, :, None, None])
                for scale, shift, degree in maps
            ]
