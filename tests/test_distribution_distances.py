"""Distances of distributions against loops over sorted lists."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nst.distribution_distances import (
    central_moment_discrepancy,
    histogram_distance,
    quantiles,
    sliced_wasserstein_distance,
)

EXACT = {"rel": 1e-10, "abs": 1e-10}


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def transport(x: list[float], y: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(sorted(x), sorted(y), strict=True))


def test_sliced_wasserstein_sorts_the_projections_on_every_direction() -> None:
    f, s, directions = features(2, 3, 7), features(2, 3, 7), features(4, 3)
    total = 0.0
    relative = 0.0
    for sample in range(2):
        distance = norm = 0.0
        for direction in directions.tolist():
            rows = [[sum(v * p for v, p in zip(direction, position, strict=True)) for position in picture[sample].T.tolist()]
                    for picture in (f, s)]  # fmt: skip
            distance += transport(*rows) / 7
            norm += sum(value**2 for value in rows[1]) / 7
        total += distance / 4 / 2
        relative += distance / norm / 2
    for reduction in ("sum", "mean"):
        assert float(sliced_wasserstein_distance(f, s, directions, reduction)) == pytest.approx(total, **EXACT)
    assert float(sliced_wasserstein_distance(f, s, directions)) == pytest.approx(relative, **EXACT)


def test_the_order_of_positions_and_their_number_do_not_matter() -> None:
    f, directions = features(1, 3, 8), features(5, 3)
    shuffled = f[:, :, torch.randperm(8)]
    assert float(sliced_wasserstein_distance(shuffled, f, directions)) == pytest.approx(0, abs=1e-20)
    assert float(histogram_distance(shuffled, f)) == pytest.approx(0, abs=1e-20)
    assert float(central_moment_discrepancy(shuffled, f)) == pytest.approx(0, abs=1e-10)
    thrice = f.repeat_interleave(3, dim=2)
    assert float(histogram_distance(thrice, f)) < 0.1 * float(histogram_distance(features(1, 3, 24), f))
    assert float(central_moment_discrepancy(thrice, f)) == pytest.approx(0, abs=1e-10)


def test_quantiles_of_another_number_are_interpolated() -> None:
    assert quantiles(torch.tensor([[3.0, 1.0, 2.0]]), 3).tolist() == [[1, 2, 3]]
    assert quantiles(torch.tensor([[0.0, 2.0, 1.0, 3.0]]), 2).tolist() == [[0.5, 2.5]]


def test_histogram_loss_is_the_way_to_features_matched_value_by_value() -> None:
    f, s = features(2, 3, 6), features(2, 3, 6)
    squares = [0.0, 0.0]
    for sample in range(2):
        for channel in range(3):
            values, wanted = f[sample, channel].tolist(), sorted(s[sample, channel].tolist())
            matched = [wanted[sorted(values).index(value)] for value in values]  # R(F): the value of the same rank
            squares[sample] += sum((a - b) ** 2 for a, b in zip(values, matched, strict=True))
    norms = s.square().sum(dim=(1, 2)).tolist()
    assert float(histogram_distance(f, s, "sum")) == pytest.approx(sum(squares) / 2, **EXACT)
    assert float(histogram_distance(f, s, "mean")) == pytest.approx(sum(squares) / 36, **EXACT)
    relative = sum(square / norm for square, norm in zip(squares, norms, strict=True)) / 2
    assert float(histogram_distance(f, s)) == pytest.approx(relative, **EXACT)


def moments(values: list[float]) -> list[float]:
    bounded = [1 / (1 + math.exp(-value)) for value in values]
    mean = sum(bounded) / len(bounded)
    return [mean] + [sum((value - mean) ** k for value in bounded) / len(bounded) for k in (2, 3, 4, 5)]


def test_central_moment_discrepancy_sums_the_norms_of_five_orders() -> None:
    f, s = features(2, 3, 7), features(2, 3, 9)
    total = 0.0
    for sample in range(2):
        rows = [[moments(channel) for channel in picture[sample].tolist()] for picture in (f, s)]
        for order in range(5):
            total += math.sqrt(sum((a[order] - b[order]) ** 2 for a, b in zip(*rows, strict=True))) / 2
    assert float(central_moment_discrepancy(f, s, "sum")) == pytest.approx(total, **EXACT)
    for reduction in ("mean", "relative"):
        assert float(central_moment_discrepancy(f, s, reduction)) == pytest.approx(total / math.sqrt(3), **EXACT)


def test_equal_distributions_have_a_gradient_of_zero_not_of_nan() -> None:
    f = features(1, 3, 7)
    x = f.clone().requires_grad_(True)
    central_moment_discrepancy(x, f).backward()
    assert x.grad is not None and torch.equal(x.grad, torch.zeros_like(x))
