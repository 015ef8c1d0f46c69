"""What image optimisation starts from: ``init=``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.optimization_checks import STARTS, require_one
from nst.pictures import Picture, as_float, to_batch
from nst.region_styles import Mask
from nst.stylizer import Stylizer
from nst.tiling import Tile


def given_start(init: str | Picture) -> list[Tensor]:
    """The picture that ``init`` is, ``(1, 3, H, W)`` in [0, 1], if it is one."""
    if isinstance(init, str) and init in STARTS:
        return []
    return [as_float(require_one(to_batch(init, "init")[0], "init")).cpu()]


def first_picture(
    init: str | Picture,
    content: Tensor,
    styles: list[Tensor],
    *,
    weights: Sequence[float] | None,
    masks: Sequence[Picture] | None,
    mask: Mask | None,
    tile: Tile,
    ckpt: str | Path,
    seed: int,
    device: str | None,
    precision: str,
) -> Tensor:
    """The picture before the first step, ``(1, 3, H, W)`` in [0, 1] and as large as the content.

    ``styles`` and the options are what the stylizer paints with, see :func:`nst.image_optimization.optimize`.
    """
    if isinstance(init, str) and init == "content":
        return content.clone()
    if isinstance(init, str) and init == "noise":
        noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(seed))
        return (0.5 + 0.1 * noise).clamp(0, 1)
    if isinstance(init, str) and init == "stylizer":
        stylizer = Stylizer.from_checkpoint(ckpt, device=device, precision=precision)
        return stylizer(content, styles, style_size=None, weights=weights, masks=masks, mask=mask, tile=tile)
    (given,) = given_start(init)
    return F.interpolate(given, size=content.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
