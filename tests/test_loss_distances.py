"""Distances of features against the formulas, written as loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nst.loss_distances import balanced_gram_distance, content_distance, gram_distance, moment_distance
from nst.statistics import Statistics, mean_and_gram

EXACT = {"rel": 1e-10, "abs": 1e-10}


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def gram(x: Tensor) -> np.ndarray:
    """``F Fᵀ`` of one ``(C, H, W)`` map by the double sum."""
    matrix = x.reshape(len(x), -1).tolist()
    return np.array([[sum(a * b for a, b in zip(row, other, strict=True)) for other in matrix] for row in matrix])


def test_content_sum_is_half_the_squared_differences() -> None:
    f, p = features(2, 3, 2, 4), features(2, 3, 2, 4)
    total = 0.0
    for sample in range(2):
        for i in range(3):
            for j in range(8):
                total += 0.5 * float(f[sample, i].flatten()[j] - p[sample, i].flatten()[j]) ** 2
    assert float(content_distance(f, p, "sum")) == pytest.approx(total / 2, **EXACT)


def test_content_mean_and_relative_are_few_lines_of_numpy() -> None:
    f, p = features(2, 3, 2, 4), features(2, 3, 2, 4)
    difference, target = (f - p).numpy().reshape(2, -1), p.numpy().reshape(2, -1)
    squares = (difference**2).sum(axis=1)
    assert float(content_distance(f, p, "mean")) == pytest.approx(np.mean(0.5 * squares / 24), **EXACT)
    assert float(content_distance(f, p)) == pytest.approx(np.mean(squares / (target**2).sum(axis=1)), **EXACT)


def test_style_sum_is_the_formula_of_gatys_to_the_letter() -> None:
    f, a = features(2, 3, 2, 4), features(2, 3, 2, 4)
    channels, positions, total = 3, 8, 0.0
    for sample in range(2):
        g, target = gram(f[sample]), gram(a[sample])
        for i in range(channels):
            for j in range(channels):
                total += (g[i, j] - target[i, j]) ** 2 / (4 * channels**2 * positions**2)
    assert float(gram_distance(mean_and_gram(f)[1], mean_and_gram(a)[1], "sum")) == pytest.approx(total / 2, **EXACT)


def test_a_style_of_another_size_is_compared_by_its_own_number_of_positions() -> None:
    f, a = features(1, 3, 2, 4), features(1, 3, 5, 6)
    g, target = gram(f[0]) / 8, gram(a[0]) / 30
    found = gram_distance(mean_and_gram(f)[1], mean_and_gram(a)[1], "sum")
    assert float(found) == pytest.approx(((g - target) ** 2).sum() / (4 * 9), **EXACT)
    doubled = mean_and_gram(torch.cat([a, a], dim=3))[1]
    assert float(gram_distance(doubled, mean_and_gram(a)[1])) == pytest.approx(0, abs=1e-12)


def test_style_mean_and_relative_are_few_lines_of_numpy() -> None:
    f, a = mean_and_gram(features(2, 3, 2, 4))[1], mean_and_gram(features(2, 3, 2, 4))[1]
    squares, target = ((f - a) ** 2).numpy().reshape(2, -1).sum(axis=1), (a**2).numpy().reshape(2, -1).sum(axis=1)
    assert float(gram_distance(f, a, "mean")) == pytest.approx(np.mean(squares / 36), **EXACT)
    assert float(gram_distance(f, a)) == pytest.approx(np.mean(squares / target), **EXACT)


def test_moment_distance_compares_means_and_deviations() -> None:
    statistics, target = (Statistics(features(2, 5), features(2, 5).abs()) for _ in "ab")
    squares = ((statistics.mean - target.mean) ** 2 + (statistics.std - target.std) ** 2).numpy().sum(axis=1)
    norm = (target.mean**2 + target.std**2).numpy().sum(axis=1)
    assert float(moment_distance(statistics, target, "sum")) == pytest.approx(squares.mean(), **EXACT)
    assert float(moment_distance(statistics, target, "mean")) == pytest.approx((squares / 5).mean(), **EXACT)
    assert float(moment_distance(statistics, target)) == pytest.approx((squares / norm).mean(), **EXACT)


@pytest.mark.parametrize("reduction", ["sum", "mean", "relative"])
def test_a_picture_is_at_distance_zero_from_itself(reduction: str) -> None:
    f = features(2, 3, 4, 4)
    g = mean_and_gram(f)[1]
    assert float(content_distance(f, f, reduction)) == float(gram_distance(g, g, reduction)) == 0


def test_a_target_of_zeros_gives_a_finite_relative_distance() -> None:
    f = features(1, 3, 4, 4)
    assert torch.isfinite(content_distance(f, torch.zeros_like(f)))


def test_the_balanced_loss_is_the_distance_over_the_most_it_can_be() -> None:
    f, a = features(2, 3, 2, 4).abs(), features(2, 3, 5, 2).abs()
    expected = 0.0
    for sample in range(2):
        g, target = gram(f[sample]) / 8, gram(a[sample]) / 10
        expected += ((g - target) ** 2).sum() / ((g**2).sum() + (target**2).sum()) / 2
    assert float(balanced_gram_distance(mean_and_gram(f)[1], mean_and_gram(a)[1])) == pytest.approx(expected, **EXACT)


def test_the_balanced_loss_is_one_for_features_that_share_nothing() -> None:
    f, a = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    f[:, 0], a[:, 1] = 3, 500
    assert float(balanced_gram_distance(mean_and_gram(f)[1], mean_and_gram(a)[1])) == pytest.approx(1)
