"""The steps of image optimisation, taken on several sizes of the picture at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST_LEVEL = 8  # shorter side of the coarsest level, in pixels
PACE = 0.7  # of a level beside the one twice as large


class PicturePyramid(nn.Module):
    """A change of a picture as a sum over sizes, each half the one before: ``Σ_k PACE^k · upsampled(level_k)``.

    An optimiser that scales every coordinate's step by itself, as Adam does, moves a single pixel as readily as a whole area
    only where an area is a coordinate of its own. The levels are 0 before each step, and :meth:`take` empties them again.

    Args:
        picture: ``(1, 3, H, W)``, for its size and device.
    """

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.size = (picture.shape[2], picture.shape[3])
        count = max(1, (min(self.size) // SMALLEST_LEVEL).bit_length())
        sides = [[-(-side // 2**k) for side in self.size] for k in range(count)]
        self.levels = nn.ParameterList(picture.new_zeros(1, 3, *side) for side in sides)

    def forward(self) -> Tensor:
        """The change, ``(1, 3, H, W)``."""
        finest, *coarser = self.levels
        upsampled = [F.interpolate(level, self.size, mode="bilinear") for level in coarser]
        return finest + sum(PACE**k * level for k, level in enumerate(upsampled, start=1))

    def spread(self, gradient: Tensor) -> None:
        """Give every level the gradient that one of the picture, ``(1, 3, H, W)``, means for it."""
        self.zero_grad()
        self().backward(gradient)

    @torch.no_grad()
    def take(self) -> Tensor:
        """The change, which is the picture's from then on."""
        change = self()
        for level in self.levels:
            level.zero_()
        return change
