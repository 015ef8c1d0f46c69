"""Whatever a caller has (PIL picture, path, array, tensor) as a batch, and the result back as the same kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst import images
from nst.errors import UserError

Picture = Image.Image | str | Path | np.ndarray | Tensor
MINIMUM_CONTENT_SIDE = 2  # pixels; what is smaller has nothing to paint
Restore = Callable[[Tensor], "Image.Image | np.ndarray | Tensor"]


def to_batch(picture: Picture, name: str, max_pixels: int | None = None) -> tuple[Tensor, Restore]:
    """A picture as ``(B, 3, H, W)`` RGB, and a function that turns a result into the same kind.

    A path gives a PIL picture. Transparency is put back: PIL pictures and arrays keep their matte.

    Args:
        picture: PIL picture, path, ``(H, W[, C])`` array (uint8, or float in [0, 1]) or ``(B, 3, H, W)`` tensor in [0, 1].
        name: what to call it in an error.
        max_pixels: see :func:`nst.images.read_image`.

    Returns:
        uint8 where that loses nothing (an eighth of the memory of what follows), else float32 in [0, 1].

    Raises:
        UserError: it cannot be read or has a shape or range that is not a picture's.
    """
    if isinstance(picture, Tensor):
        return _checked(picture, name), lambda batch: batch.to(picture.device, picture.dtype)
    if isinstance(picture, np.ndarray):
        dtype = picture.dtype
        batch, restore_image = _from_image(images.from_array(picture))

        def restore_array(result: Tensor) -> np.ndarray:
            values = np.asarray(restore_image(result))
            return values if dtype == np.uint8 else (values / 255).astype(dtype)

        return batch, restore_array
    if isinstance(picture, Image.Image):
        return _from_image(images.to_srgb(picture))
    return _from_image(images.read_image(picture, max_pixels=max_pixels))


def to_mask(mask: Picture, size: tuple[int, int]) -> Tensor:
    """A soft mask as ``(1, 1, H, W)`` float32 in [0, 1], scaled to ``size``; of a colour picture, its red channel.

    Args:
        mask: as for :func:`to_batch`, or a ``(H, W)`` or ``(1, 1, H, W)`` tensor.
        size: (H, W).
    """
    if isinstance(mask, Tensor):
        if tuple(mask.shape[:-2]) not in ((), (1,), (1, 1), (1, 3)):
            raise UserError(f"a mask tensor must be (H, W) or (1, 1, H, W): found {tuple(mask.shape)}.")
        mask = mask.expand(1, 3, *mask.shape[-2:])
    values = as_float(to_batch(mask, "mask")[0][:1, :1])
    if values.shape[2:] != size:
        values = F.interpolate(values, size=size, mode="bilinear", antialias=True)
    return values.clamp(0, 1)


def as_float(batch: Tensor) -> Tensor:
    """uint8 or float pictures as float32 in [0, 1]."""
    return batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()


def as_given(values: Tensor, given: Tensor) -> Tensor:
    """Float values, clamped to [0, 1], in the type and on the device of ``given``, as 8-bit values if it is uint8."""
    if given.dtype == torch.uint8:
        return (values.float() * 255).round_().clamp_(0, 255).to(torch.uint8).to(given.device)
    return values.float().clamp(0, 1).to(given.device, given.dtype)


def resize(batch: Tensor, factor: float) -> Tensor:
    """``(B, 3, H, W)`` uint8 or float pictures, bicubic; of the same type."""
    height, width = (max(round(side * factor), 1) for side in batch.shape[2:])
    resized = F.interpolate(batch, size=(height, width), mode="bicubic", antialias=True)
    return resized.clamp(0, 1) if resized.is_floating_point() else resized


def to_size(batch: Tensor, size: int | None, max_size: int | None) -> Tensor:
    """``(B, 3, H, W)`` pictures with a shorter side of ``size`` and a longer one of at most ``max_size``.

    Raises:
        UserError: a size too small to paint.
    """
    for name, value in (("size", size), ("max_size", max_size)):
        if value is not None and value < MINIMUM_CONTENT_SIDE:
            raise UserError(f"{name} must be at least {MINIMUM_CONTENT_SIDE} pixels: found {value}.")
    if size is not None:
        batch = resize(batch, size / min(batch.shape[2:]))
    if max_size is not None and max(batch.shape[2:]) > max_size:
        batch = resize(batch, max_size / max(batch.shape[2:]))
    return batch


def _from_image(image: Image.Image) -> tuple[Tensor, Callable[[Tensor], Image.Image]]:
    rgb, matte = images.split_alpha(image)
    # (The batch first: its stride has to be a picture's for torch to see that this is channels-last.)
    pixels = torch.from_numpy(np.array(rgb))[None].permute(0, 3, 1, 2)

    def restore(result: Tensor) -> Image.Image:
        return images.merge_alpha(images.from_array(result[0].permute(1, 2, 0).contiguous().numpy()), matte)

    return pixels, restore


def _checked(batch: Tensor, name: str) -> Tensor:
    if batch.ndim != 4 or batch.shape[1] != 3 or 0 in batch.shape or not batch.is_floating_point():
        raise UserError(
            f"{name} tensor must be (B, 3, H, W) float in [0, 1]: found {tuple(batch.shape)} {batch.dtype}."
        )
    low, high = (float(bound) for bound in torch.aminmax(batch))
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # written so that NaN fails too
        raise UserError(f"{name} tensor must be in [0, 1]: found {low:.3g} to {high:.3g}; divide 8-bit values by 255.")
    return batch.float()
