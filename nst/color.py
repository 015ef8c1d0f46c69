"""Keeping the content's colours (Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from nst.errors import UserError
from nst.pictures import as_float, as_given
from nst.statistics import widest_float

PRESERVE_COLOR = ("none", "luminance", "histogram")
# Rows: Y, I, Q from R, G, B (NTSC 1953), the space the paper uses.
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
SMALLEST_VARIANCE = 1e-5
ROWS = 512  # rows of a picture converted at a time, which bounds memory
ENOUGH_PIXELS = 1_000_000


def check_preserve_color(mode: str) -> None:
    """Raises UserError unless ``mode`` is one of :data:`PRESERVE_COLOR`."""
    if mode not in PRESERVE_COLOR:
        raise UserError(f"unknown preserve_color {mode!r}: choose from {', '.join(PRESERVE_COLOR)}.")


def keep_content_chroma(output: Tensor, content: Tensor) -> Tensor:
    """The output's luminance with the content's chroma ("luminance-only transfer").

    Both ``(B, 3, H, W)`` RGB of one type, uint8 or float in [0, 1]; returns the same.
    """
    rows = [_chroma_of(*pair) for pair in zip(output.split(ROWS, dim=2), content.split(ROWS, dim=2), strict=True)]
    return torch.cat(rows, dim=2)


def _chroma_of(output: Tensor, content: Tensor) -> Tensor:
    matrix = torch.tensor(RGB_TO_YIQ, device=output.device)
    luminance = torch.einsum("c,bchw->bhw", matrix[0], as_float(output))
    yiq = torch.einsum("dc,bchw->bdhw", matrix, as_float(content))
    yiq = torch.cat([luminance[:, None], yiq[:, 1:]], dim=1)
    return as_given(torch.einsum("dc,bchw->bdhw", torch.linalg.inv(matrix), yiq), output)


def match_colors(style: Tensor, content: Tensor) -> Tensor:
    """The style picture with the content's colour mean and covariance ("histogram matching", equations 3 to 8).

    ``x ← A x + b`` with ``A = Σ_C^½ Σ_S^-½`` (the image-analogies solution) and ``b = μ_C − A μ_S``.

    Args:
        style: ``(B, 3, H, W)`` RGB, float in [0, 1].
        content: ``(1, 3, H', W')``, float or uint8, on any device; of a large one, a grid of its pixels is enough.
    """
    if len(style) > 1:
        return torch.cat([match_colors(one, content) for one in style.split(1)])
    style_mean, style_covariance = _color_statistics(style)
    step = max(round((content.shape[2] * content.shape[3] / ENOUGH_PIXELS) ** 0.5), 1)
    content_mean, content_covariance = _color_statistics(as_float(content[:, :, ::step, ::step]).to(style.device))
    matrix = _matrix_power(content_covariance, 0.5) @ _matrix_power(style_covariance, -0.5)
    centred = style.flatten(2)[0].to(style_mean) - style_mean
    return (matrix @ centred + content_mean).clamp(0, 1).to(style.dtype).view_as(style)


def _color_statistics(picture: Tensor) -> tuple[Tensor, Tensor]:
    pixels = picture.flatten(2)[0].to(widest_float(picture.device))
    mean = pixels.mean(dim=1, keepdim=True)
    centred = pixels - mean
    identity = torch.eye(3, dtype=pixels.dtype, device=picture.device)
    return mean, centred @ centred.T / pixels.shape[1] + SMALLEST_VARIANCE * identity


def _matrix_power(covariance: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp_min(SMALLEST_VARIANCE) ** exponent) @ vectors.T
