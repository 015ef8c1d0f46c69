"""Whatever a caller has (PIL picture, path, array, tensor) as a batch, and the result back as the same kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst import images
from nst.errors import UserError

Picture = Image.Image | str | Path | np.ndarray | Tensor
MINIMUM_CONTENT_SIDE = 2  # pixels; what is smaller has nothing to paint
MINIMUM_STYLE_SIDE = 16  # below it VGG-19's deepest layers have a single position and no deviation
Restore = Callable[[Tensor], "Image.Image | np.ndarray | Tensor"]


def to_batch(
    picture: Picture, name: str, max_pixels: int | None = None, first_frame: bool = False, on_white: bool = False
) -> tuple[Tensor, Restore]:
    """A picture as ``(B, 3, H, W)`` RGB, and a function that turns a result into the same kind.

    A path gives a PIL picture. Transparency is put back: PIL pictures and arrays keep their matte, and what they show nearby
    is continued under it.

    Args:
        picture: PIL picture, path, ``(H, W[, C])`` array (uint8, or float in [0, 1]) or ``(B, 3, H, W)`` tensor in [0, 1].
        name: what to call it in an error.
        max_pixels, first_frame: of a path, see :func:`nst.images.read_image`.
        on_white: lay it on white where it is transparent, as training does; there is no matte then.

    Returns:
        uint8 where that loses nothing (an eighth of the memory of what follows), else float32 in [0, 1].

    Raises:
        UserError: it cannot be read or has a shape or range that is not a picture's.
    """
    if isinstance(picture, Tensor):
        return _checked(picture, name), partial(_as_tensor, picture)
    if isinstance(picture, np.ndarray):
        return _from_array(picture, on_white)
    image = _image(picture, name, max_pixels, first_frame)
    return _from_image(images.on_white(image) if on_white else image)


def to_mask(mask: Picture, size: tuple[int, int], max_pixels: int | None = None, first_frame: bool = False) -> Tensor:
    """A soft mask as ``(1, 1, H, W)`` float32 in [0, 1], scaled to ``size``; of a colour picture, its red channel on black.

    Args:
        mask: as for :func:`to_batch`, or a ``(H, W)`` or ``(1, 1, H, W)`` tensor; arrays and tensors may be boolean.
        size: (H, W).
        max_pixels, first_frame: of a path, see :func:`nst.images.read_image`.

    Raises:
        UserError: it cannot be read, or is no mask.
    """
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        mask = mask.astype(np.float32)
    if isinstance(mask, Tensor):
        if tuple(mask.shape[:-2]) not in ((), (1,), (1, 1), (1, 3)) or not (
            mask.is_floating_point() or mask.dtype == torch.bool
        ):
            raise UserError(
                f"a mask tensor must be (H, W) or (1, 1, H, W), float in [0, 1] or bool: found {tuple(mask.shape)} {mask.dtype}."
            )
        values = _checked(mask.float().expand(1, 3, *mask.shape[-2:]), "mask")[:, :1]
    else:
        image = (
            images.from_array(mask) if isinstance(mask, np.ndarray) else _image(mask, "mask", max_pixels, first_frame)
        )
        colors, matte = images.split_alpha(image)
        values = torch.from_numpy(np.array(colors.getchannel(0))).float()[None, None] / 255
        if matte is not None:
            values = values * torch.from_numpy(np.array(matte)).float() / 255
    if values.shape[2:] != size:
        values = F.interpolate(values, size=size, mode="bilinear", antialias=True)
    return values.clamp(0, 1)


def style_picture(
    style: Picture,
    style_size: int | None,
    recolor: Callable[[Tensor], Tensor] | None = None,
    max_pixels: int | None = None,
    first_frame: bool = False,
) -> Tensor:
    """A style as networks see it: ``(1, 3, H, W)`` float32 in [0, 1], scaled down to ``style_size``, then recoloured."""
    if style_size is not None and style_size < MINIMUM_STYLE_SIDE:
        raise UserError(f"style_size must be at least {MINIMUM_STYLE_SIDE} pixels: found {style_size}.")
    batch, _ = to_batch(style, "style", max_pixels, first_frame, on_white=True)
    require_side(batch, MINIMUM_STYLE_SIDE, "style")
    if style_size is not None and min(batch.shape[2:]) > style_size:
        batch = resize(batch, style_size / min(batch.shape[2:]))
    batch = as_float(batch)
    return batch if recolor is None else recolor(batch)


def require_side(batch: Tensor, minimum: int, name: str) -> None:
    """Refuse ``(B, 3, H, W)`` pictures with a side below ``minimum`` pixels."""
    height, width = batch.shape[2:]
    if min(height, width) < minimum:
        raise UserError(f"{name} picture is {width}×{height}: both sides must have at least {minimum} pixels.")


def as_list(given: Any) -> list[Any]:
    """One picture, style or mask, or several, as a list."""
    return list(given) if isinstance(given, list | tuple) else [given]


def as_float(batch: Tensor) -> Tensor:
    """uint8 or float pictures as float32 in [0, 1]."""
    return batch.float().div_(255) if batch.dtype == torch.uint8 else batch.float()


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


def _as_tensor(given: Tensor, result: Tensor) -> Tensor:
    """A copy on the device and in the type of ``given``: what inference mode made could not go on into a training."""
    return result.to(given.device, given.dtype).clone(memory_format=torch.contiguous_format)


def _image(picture: Image.Image | str | Path, name: str, max_pixels: int | None, first_frame: bool) -> Image.Image:
    if not isinstance(picture, Image.Image | str | Path):
        raise UserError(f"the {name} is no picture: found {picture!r}; give a path, PIL picture, array or tensor.")
    if not isinstance(picture, Image.Image):
        return images.read_image(picture, max_pixels=max_pixels, first_frame=first_frame)
    try:
        return images.to_srgb(picture)
    except Exception as error:  # Pillow decodes when pixels are asked for, and its decoders raise nearly anything
        raise UserError(f"the {name} picture is damaged or cut off ({error}): give another.") from error


def _from_image(image: Image.Image) -> tuple[Tensor, Callable[[Tensor], Image.Image]]:
    rgb, matte = images.split_alpha(image)
    if matte is not None:
        rgb = images.spread_colors(image)
    # (The batch first: its stride has to be a picture's for torch to see that this is channels-last.)
    pixels = torch.from_numpy(np.array(rgb))[None].permute(0, 3, 1, 2)

    def restore(result: Tensor) -> Image.Image:
        return images.merge_alpha(images.from_array(result[0].permute(1, 2, 0).contiguous().numpy()), matte)

    return pixels, restore


def _from_array(array: np.ndarray, on_white: bool) -> tuple[Tensor, Callable[[Tensor], np.ndarray]]:
    values = torch.from_numpy(np.array(images.check_array(array)))[None]
    values = values.unsqueeze(3).expand(-1, -1, -1, 3) if values.ndim == 3 else values
    pixels, matte = values[..., :3].permute(0, 3, 1, 2), values[..., 3:].permute(0, 3, 1, 2)
    if on_white:
        pixels = as_given(1 - (1 - as_float(pixels)) * as_float(matte), pixels) if matte.shape[1] else pixels
        matte = matte[:, :0]
    elif matte.shape[1]:
        seen, _ = _from_image(images.from_array(array))
        pixels = torch.where(matte > 0, pixels, seen if pixels.dtype == torch.uint8 else as_float(seen))

    def restore(result: Tensor) -> np.ndarray:
        if matte.shape[1]:
            size = (result.shape[2], result.shape[3])
            result = torch.cat([result, F.interpolate(matte, size=size, mode="bilinear", antialias=True)], dim=1)
        return result[0].permute(1, 2, 0).contiguous().numpy().astype(array.dtype, copy=False)

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
