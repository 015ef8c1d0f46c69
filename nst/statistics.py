"""First and second moments of features, always accumulated in float32."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-5  # under the square root, on activations whose mean is about 1


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel over positions, both ``(B, C)`` float32."""

    mean: Tensor
    std: Tensor


def positions_by_channels(features: Tensor) -> Tensor:
    """``(B, C, H, W)`` as ``(B, H·W, C)``: a view, not a copy, of a channels-last tensor."""
    return features.flatten(2).transpose(1, 2)


def feature_statistics(features: Tensor, mask: Tensor | None = None) -> Statistics:
    """Channel mean and ``sqrt(variance + ε)`` (Huang & Belongie 2017, equations 5 and 6).

    Args:
        features: ``(B, C, H, W)`` of any float type.
        mask: ``(B, 1, H, W)`` weights ≥ 0 of the positions; ``None`` weighs all alike.
    """
    values = positions_by_channels(features)
    if mask is None:
        # Sums through matrix products: several times faster than var_mean on channels-last memory.
        weights = values.new_full((1, 1, values.shape[1]), 1.0).float().expand(len(values), -1, -1)
        total = float(values.shape[1])
    else:
        weights = mask.flatten(2).float()
        total = weights.sum(dim=2).clamp_min(1e-6)
    return moments_to_statistics(*_moments(values, weights, total))


def _moments(values: Tensor, weights: Tensor, total: Tensor | float) -> tuple[Tensor, Tensor]:
    """Weighted mean and mean square of ``(B, M, C)`` values with ``(B, 1, M)`` weights; both ``(B, C)``."""
    with torch.autocast(values.device.type, enabled=False):
        values = values.float()
        mean = (weights @ values).squeeze(1) / total
        mean_square = (weights @ values.square()).squeeze(1) / total
    return mean, mean_square


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

    Left to autograd, the same takes two products in float32 and four copies of the features, a third of a training step.
    """

    @staticmethod
    def forward(context: Any, values: Tensor) -> tuple[Tensor, Tensor]:
        context.save_for_backward(values)
        with torch.autocast(values.device.type, enabled=False):
            wide = values if values.dtype == torch.float64 else values.float()
            positions = wide.shape[1]
            ones = wide.new_ones(1, 1, positions).expand(len(wide), -1, -1)
            return (ones @ wide).squeeze(1) / positions, (wide.transpose(1, 2) @ wide) / positions

    @staticmethod
    def backward(context: Any, mean_gradient: Tensor, gram_gradient: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        with torch.autocast(values.device.type, enabled=False):
            matrix = (gram_gradient + gram_gradient.transpose(1, 2)) / values.shape[1]
            bias = (mean_gradient / values.shape[1]).unsqueeze(1)
            return torch.baddbmm(bias.to(values.dtype), values, matrix.to(values.dtype))
