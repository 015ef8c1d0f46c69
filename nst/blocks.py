"""What networks are made of between encoder and picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.modulation import Modulation
from nst.reflection import ReflectionConv2d


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> ReflectionConv2d:
    """A convolution that keeps or halves the size, He-initialised.

    With reflection padding: zeros tell the network where the border is, and it learned to leave there what the style's
    statistics still lacked, a frame and a blot in a corner of every picture.
    """
    layer = ReflectionConv2d(in_channels, out_channels, kernel_size, padding=1, stride=stride)
    _initialise(layer)
    return layer


def _initialise(layer: ReflectionConv2d) -> None:
    """He et al. 2015."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class StyledConvolution(ReflectionConv2d):
    """``(W + U diag(m) V) * x + b``: a convolution whose kernel each style mixes for itself.

    V are R further kernels, U says where their outputs go, and the mix m, which a style decides, how much of each. Chandran
    et al. 2021 predict kernels whole; as a sum of few directions (Li et al. 2021) a style has to be described by R numbers
    only. For one style everything is folded into one kernel first, which is all the time that it costs a picture. U starts at 0.

    Args:
        width: channels in and out.
        rank: R; 0: the kernel is W for every style.
    """

    def __init__(self, width: int, rank: int = 0) -> None:
        super().__init__(width, width, kernel_size=3, padding=1)
        _initialise(self)
        self.rank = rank
        if rank:
            self.inward = nn.Parameter(torch.empty(rank, width, 3, 3))
            self.outward = nn.Parameter(torch.zeros(width, rank))
            nn.init.kaiming_normal_(self.inward, nonlinearity="relu")

    def forward(self, input: Tensor, mix: Tensor | None = None) -> Tensor:
        """``(B, width, H, W)`` of the same shape.

        Args:
            mix: m, ``(B, R, 1, 1)``, or ``(B, R, H, W)`` where regions differ; B may be 1. ``None``: 0.
        """
        if mix is None or _is_one(mix):
            return self._convolved(input, self.kernel(mix))
        both = F.conv2d(self._padded(input), torch.cat([self.weight, self.inward]))
        plain, inner = both.split([self.out_channels, self.rank], dim=1)
        return plain + F.conv2d(inner * mix.to(inner.dtype), self.outward[:, :, None, None], self.bias)

    def rectified(self, input: Tensor, mix: Tensor | None = None) -> Tensor:
        """``relu(convolution(input, mix))``, see :meth:`ReflectionConv2d.rectified`."""
        if mix is None or _is_one(mix):
            return self._rectified(input, self.kernel(mix))
        return F.relu(self(input, mix), inplace=True)

    def kernel(self, mix: Tensor | None) -> Tensor:
        """``W + U diag(m) V`` for the ``(1, R, 1, 1)`` mix of one style."""
        if mix is None:
            return self.weight
        rows = torch.addmm(_rows(self.weight), self.outward * mix.view(1, -1), _rows(self.inward))
        height, width = self.kernel_size
        return rows.view(self.out_channels, height, width, self.in_channels).permute(0, 3, 1, 2)


def _rows(kernels: Tensor) -> Tensor:
    """``(O, h·w·I)``, a view of channels-last kernels."""
    return kernels.permute(0, 2, 3, 1).flatten(1)


def _is_one(mix: Tensor) -> bool:
    """Whether it is the same for all samples and positions."""
    return mix.shape[0] == mix.shape[2] == mix.shape[3] == 1


class ResidualBlock(nn.Module):
    """``x + convolution(relu(convolution(modulation(x))))`` (He et al. 2016); starts as the identity.

    Args:
        width: channels.
        rank: of the directions in which a style changes its two kernels, see :class:`StyledConvolution`.
    """

    def __init__(self, width: int, rank: int = 0) -> None:
        super().__init__()
        self.first, self.second = StyledConvolution(width, rank), StyledConvolution(width, rank)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, modulation: Modulation | None = None) -> Tensor:
        inner = x if modulation is None else modulation.features(x)
        first, second = (modulation and modulation.mixes) or (None, None)
        return self.second(self.first.rectified(inner, first), second).add_(x)


class Stage(nn.ModuleList):
    """Convolutions of one width, a ReLU after each, of features that a style may modulate first.

    Args:
        width: channels.
        depth: convolutions.
        rank: of the directions in which a style changes their kernels, see :class:`StyledConvolution`.
    """

    def __init__(self, width: int, depth: int, rank: int = 0) -> None:
        super().__init__(StyledConvolution(width, rank) for _ in range(depth))

    def forward(self, x: Tensor, modulation: Modulation | None = None) -> Tensor:
        if modulation is not None:
            x = modulation.features(x)
        mixes = (modulation and modulation.mixes) or [None] * len(self)
        for layer, mix in zip(self, mixes, strict=True):
            x = layer.rectified(x, mix)  # type: ignore[operator]
        return x
