"""First and second moments of features, always accumulated in float32."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

SUM_VALUES = 2**15  # values converted to float32 at a time for sums: few enough for one thread, and for its cache
GRAM_VALUES, GRAM_POSITIONS = 2**17, 1024  # for a Gram matrix, and at least so many positions
NORMALIZED_CHANNELS = 1024  # that batch normalisation is given, by counting positions apart as further channels
EPSILON = 1e-5  # under the square root, on activations whose mean is about 1


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel over positions, both ``(B, C)`` float32."""

    mean: Tensor
    std: Tensor


def positions_by_channels(features: Tensor) -> Tensor:
    """``(B, C, H, W)`` as ``(B, H·W, C)``: a view, not a copy, of a channels-last tensor."""
    return features.flatten(2).transpose(1, 2)


def widest_float(device: torch.device) -> torch.dtype:
    """What sums of many parts are kept in: float64, or float32 on Apple's GPUs (MPS), which have nothing wider."""
    return torch.float32 if device.type == "mps" else torch.float64


def _chunk(values: Tensor, at_once: int) -> int:
    """How many of ``(B, M, C)`` values' positions to convert at once: on a processor as make so many values, else all."""
    return max(1, at_once // values[:, 0].numel()) if values.device.type == "cpu" else values.shape[1]


class Sums(NamedTuple):
    """Weighted sums over positions, from which statistics follow; the sums of parts of a picture add up.

    In :func:`widest_float`: a variance may be a small difference of two of them.
    """

    values: Tensor  # (B, C)
    squares: Tensor  # (B, C)
    weight: Tensor  # (B, 1)

    def plus(self, other: Sums) -> Sums:
        return Sums(self.values + other.values, self.squares + other.squares, self.weight + other.weight)

    def statistics(self) -> Statistics:
        weight = self.weight.clamp_min(1e-6)
        mean, std = moments_to_statistics(self.values / weight, self.squares / weight)
        return Statistics(mean.float(), std.float())


def feature_sums(features: Tensor, mask: Tensor | None = None) -> Sums:
    """Sums of ``(B, C, H, W)`` features over positions weighted by ``mask``; see :func:`feature_statistics`."""
    with torch.autocast(features.device.type, enabled=False):
        if mask is not None:
            sums = _weighted_sums(features, mask)
        elif features.device.type != "cpu":
            sums = _reduced_sums(features)
        elif torch.compiler.is_exporting() or features.requires_grad or features[0, 0].numel() == 1:
            sums = _weighted_sums(features, torch.ones_like(features[:, :1]))
        else:
            sums = _normalization_sums(features)
    return Sums(*(one.to(widest_float(features.device)) for one in sums))


def _reduced_sums(features: Tensor) -> Sums:
    """By reductions that widen as they read, without a copy."""
    values = positions_by_channels(features)
    squares = torch.linalg.vector_norm(values, dim=1, dtype=torch.float32).square()
    weight = torch.full_like(squares[:, :1], values.shape[1])
    return Sums(values.sum(dim=1, dtype=torch.float32), squares, weight)


def _normalization_sums(features: Tensor) -> Sums:
    """From the statistics that batch normalisation takes: on a processor several times as fast as other sums.

    They are those of two passes, so that a mean far above the deviation costs no digits. Neighbouring positions are given
    to it as channels of their own: fewer values are added up in float32, and three colours fill its vectors too. They have
    no gradient.
    """
    values = positions_by_channels(features)
    batch, count, channels = values.shape
    together = min(max(1, NORMALIZED_CHANNELS // channels), count // 2)
    rows = count // together
    even, rest = values[:, : rows * together].reshape(batch, rows, 1, -1), values[:, rows * together :].double()
    dtype = torch.promote_types(features.dtype, torch.float32)
    mean, variance = (torch.zeros(batch, together * channels, dtype=dtype) for _ in range(2))
    for sample in range(batch):
        part = even[sample, None].permute(0, 3, 1, 2)
        torch.batch_norm_update_stats(part, mean[sample], variance[sample], momentum=1.0)
    mean, variance = mean.double(), variance.double() * ((rows - 1) / rows)  # it estimates a population's variance
    total = (mean * rows).unflatten(1, (together, channels)).sum(dim=1) + rest.sum(dim=1)
    squares = ((variance + mean.square()) * rows).unflatten(1, (together, channels)).sum(dim=1)
    return Sums(total, squares + rest.square().sum(dim=1), torch.full_like(total[:, :1], count))


def _weighted_sums(features: Tensor, mask: Tensor) -> Sums:
    """As matrix products, a few positions at a time: the float32 copies stay in the processor's cache."""
    values = positions_by_channels(features)
    weights = mask.flatten(2).transpose(1, 2).float().expand(len(values), -1, 1).transpose(1, 2)
    total, squares = (torch.zeros(len(values), 1, values.shape[2], device=values.device) for _ in range(2))
    parts = [(values, weights)]
    if not torch.compiler.is_exporting():  # a graph has no loop over a size that it does not know
        chunk = _chunk(values, SUM_VALUES)
        parts = list(zip(values.split(chunk, dim=1), weights.split(chunk, dim=2), strict=True))
    for part, weight in parts:
        wide = part.float()
        total.baddbmm_(weight, wide)
        squares.baddbmm_(weight, wide.square())
    return Sums(total.squeeze(1), squares.squeeze(1), weights.sum(dim=2))


def feature_statistics(features: Tensor, mask: Tensor | None = None) -> Statistics:
    """Channel mean and ``sqrt(variance + ε)`` (Huang & Belongie 2017, equations 5 and 6).

    Args:
        features: ``(B, C, H, W)`` of any float type.
        mask: ``(B, 1, H, W)`` weights ≥ 0 of the positions; ``None`` weighs all alike.
    """
    return feature_sums(features, mask).statistics()


def moments_to_statistics(mean: Tensor, mean_square: Tensor) -> Statistics:
    """Statistics from the mean and the mean square of a channel."""
    return Statistics(mean, (mean_square - mean.square()).clamp_min(0).add(EPSILON).sqrt())


def gram_matrix(features: Tensor) -> Tensor:
    """``G = F Fᵀ``, F being channels × positions (Gatys et al. 2016, equation 3), in float32 (float64 of float64).

    ``(B, C, H, W)`` → ``(B, C, C)``. Divide by the number of positions for a size-free matrix.
    """
    return mean_and_gram(features)[1] * features[0, 0].numel()


def mean_and_gram(features: Tensor) -> tuple[Tensor, Tensor]:
    """Channel means ``(B, C)`` and Gram matrices over the number of positions ``(B, C, C)``, in at least float32."""
    mean, gram = _MeanAndGram.apply(positions_by_channels(features))
    return mean, gram


class _MeanAndGram(torch.autograd.Function):
    """Both sums with the gradient ``dV = V (dG + dGᵀ)/M + dμ/M`` as one matrix product in the features' own type.

    Left to autograd, the same takes two products in float32 and four copies of the features.
    """

    @staticmethod
    def forward(context: Any, values: Tensor) -> tuple[Tensor, Tensor]:
        context.save_for_backward(values)
        batch, positions, channels = values.shape
        chunk = _chunk(values, max(GRAM_VALUES, batch * GRAM_POSITIONS * channels))
        dtype = torch.promote_types(values.dtype, torch.float32)
        mean = torch.zeros(batch, channels, dtype=dtype, device=values.device)
        gram = torch.zeros(batch, channels, channels, dtype=dtype, device=values.device)
        with torch.autocast(values.device.type, enabled=False):
            for part in values.split(chunk, dim=1):
                wide = part.to(dtype)
                mean += wide.sum(dim=1)
                gram.baddbmm_(wide.transpose(1, 2), wide)
        return mean / positions, gram / positions

    @staticmethod
    def backward(context: Any, mean_gradient: Tensor, gram_gradient: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        with torch.autocast(values.device.type, enabled=False):
            matrix = (gram_gradient + gram_gradient.transpose(1, 2)) / values.shape[1]
            bias = (mean_gradient / values.shape[1]).unsqueeze(1)
            return torch.baddbmm(bias.to(values.dtype), values, matrix.to(values.dtype))
