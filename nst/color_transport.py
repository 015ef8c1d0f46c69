"""The style's colours for the content, before it is painted.

AdaIN gives every channel of the features the style's mean and deviation, and says nothing of how channels go together: hues
that a style does not have stay in the picture. Three colours are few enough for the whole covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nst.pictures import as_float
from nst.pointwise import pointwise_map
from nst.statistics import widest_float

ROWS = 512  # rows of a picture converted at a time, which bounds memory
SMALLEST_VARIANCE = 1e-3  # added to every colour's: the noise of a grey picture's chroma is not made into colours
ITERATIONS = 24  # a thousandth of the largest eigenvalue takes 13 to come near 1, and a few more to settle


class ColorStatistics(NamedTuple):
    """Mean ``(B, 3)`` and covariance ``(B, 3, 3)`` of the colours of pictures in [0, 1]."""

    mean: Tensor
    covariance: Tensor


class ColorMap(NamedTuple):
    """``matrix · rgb + shift`` at every pixel; ``(B, 3, 3)`` and ``(B, 3, 1)``."""

    matrix: Tensor
    shift: Tensor

    def __call__(self, pictures: Tensor) -> Tensor:
        return pointwise_map(pictures, self.matrix.to(pictures.dtype), self.shift.squeeze(2).to(pictures.dtype))


def color_statistics(pictures: Tensor, mask: Tensor | None = None) -> ColorStatistics:
    """Statistics of ``(B, 3, H, W)`` pictures, float in [0, 1] or uint8, over pixels weighted by a ``(B, 1, H, W)`` mask."""
    wide = widest_float(pictures.device)
    weights = torch.ones_like(pictures[:, :1]) if mask is None else mask
    parts = [(pictures, weights)]
    if not torch.compiler.is_exporting():  # a graph has no loop over a size that it does not know
        parts = list(zip(pictures.split(ROWS, dim=2), weights.split(ROWS, dim=2), strict=True))
    totals = [torch.zeros((), dtype=wide, device=pictures.device)] * 3
    for part, shares in parts:
        values, weight = as_float(part).float().flatten(2), shares.float().flatten(2)
        weighted = values * weight
        with torch.autocast(pictures.device.type, enabled=False):
            second = weighted @ values.transpose(1, 2)
        sums = (weighted.sum(dim=2), second, weight.sum(dim=2))
        totals = [total + found.to(wide) for total, found in zip(totals, sums, strict=True)]
    weight = totals[2].clamp_min(1e-6)
    mean = totals[0] / weight
    covariance = totals[1] / weight.unsqueeze(2) - mean.unsqueeze(2) * mean.unsqueeze(1)
    return ColorStatistics(mean.float(), covariance.float())


def square_roots(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """``A^½`` and ``A^-½`` of symmetric positive definite ``(B, n, n)`` matrices.

    The coupled Newton–Schulz iteration (Higham 2008, "Functions of Matrices", equation 6.35): matrix products alone, so that
    it runs wherever a network does. Eigenvalues may be a million times apart.
    """
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device).expand_as(matrices)
    size = matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
    root, inverse = matrices / size, identity
    start = 1.5 * identity
    for _ in range(ITERATIONS):
        step = torch.baddbmm(start, inverse, root, alpha=-0.5)
        root, inverse = torch.bmm(root, step), torch.bmm(step, inverse)
    return root * size.sqrt(), inverse / size.sqrt()


def color_transport(style: ColorStatistics, content: ColorStatistics, degree: float | Tensor = 1.0) -> ColorMap:
    """The map that gives a content the style's colour mean and covariance and changes its colours least.

    ``T = C^-½ (C^½ S C^½)^½ C^-½``, the optimal transport between two normal distributions (Pitié & Kokaram 2007, "The
    Linear Monge-Kantorovitch Linear Colour Mapping").

    Args:
        style, content: of B pictures or of one.
        degree: from 0, the content's own colours, to 1; a number or ``(B, 1)``.
    """
    wide = widest_float(content.mean.device)
    identity = torch.eye(3, dtype=wide, device=content.mean.device)
    root, inverse = square_roots(content.covariance.to(wide) + SMALLEST_VARIANCE * identity)
    middle, _ = square_roots(root @ (style.covariance.to(wide) + SMALLEST_VARIANCE * identity) @ root)
    if isinstance(degree, Tensor):
        degree = degree.to(wide).unsqueeze(2)
    transport = inverse @ middle @ inverse
    shift = degree * (style.mean.to(wide).unsqueeze(2) - transport @ content.mean.to(wide).unsqueeze(2))
    return ColorMap((degree * transport + (1 - degree) * identity).float(), shift.float())


def recolored(pictures: Tensor, maps: Sequence[ColorMap], masks: Sequence[Tensor] | None = None) -> Tensor:
    """``(B, 3, H, W)`` pictures in [0, 1] with one map everywhere or, inside soft masks, one each; without a mask as they were."""
    if masks is None:
        return maps[0](pictures).clamp(0, 1)
    result = (1 - torch.stack(list(masks)).sum(dim=0)) * pictures
    for mask, each in zip(masks, maps, strict=True):
        result = result + mask * each(pictures)
    return result.clamp(0, 1)
