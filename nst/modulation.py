"""Scales and shifts of features, and mixes of kernels, that a style's statistics decide.

AdaIN gives features the style's mean and deviation; what a style does beyond that, a small MLP reads from the same statistics
(as the mapping of Ghiasi et al. 2017 does for instance normalisation), and from layers too deep to be fused: a scale and a shift
of features, and how the kernels behind them are mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nst.style_code import StyleCode
from nst.style_mlp import StyleMLP


class Affine(NamedTuple):
    """``scale · x + shift`` of features, ``(B, C, 1, 1)`` or, where regions differ, ``(B, C, H, W)``; B may be 1."""

    scale: Tensor
    shift: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addcmul(self.shift.to(features.dtype), features, self.scale.to(features.dtype))


class Modulation(NamedTuple):
    """What a style does at one place of a network.

    Attributes:
        features: the map of the features that arrive there.
        mixes: for the kernel of each convolution behind it (:class:`nst.blocks.StyledConvolution`), ``(B, R, 1, 1)`` or
            ``(B, R, H, W)``; none: kernels stay.
    """

    features: Affine
    mixes: tuple[Tensor, ...] = ()


def blended(modulations: Sequence[Modulation], masks: Sequence[Tensor]) -> Modulation:
    """One where regions differ: each ``(1, 1, H, W)`` mask's share of its own."""

    def blend(each: Sequence[Tensor]) -> Tensor:  # some may be of one sample, others of B
        return reduce(torch.add, [mask * one for mask, one in zip(masks, each, strict=True)])

    features = Affine(*map(blend, zip(*(modulation.features for modulation in modulations), strict=True)))
    mixes = zip(*(modulation.mixes for modulation in modulations), strict=True)
    return Modulation(features, tuple(map(blend, mixes)))


def kernel_mixes(predicted: Tensor, rank: int, degree: float | Tensor) -> tuple[Tensor, ...]:
    """Mixes from what an MLP predicts for them, ``(B, K·rank)``: between −1 and 1, so that no style goes far beyond the known."""
    if not predicted.shape[1]:
        return ()
    return tuple((degree * mix.tanh())[:, :, None, None] for mix in predicted.split(rank, dim=1))


class ModulationPredictor(nn.Module):
    """MLP from a StyleCode to one :class:`Modulation` a place; a new one leaves all features as they are.

    Args:
        layers: the code's layers that it reads …
        channels: … and their channels.
        places: width of the features, and number of convolutions whose kernels are mixed, at each.
        hidden: width of the MLP.
        rank: of a mix; 0: kernels stay.
    """

    def __init__(
        self,
        layers: Sequence[str],
        channels: Sequence[int],
        places: Sequence[tuple[int, int]],
        hidden: int,
        rank: int = 0,
    ) -> None:
        super().__init__()
        self.rank = rank
        self.widths, self.mixed = [width for width, _ in places], [rank * count for _, count in places]
        affine = 2 * sum(self.widths)
        self.mlp = StyleMLP(layers, channels, hidden, affine + sum(self.mixed))
        nn.init.zeros_(self.mlp.last.weight[:affine])  # mixes do not start at 0, see nst.blocks.StyledConvolution

    def forward(self, style: StyleCode, degrees: Sequence[float | Tensor]) -> list[Modulation]:
        """One a place for each of B styles.

        Args:
            style: code of B styles.
            degrees: of stylization, one a place, from 0 (features and kernels stay) to 1; numbers or ``(B, 1)``.
        """
        predicted = self.mlp(style)
        with torch.autocast(predicted.device.type, enabled=False):
            sizes = [width for width in self.widths for _ in range(2)]
            parts = predicted.split([*sizes, *self.mixed], dim=1)
            scales, shifts, mixes = parts[: len(sizes) : 2], parts[1 : len(sizes) : 2], parts[len(sizes) :]
            return [
                Modulation(
                    Affine((1 + degree * scale)[:, :, None, None], (degree * shift)[:, :, None, None]),
                    kernel_mixes(mix, self.rank, degree),
                )
                for scale, shift, mix, degree in zip(scales, shifts, mixes, degrees, strict=True)
            ]
