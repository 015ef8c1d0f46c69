"""Features of one region of a style picture, without what lies beside it.

A position of a deep layer sees tens of pixels beyond its own, so weighting features by a mask is not enough: near the
border the neighbouring region would get into the statistics. Gatys et al. 2017 ("Controlling Perceptual Factors in Neural
Style Transfer", section 4) keep to the positions whose receptive field lies inside the region. So does this, and what
cannot be kept to in a thin region sees the region's mean colour instead of the neighbour.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

FEWEST_POSITIONS = 64  # of which a deviation is worth taking: with fewer, positions nearer to the border are let in


def fill_outside(pictures: Tensor, mask: Tensor) -> Tensor:
    """``(B, 3, H, W)`` pictures with the mean colour of a region in place of all that is outside it.

    Args:
        pictures: of any float type.
        mask: ``(B, 1, H, W)`` or ``(1, 1, H, W)`` in [0, 1], somewhere above 0.
    """
    weight = mask.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    mean = (pictures * mask).sum(dim=(2, 3), keepdim=True) / weight
    return mean + (pictures - mean) * mask


def erode(mask: Tensor, margin: int) -> Tensor:
    """The least value of ``(B, 1, H, W)`` within ``margin`` pixels in either direction; beyond the picture nothing counts."""
    side = 2 * margin + 1
    rows = F.max_pool2d(-mask, (side, 1), stride=1, padding=(margin, 0))
    return -F.max_pool2d(rows, (1, side), stride=1, padding=(0, margin))


def interior_weights(mask: Tensor, margin: int, size: tuple[int, int]) -> Tensor:
    """Weights of a layer's positions: those that see nothing but the region or, if these are few, those well inside.

    Args:
        mask: ``(B, 1, H, W)`` of the picture.
        margin: how many pixels beyond its own a position of the layer sees.
        size: (height, width) of the layer.

    Returns:
        ``(B, 1, height, width)`` in [0, 1].
    """
    while True:
        weights = F.adaptive_avg_pool2d(erode(mask, margin), size)
        if margin == 0 or float(weights.sum(dim=(1, 2, 3)).min()) >= FEWEST_POSITIONS:
            return weights
        margin //= 2
