"""Penalties on weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nst.weight_penalties import spectral_norm, spectral_penalty


def test_the_spectral_norm_is_the_largest_singular_value() -> None:
    for shape in ((5, 3), (3, 20), (16, 16)):
        matrix = torch.randn(shape, dtype=torch.float64)
        largest = float(torch.linalg.svdvals(matrix)[0])
        assert float(spectral_norm(matrix, iterations=500)) == pytest.approx(largest, rel=1e-6)
        assert 0.8 * largest < float(spectral_norm(matrix)) <= largest * (1 + 1e-9)


def test_the_penalty_is_half_the_sum_of_squared_norms_of_weights_without_biases() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.zeros_like(parameter))
        network[0].weight[1, 2, 0, 1] = 3  # type: ignore[index,union-attr]
        network[1].weight[0, 3] = 4  # type: ignore[index,union-attr]
        network[1].bias += 100  # type: ignore[operator,union-attr]
    assert float(spectral_penalty(network.parameters())) == pytest.approx(0.5 * (9 + 16))


def test_its_gradient_shrinks_the_largest_direction_alone() -> None:
    weight = torch.diag(torch.tensor([3.0, 1.0, 0.5], dtype=torch.float64)).requires_grad_(True)
    spectral_penalty([weight]).backward()
    assert weight.grad is not None
    expected = torch.diag(torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64))
    assert torch.allclose(weight.grad, expected, atol=0.05)
