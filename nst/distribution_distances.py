"""Distances between the distributions of two pictures' features, as pure functions.

Features are ``(B, N, M)``: N channels at M positions, whose order says nothing; the target may have another number of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CENTRAL_MOMENTS = 5  # orders, as Kalischek et al. 2021 take them
SMALLEST_NORM = 1e-12


def quantiles(values: Tensor, count: int) -> Tensor:
    """Each row's values in order, ``(…, M)`` → ``(…, count)``; between two of them it is interpolated linearly."""
    ordered = values.sort(dim=-1).values
    if values.shape[-1] == count:
        return ordered
    rows = ordered.flatten(0, -2).unsqueeze(1)
    return F.interpolate(rows, size=count, mode="linear").view(*values.shape[:-1], count)


def _per_channel_transport(values: Tensor, target: Tensor, reduction: str) -> Tensor:
    """``Σ (sort(x) − sort(y))²`` over rows and positions, the squared Wasserstein distance of every row; the batch's mean."""
    wanted = quantiles(target, values.shape[-1])
    distance = (values.sort(dim=-1).values - wanted).square().sum(dim=(1, 2))
    if reduction == "relative":
        return (distance / wanted.square().sum(dim=(1, 2)).clamp_min(SMALLEST_NORM)).mean()
    return (distance / (1 if reduction == "sum" else values[0].numel())).mean()


def sliced_wasserstein_distance(
    features: Tensor, target: Tensor, directions: Tensor, reduction: str = "relative"
) -> Tensor:
    """``E_V [1/M ‖sort(Vᵀ F) − sort(Vᵀ S)‖²]`` over directions V (Heitz et al. 2021).

    Args:
        features, target: ``(B, N, M)`` and ``(B, N, M')``.
        directions: ``(B, K, N)`` or ``(K, N)`` unit vectors.
        reduction: ``sum`` and ``mean`` are the formula; ``relative`` divides by the target's mean square.
    """
    projected, wanted = directions @ features, directions @ target
    return _per_channel_transport(projected, wanted, "relative" if reduction == "relative" else "mean")


def histogram_distance(features: Tensor, target: Tensor, reduction: str = "relative") -> Tensor:
    """``‖F − R(F)‖²``, R being F with each channel's histogram matched to the target's (Risser et al. 2017).

    Matching is exact, value by value in their order, instead of through bins. ``mean``: over N·M; ``relative``: over ``‖R(F)‖²``.
    """
    return _per_channel_transport(features, target, reduction)


def central_moments(features: Tensor, order: int = CENTRAL_MOMENTS) -> list[Tensor]:
    """Mean and central moments 2 … ``order`` of each channel, ``(B, N)`` each."""
    mean = features.mean(dim=2)
    centred = features - mean.unsqueeze(2)
    moments, power = [mean], centred
    for _ in range(2, order + 1):
        power = power * centred
        moments.append(power.mean(dim=2))
    return moments


def central_moment_discrepancy(features: Tensor, target: Tensor, reduction: str = "relative") -> Tensor:
    """``Σ_k ‖c_k(F) − c_k(S)‖``, k = 1 … 5, c_1 the mean (Kalischek et al. 2021).

    A sigmoid brings features to [0, 1], as there: made for activations with mean 1. Norms, not squares: a distance of
    distributions. ``mean`` and ``relative`` divide each norm by √N.
    """
    channels = features.shape[1]
    total = features.new_zeros(len(features))
    for moment, wanted in zip(central_moments(features.sigmoid()), central_moments(target.sigmoid()), strict=True):
        total = total + torch.linalg.vector_norm(moment - wanted, dim=1)
    return (total / (1 if reduction == "sum" else channels**0.5)).mean()
