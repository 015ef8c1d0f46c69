"""Label images: pictures whose flat colours say which region a pixel belongs to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nst.errors import UserError
from nst.pictures import Picture, to_batch

# 8-bit levels, Euclidean in RGB: colours that near are one, where JPEG or soft brushes made more of them.
TOLERANCE = 48.0
EXACT_SHARE = 0.99  # of the pixels have a frequent colour where colours are exact, as in class indices (0, 1, 2 …)
FLATNESS = 24  # 8-bit levels between neighbours: where they differ more is a border, whose blends are no colours
SMALLEST_SHARE = 0.003  # of the flat pixels: colours that cover less are noise
PAINTED_SHARE = 0.75  # of the pixels that at least have nearly the colour of their region; in photographs far fewer do
NEARLY = 12.0  # 8-bit levels, Euclidean in RGB


class LabelImage(NamedTuple):
    """Regions by colour.

    Attributes:
        colours: ``(N, 3)`` uint8-valued float RGB, most frequent first.
        labels: ``(H, W)`` int64, which colour a pixel has.
    """

    colours: Tensor
    labels: Tensor


def read_label_image(
    picture: Picture, name: str, max_pixels: int | None = None, first_frame: bool = False
) -> LabelImage:
    """The regions that a label image draws.

    Where nearly all pixels have one of a few colours, these are the regions'. Elsewhere colours within ``TOLERANCE`` of a
    more frequent one count as that one. Pixels of other colours, as anti-aliased borders have them, go to the nearest
    frequent colour.

    Args:
        picture: as for :func:`nst.pictures.to_batch`.
        name: what to call it in an error.
        max_pixels, first_frame: of a path, see :func:`nst.images.read_image`.

    Raises:
        UserError: it cannot be read, or is not painted in flat colours.
    """
    batch, _ = to_batch(picture, name, max_pixels, first_frame, on_white=True)
    if batch.is_floating_point():
        batch = (batch * 255).round().to(torch.uint8)
    pixels = batch[0].permute(1, 2, 0).cpu().numpy().astype(np.int64)
    packed, inverse, counts = np.unique(pixels @ (65536, 256, 1), return_inverse=True, return_counts=True)
    found = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.float64)
    inverse = inverse.reshape(pixels.shape[:2])

    frequent = counts / counts.sum() >= SMALLEST_SHARE
    tolerance = 0.0 if counts[frequent].sum() >= EXACT_SHARE * counts.sum() else TOLERANCE
    left = np.bincount(inverse[_flat(batch)], minlength=len(packed)).astype(np.float64)
    left /= max(left.sum(), 1)
    if not tolerance:
        left[left < SMALLEST_SHARE] = 0
    colours: list[np.ndarray] = []
    while left.sum() >= SMALLEST_SHARE:
        colour = found[left.argmax()]
        near = np.linalg.norm(found - colour, axis=1) <= tolerance
        if left[near].sum() >= SMALLEST_SHARE:
            colours.append(colour)
        left[near] = 0
    distances = np.linalg.norm(found[:, None] - np.reshape(colours, (1, -1, 3)), axis=2)
    painted = counts[(distances <= NEARLY).any(axis=1)].sum() / counts.sum()
    if painted < PAINTED_SHARE:
        raise UserError(
            f"{name} is not painted in flat colours ({painted:.0%} of it is): give each region one colour, save as .png."
        )
    return LabelImage(torch.from_numpy(np.stack(colours)), torch.from_numpy(distances.argmin(axis=1)[inverse]))


def _flat(batch: Tensor) -> np.ndarray:
    """``(H, W)`` bool: pixels whose neighbours, too, have about their colour."""
    values = batch.float()
    largest, smallest = (sign * F.max_pool2d(sign * values, 3, stride=1, padding=1) for sign in (1, -1))
    return ((largest - smallest).amax(dim=1)[0] <= FLATNESS).cpu().numpy()


def same_colours(content: LabelImage, style: LabelImage) -> list[int | None]:
    """For each colour of the content's label image the style's label of that colour, ``None`` where it has none.

    Colours are the same within ``TOLERANCE``, or within half of what lies between any two of one image.
    """
    apart = [torch.pdist(image.colours).tolist() for image in (content, style)]
    tolerance = min([TOLERANCE, *(distance / 2 for distances in apart for distance in distances)])
    distances = torch.cdist(content.colours, style.colours)
    nearest = distances.min(dim=1)
    return [
        int(label) if float(distance) <= tolerance else None
        for distance, label in zip(nearest.values, nearest.indices, strict=True)
    ]
