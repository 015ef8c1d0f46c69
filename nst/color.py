"""Keeping the content's colours (Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from nst.errors import UserError

PRESERVE_COLOR = ("none", "luminance", "histogram")
# Rows: Y, I, Q from R, G, B (NTSC 1953), the space the paper uses.
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
SMALLEST_VARIANCE = 1e-5


def check_preserve_color(mode: str) -> None:
    """Raises UserError unless ``mode`` is one of :data:`PRESERVE_COLOR`."""
    if mode not in PRESERVE_COLOR:
        raise UserError(f"unknown preserve_color {mode!r}: choose from {', '.join(PRESERVE_COLOR)}.")


def keep_content_chroma(output: Tensor, content: Tensor) -> Tensor:
    """The output's luminance with the content's chroma ("luminance-only transfer"). Both ``(B, 3, H, W)`` RGB in [0, 1]."""
    matrix = torch.tensor(RGB_TO_YIQ, dtype=output.dtype, device=output.device)
    luminance = torch.einsum("c,bchw->bhw", matrix[0], output)
    yiq = torch.einsum("dc,bchw->bdhw", matrix, content)
    yiq = torch.cat([luminance[:, None], yiq[:, 1:]], dim=1)
    return torch.einsum("dc,bchw->bdhw", torch.linalg.inv(matrix), yiq).clamp(0, 1)


def match_colors(style: Tensor, content: Tensor) -> Tensor:
    """The style picture with the content's colour mean and covariance ("histogram matching", equations 3 to 8).

    ``x ← A x + b`` with ``A = Σ_C^½ Σ_S^-½`` (the image-analogies solution) and ``b = μ_C − A μ_S``.

    Args:
        style: ``(1, 3, H, W)`` RGB in [0, 1].
        content: ``(1, 3, H', W')``.
    """
    style_mean, style_covariance = _color_statistics(style)
    content_mean, content_covariance = _color_statistics(content)
    matrix = _matrix_power(content_covariance, 0.5) @ _matrix_power(style_covariance, -0.5)
    centred = style.flatten(2)[0].double() - style_mean
    return (matrix @ centred + content_mean).clamp(0, 1).to(style.dtype).view_as(style)


def _color_statistics(picture: Tensor) -> tuple[Tensor, Tensor]:
    pixels = picture.flatten(2)[0].double()
    mean = pixels.mean(dim=1, keepdim=True)
    centred = pixels - mean
    identity = torch.eye(3, dtype=torch.float64, device=picture.device)
    return mean, centred @ centred.T / pixels.shape[1] + SMALLEST_VARIANCE * identity


def _matrix_power(covariance: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp_min(SMALLEST_VARIANCE) ** exponent) @ vectors.T
