"""Contact sheets: rows of pictures beside each other, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.images import to_image

GAP = 4  # pixels of white between pictures


def contact_sheet(rows: Sequence[Sequence[Tensor]], side: int = 192) -> Image.Image:
    """One picture with each of ``rows`` side by side, e.g. content, style, result.

    Args:
        rows: equally long rows of ``(3, H, W)`` RGB in [0, 1].
        side: every picture is scaled to ``side`` × ``side``.
    """
    cells = [[_cell(picture, side) for picture in row] for row in rows]
    lines = [torch.cat(row, dim=2) for row in cells]
    sheet = F.pad(torch.cat(lines, dim=1), (GAP, 0, GAP, 0), value=1.0)
    return to_image(sheet)


def _cell(picture: Tensor, side: int) -> Tensor:
    scaled = F.interpolate(picture[None].float(), size=(side, side), mode="bilinear", antialias=True)[0]
    return F.pad(scaled.clamp(0, 1), (0, GAP, 0, GAP), value=1.0)
