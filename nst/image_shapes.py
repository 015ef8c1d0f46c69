"""The shapes of pictures: arrays and tensors of them, resizing, padding and cropping."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst.errors import UserError
from nst.image_modes import split_alpha, to_srgb


def to_tensor(image: Image.Image) -> Tensor:
    """Turn a picture into numbers.

    Args:
        image: a picture of any mode; a matte is left out (see :func:`nst.images.split_alpha`).

    Returns:
        (3, H, W) float32 in [0, 1], RGB.
    """
    pixels = np.array(split_alpha(image)[0])
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div_(255)


def to_image(tensor: Tensor) -> Image.Image:
    """Turn numbers into a picture, to the nearest of 256 levels: ``to_image(to_tensor(x))`` is x exactly.

    Args:
        tensor: (3, H, W) or (1, 3, H, W) float of any precision on any device, RGB; values outside [0, 1] are clamped.

    Returns:
        A picture of mode "RGB".

    Raises:
        UserError: another shape.
    """
    pixels = tensor.detach()
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim != 3 or len(pixels) != 3 or 0 in pixels.shape:
        raise UserError(
            f"a tensor of shape {tuple(tensor.shape)} is not one picture: give (3, H, W) or (1, 3, H, W), one at a time"
        )
    levels = pixels.float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())


def from_array(array: np.ndarray) -> Image.Image:
    """Turn an array, as NumPy, OpenCV (mind its BGR) or scikit-image hold pictures, into a picture.

    Args:
        array: (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey; uint8, or float of any precision in [0, 1].

    Returns:
        A picture of mode "RGB", or "RGBA" where at least one pixel is not opaque.

    Raises:
        UserError: another shape or type, or floats outside [0, 1] (by more than a rounding of resampling, 0.01).
    """
    array = check_array(array)
    if array.dtype != np.uint8:
        array = np.rint(array * 255).astype(np.uint8)
    return to_srgb(Image.fromarray(np.ascontiguousarray(array)))


def check_array(array: np.ndarray) -> np.ndarray:
    """An array that is a picture, see :func:`from_array`: uint8 as it is, floats as float32, clamped to [0, 1].

    Raises:
        UserError: as there.
    """
    accepted = "give (H, W), (H, W, 3) or (H, W, 4) of uint8, or of floats in [0, 1]"
    found = f"an array of shape {array.shape} and type {array.dtype}"
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise UserError(f"{found} is not a picture: {accepted}")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{found} cannot be read as a picture: {accepted}")
    low, high = float(array.min()), float(array.max())
    if not (low >= -0.01 and high <= 1.01):  # written so that NaN fails too
        raise UserError(f"{found} has values from {low:.4g} to {high:.4g}: {accepted}")
    return array.astype(np.float32).clip(0, 1)


def shorter_side_size(size: tuple[int, int], shorter_side: int) -> tuple[int, int]:
    """The (width, height) of a picture of this (width, height) once its shorter side has been brought to a length.

    Raises:
        UserError: a length below 1, or a picture so elongated that the result would pass Pillow's pixel limit.
    """
    _require_positive(shorter_side)
    width, height = (max(1, round(side * shorter_side / min(size))) for side in size)
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise UserError(
            f"a picture of {size[0]} x {size[1]} pixels is too elongated for a shorter side of {shorter_side}: it would"
            f" become {width} x {height}; crop it, or choose a smaller size"
        )
    return width, height


def resize_shorter_side(image: Image.Image, size: int) -> Image.Image:
    """Resize (Lanczos) so that the shorter side has exactly ``size`` pixels, the proportions kept.

    Args:
        image: mode "RGB", "RGBA" or "L".
        size: pixels, at least 1.

    Returns:
        The resized picture, or ``image`` itself where nothing changes.

    Raises:
        UserError: a size below 1, or a result past Pillow's pixel limit.
    """
    return _resize(image, shorter_side_size(image.size, size))


def limit_longer_side(image: Image.Image, size: int) -> Image.Image:
    """Shrink (Lanczos) so that the longer side has at most ``size`` pixels; a smaller picture stays as it is.

    Args:
        image: mode "RGB", "RGBA" or "L".
        size: pixels, at least 1.

    Returns:
        The shrunk picture, each side at least 1 pixel, or ``image`` itself where nothing changes.

    Raises:
        UserError: a size below 1.
    """
    _require_positive(size)
    factor = min(1.0, size / max(image.size))
    return _resize(image, (max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def require_side(image: Image.Image, minimum: int, name: str) -> None:
    """Refuse a picture too small to work on.

    Args:
        image: a picture of any mode.
        minimum: pixels that the shorter side must have.
        name: what the message calls the picture: a path, or "the content picture".

    Raises:
        UserError: a side is shorter.
    """
    if min(image.size) < minimum:
        raise UserError(
            f"{name} is only {image.width} x {image.height} pixels: at least {minimum} on each side are needed;"
            " give a larger picture"
        )


def pad_to_multiple(batch: Tensor, multiple: int, border: int = 0) -> tuple[Tensor, tuple[int, int]]:
    """Extend pictures by reflection: by ``border`` on every side, then to the right and downwards until both sides are
    multiples of a number.

    The reflection does not repeat the edge pixel, and goes back and forth in pictures smaller than what is missing (as
    ``numpy.pad(mode="reflect")`` does); a side of one pixel is repeated.

    Args:
        batch: (B, C, H, W).
        multiple: at least 1.
        border: pixels, at least 0.

    Returns:
        The padded batch (``batch`` itself where nothing is missing) and the original (H, W) for :func:`crop`.
    """
    height, width = batch.shape[-2:]
    for dim, length in ((-2, height), (-1, width)):
        padded = -(-(length + 2 * border) // multiple) * multiple
        if padded > length:
            batch = batch.index_select(dim, _reflected(length, border, padded).to(batch.device))
    return batch, (height, width)


def crop(batch: Tensor, size: tuple[int, int], border: int = 0) -> Tensor:
    """Undo :func:`pad_to_multiple`: the (H, W) = ``size`` that starts ``border`` pixels in, as a view."""
    height, width = size
    return batch[..., border : border + height, border : border + width]


def _reflected(length: int, border: int, padded: int) -> Tensor:
    """Positions -border, …, 0 … length - 1, then back and forth, ``padded`` of them: 1 0 1 2 3 2 1 0 for (4, 1, 8)."""
    period = max(1, 2 * (length - 1))
    position = torch.arange(-border, padded - border) % period
    return torch.minimum(position, period - position)


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _require_positive(size: int) -> None:
    if size < 1:
        raise UserError(f"a picture cannot be resized to a side of {size} pixels: give a size of at least 1")
