"""Penalties on a network's weights, beside the optimiser's weight decay."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

POWER_ITERATIONS = 5


def spectral_norm(matrix: Tensor, iterations: int = POWER_ITERATIONS) -> Tensor:
    """Largest singular value of ``(M, N)``, by the power method; never above the true one.

    It starts from the same vector every time, so that a resumed run goes on exactly; the vectors carry no gradient, which
    leaves that of the singular value, ``u vᵀ``.
    """
    with torch.no_grad():
        right = torch.ones(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
        right = right + torch.linspace(0, 1, matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
        left = F.normalize(matrix @ right, dim=0)
        for _ in range(iterations):
            right = F.normalize(matrix.T @ left, dim=0)
            left = F.normalize(matrix @ right, dim=0)
    return left @ matrix @ right


def spectral_penalty(parameters: Iterable[Tensor]) -> Tensor:
    """``½ Σ_l σ(W_l)²`` over weights of two dimensions and more (Yoshida & Miyato 2017).

    A convolution's ``(out, in, h, w)`` counts as the ``out × in·h·w`` matrix; biases are left alone.
    """
    total = torch.zeros(())
    for parameter in parameters:
        if parameter.ndim >= 2:
            with torch.autocast(parameter.device.type, enabled=False):
                total = total.to(parameter.device) + 0.5 * spectral_norm(parameter.flatten(1)).square()
    return total
