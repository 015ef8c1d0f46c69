"""Distances of features, Gram matrices and statistics, as pure functions.

``reduction`` means the same everywhere:

``sum``       the published formula to the letter, for one picture; a batch is averaged
``mean``      divided by the number of elements, so that a weight carries over between resolutions
``relative``  squared distance over the squared norm of the target, so that a weight means the same at every layer
"""

from __future__ import annotations

from torch import Tensor

from nst.statistics import Statistics

REDUCTIONS = ("sum", "mean", "relative")


def squared_norm(x: Tensor) -> Tensor:
    """``‖x‖²`` of each sample of ``(B, …)``, ``(B,)``."""
    return x.square().sum(dim=tuple(range(1, x.dim())))  # flattened, channels-last features would be copied


def content_distance(features: Tensor, target: Tensor, reduction: str = "relative") -> Tensor:
    """``½ Σ_ij (F_ij − P_ij)²`` (Gatys et al. 2016, equation 1); ``mean``: over N·M; ``relative``: ``‖F − P‖² / ‖P‖²``.

    Both ``(B, C, H, W)``; returns a scalar, the mean over the batch.
    """
    distance = squared_norm(features - target)
    if reduction == "relative":
        return (distance / squared_norm(target).clamp_min(1e-12)).mean()
    divisor = features[0].numel() if reduction == "mean" else 1
    return (0.5 * distance / divisor).mean()


def gram_distance(gram: Tensor, target: Tensor, reduction: str = "relative") -> Tensor:
    """``1/(4 N² M²) Σ_ij (G_ij − A_ij)²`` (Gatys et al. 2016, equation 4); ``relative``: ``‖G − A‖² / ‖A‖²``.

    Both ``(B, N, N)`` are Gram matrices already divided by their own number of positions M, so that the two pictures may
    differ in size; with that, ``sum`` is free of the picture's size and equals ``mean``.
    """
    distance = squared_norm(gram - target)
    if reduction == "relative":
        return (distance / squared_norm(target).clamp_min(1e-12)).mean()
    return (distance / (4 * gram.shape[1] ** 2)).mean()


def balanced_gram_distance(gram: Tensor, target: Tensor) -> Tensor:
    """``‖G − A‖² / (‖G‖² + ‖A‖²)`` (Cheng et al. 2021): a layer's loss over the most it can be.

    Features after a ReLU are not negative, so nor are Gram matrices, and the value lies in [0, 1] for every style: easy
    styles weigh as much as difficult ones. Both ``(B, N, N)``; it is free of units, so there is no reduction to choose.
    """
    attainable = squared_norm(gram) + squared_norm(target)
    return (squared_norm(gram - target) / attainable.clamp_min(1e-12)).mean()


def moment_distance(statistics: Statistics, target: Statistics, reduction: str = "relative") -> Tensor:
    """``‖μ − μ_s‖² + ‖σ − σ_s‖²`` (Huang & Belongie 2017, equation 13, squared).

    ``mean``: over the N channels; ``relative``: over ``‖μ_s‖² + ‖σ_s‖²``.
    """
    distance = squared_norm(statistics.mean - target.mean) + squared_norm(statistics.std - target.std)
    if reduction == "relative":
        return (distance / (squared_norm(target.mean) + squared_norm(target.std)).clamp_min(1e-12)).mean()
    return (distance / (target.mean.shape[1] if reduction == "mean" else 1)).mean()
