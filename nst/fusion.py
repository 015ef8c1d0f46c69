"""Adaptive instance normalisation and its multi-scale fusion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nst.errors import UserError
from nst.pointwise import pointwise_map
from nst.statistics import Statistics
from nst.style_code import StyleCode

Alpha = float | Sequence[float] | Tensor


def adaptive_instance_norm(content: Tensor, style: Statistics, content_statistics: Statistics) -> Tensor:
    """``AdaIN(x, y) = σ(y) · (x − μ(x)) / σ(x) + μ(y)`` (Huang & Belongie 2017, equation 8).

    Args:
        content: ``(B, C, H, W)`` features.
        style: statistics of the style's features, ``(B, C)`` or ``(1, C)``.
        content_statistics: statistics of ``content``, or of the whole picture that ``content`` is a part of.
    """
    scale, shift = adain_affine(style, content_statistics)
    return (content.float() * scale[..., None, None] + shift[..., None, None]).to(content.dtype)


def adain_affine(style: Statistics, content: Statistics) -> tuple[Tensor, Tensor]:
    """AdaIN as ``scale · x + shift``, both ``(B, C)``."""
    scale = style.std / content.std
    return scale, style.mean - scale * content.mean


def alpha_per_level(alpha: Alpha, levels: int) -> list[float | Tensor]:
    """One degree of stylization a level, from one for all, one each, or a ``(B,)`` tensor (one a sample).

    Raises:
        UserError: a value outside [0, 1], or a sequence of another length than ``levels``.
    """
    if isinstance(alpha, Tensor):
        # (A graph that is being exported has no values to look at yet.)
        if not torch.compiler.is_exporting() and not bool(((alpha >= 0) & (alpha <= 1)).all()):
            raise UserError(f"alpha must lie between 0 (content) and 1 (style): found {alpha.tolist()}.")
        return [alpha.view(-1, 1)] * levels
    try:
        several = isinstance(alpha, Iterable) and getattr(alpha, "ndim", 1) > 0  # NumPy's numbers can be iterable, too
        alphas = [float(a) for a in alpha] if several else [float(alpha)] * levels  # type: ignore[union-attr,arg-type]
    except (TypeError, ValueError):
        raise UserError(f"alpha must be a number, or one a fusion level: found {alpha!r}.") from None
    if len(alphas) != levels:
        raise UserError(
            f"alpha needs one value or {levels} (one a fusion level, shallow to deep): found {len(alphas)}."
        )
    if not all(0 <= a <= 1 for a in alphas):
        raise UserError(f"alpha must lie between 0 (content) and 1 (style): found {alpha}.")
    return list(alphas)


class MultiScaleFusion(nn.Module):
    """AdaIN at each chosen layer, blended with the content by alpha and projected to the decoder's width.

    AdaIN, the blend and the 1×1 projection are all affine in the features, so they are applied as one matrix a sample:
    ``P (α·AdaIN(x) + (1 − α)·x − c) + b = (P diag(s)) x + (P (t − c) + b)`` with ``s = α·scale + 1 − α``, ``t = α·shift``.
    One pass over the features instead of four, and the statistics stay in float32.

    Args:
        layers: content layers that are fused, shallow to deep; one layer is plain AdaIN.
        in_channels: channels of each layer.
        strides: stride of each layer; layers of one stride are summed.
        widths: stride → decoder width at that resolution.
        center: usual mean of the features, 1 for normalised activations; it is subtracted before the projection. Hundreds of
            inputs that are all positive would let one step of Adam move an output so far that a ReLU behind it dies.
    """

    def __init__(
        self,
        layers: Sequence[str],
        in_channels: Sequence[int],
        strides: Sequence[int],
        widths: Mapping[int, int],
        center: float = 0.0,
    ) -> None:
        super().__init__()
        self.center = center
        self.layers = tuple(layers)
        self.strides = tuple(strides)
        self.projections = nn.ModuleList(
            nn.Linear(channels, widths[stride]) for channels, stride in zip(in_channels, strides, strict=True)
        )

    def forward(
        self,
        features: Sequence[Tensor],
        content_statistics: Sequence[Statistics],
        style: StyleCode,
        alpha: Alpha = 1.0,
    ) -> dict[int, Tensor]:
        """Fused features by stride, ``(B, width, H/stride, W/stride)`` each.

        Args:
            features: content features, one ``(B, C_l, H_l, W_l)`` a layer.
            content_statistics: their statistics, one a layer, ``(B, C_l)`` or ``(1, C_l)``.
            style: code of B styles or of one.
            alpha: see :func:`alpha_per_level`.
        """
        alphas = alpha_per_level(alpha, len(self.layers))
        fused: dict[int, Tensor] = {}
        for index, layer in enumerate(self.layers):
            scale, shift = adain_affine(style[layer], content_statistics[index])
            scale, shift = alphas[index] * scale + (1 - alphas[index]), alphas[index] * shift
            level = self._project(index, features[index], scale, shift)
            stride = self.strides[index]
            fused[stride] = fused[stride] + level if stride in fused else level
        return fused

    def _project(self, index: int, features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        projection = self.projections[index]
        assert isinstance(projection, nn.Linear)
        with torch.autocast(features.device.type, enabled=False):  # the affine map itself is made in float32
            matrix = projection.weight * scale.unsqueeze(1)
            bias = (shift - self.center) @ projection.weight.T + projection.bias
        return pointwise_map(features, matrix.to(features.dtype), bias.to(features.dtype))
