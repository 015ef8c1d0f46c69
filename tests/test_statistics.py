"""Means, deviations and Gram matrices of features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nst.statistics import (
    EPSILON,
    feature_statistics,
    feature_sums,
    gram_matrix,
    mean_and_gram,
    moments_to_statistics,
)


def test_statistics_are_the_mean_and_the_root_of_the_variance_plus_epsilon() -> None:
    features = torch.randn(2, 5, 6, 7) * 3 + 1
    found = feature_statistics(features)
    values = features.double().numpy().reshape(2, 5, -1)
    np.testing.assert_allclose(found.mean, values.mean(axis=2), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.std, np.sqrt(values.var(axis=2) + 1e-5), rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 64, 1500])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (3, 1), (7, 9), (33, 31)])
def test_statistics_of_any_number_of_channels_and_positions(channels: int, height: int, width: int) -> None:
    features = torch.randn(2, channels, height, width).contiguous(memory_format=torch.channels_last) + 3
    found, values = feature_statistics(features), features.double().numpy().reshape(2, channels, -1)
    np.testing.assert_allclose(found.mean, values.mean(axis=2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.std.square(), values.var(axis=2) + EPSILON, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mean_far_above_the_deviation_costs_no_digits(dtype: torch.dtype) -> None:
    features = (torch.randn(1, 8, 128, 130) + 200).to(dtype)
    found, values = feature_statistics(features), features.double().numpy().reshape(8, -1)
    np.testing.assert_allclose(found.mean[0], values.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.std[0], np.sqrt(values.var(axis=1) + EPSILON), rtol=1e-5)


def test_statistics_with_a_gradient_equal_those_without() -> None:
    features = torch.randn(2, 5, 6, 7)
    leaf = features.clone().requires_grad_()
    without, found = feature_statistics(features), feature_statistics(leaf)
    assert torch.allclose(found.mean, without.mean, atol=1e-6) and torch.allclose(found.std, without.std, atol=1e-5)
    found.std.sum().backward()
    assert leaf.grad is not None and leaf.grad.abs().sum() > 0


def test_statistics_do_not_depend_on_the_memory_layout() -> None:
    features = torch.randn(2, 5, 6, 7)
    a, b = feature_statistics(features), feature_statistics(features.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(a.mean, b.mean, atol=1e-6)
    assert torch.allclose(a.std, b.std, atol=1e-6)


def test_a_mask_of_ones_equals_no_mask() -> None:
    features = torch.randn(2, 5, 6, 7)
    masked, unmasked = feature_statistics(features, torch.ones(2, 1, 6, 7)), feature_statistics(features)
    assert torch.allclose(masked.mean, unmasked.mean, atol=1e-6)
    assert torch.allclose(masked.std, unmasked.std, atol=1e-6)


def test_a_mask_of_one_half_gives_the_statistics_of_that_half() -> None:
    features, mask = torch.randn(2, 5, 6, 8), torch.zeros(2, 1, 6, 8)
    mask[..., :4] = 1
    masked, half = feature_statistics(features, mask), feature_statistics(features[..., :4])
    assert torch.allclose(masked.mean, half.mean, atol=1e-6)
    assert torch.allclose(masked.std, half.std, atol=1e-5)


def test_a_soft_mask_weighs_positions() -> None:
    features, mask = torch.randn(1, 3, 4, 5), torch.rand(1, 1, 4, 5)
    found = feature_statistics(features, mask)
    values, weights = features.double().numpy().reshape(3, -1), mask.double().numpy().reshape(-1)
    mean = np.average(values, axis=1, weights=weights)
    variance = np.average((values - mean[:, None]) ** 2, axis=1, weights=weights)
    np.testing.assert_allclose(found.mean[0], mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.std[0], np.sqrt(variance + 1e-5), rtol=1e-4)


def test_the_sums_of_the_parts_of_a_picture_add_up_to_its_statistics() -> None:
    features, mask = torch.randn(2, 5, 6, 8), torch.rand(2, 1, 6, 8)
    left = feature_sums(features[..., :3], mask[..., :3])
    right = feature_sums(features[..., 3:], mask[..., 3:])
    found, expected = left.plus(right).statistics(), feature_statistics(features, mask)
    assert torch.allclose(found.mean, expected.mean, atol=1e-6)
    assert torch.allclose(found.std, expected.std, atol=1e-5)


def test_an_empty_mask_gives_finite_statistics() -> None:
    found = feature_statistics(torch.randn(1, 3, 4, 5), torch.zeros(1, 1, 4, 5))
    assert torch.isfinite(found.mean).all() and torch.isfinite(found.std).all()


def test_a_constant_channel_has_the_smallest_deviation_and_a_finite_gradient() -> None:
    features = torch.full((1, 2, 4, 4), 3.0, requires_grad=True)
    found = feature_statistics(features)
    assert torch.allclose(found.std, torch.full((1, 2), EPSILON**0.5), rtol=0.2)
    found.std.sum().backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()


def test_bfloat16_features_are_summed_in_float32_also_under_autocast() -> None:
    features = (torch.rand(1, 4, 64, 64) + 1).bfloat16()
    values = features.double().numpy().reshape(4, -1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, (mean, gram) = feature_statistics(features), mean_and_gram(features)
    assert found.mean.dtype == mean.dtype == gram.dtype == torch.float32
    np.testing.assert_allclose(found.mean[0], values.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.std[0], np.sqrt(values.var(axis=1) + 1e-5), rtol=1e-3)
    np.testing.assert_allclose(mean[0], values.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(gram[0], values @ values.T / values.shape[1], rtol=1e-5)


def test_the_gram_matrix_is_the_sum_of_products_over_positions() -> None:
    features = torch.randn(2, 3, 2, 4, dtype=torch.float64)
    gram = gram_matrix(features)
    assert gram.dtype == torch.float64
    for sample in range(2):
        for i in range(3):
            for j in range(3):
                expected = sum(
                    float(features[sample, i, row, column] * features[sample, j, row, column])
                    for row in range(2)
                    for column in range(4)
                )
                assert float(gram[sample, i, j]) == pytest.approx(expected, abs=1e-12)


def test_the_gradient_of_mean_and_gram_is_that_of_finite_differences() -> None:
    features = torch.randn(2, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mean_and_gram, features)
    assert torch.autograd.gradcheck(lambda x: mean_and_gram(x)[0], features)
    assert torch.autograd.gradcheck(lambda x: mean_and_gram(x)[1], features)


def test_mean_and_gram_agrees_with_plain_autograd() -> None:
    features = torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    matrix = features.flatten(2)
    expected = matrix.mean(dim=2), matrix @ matrix.transpose(1, 2) / 15
    found = mean_and_gram(features)
    cotangents = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 4, 4, dtype=torch.float64)
    (expected_gradient,) = torch.autograd.grad(expected, features, cotangents)
    (found_gradient,) = torch.autograd.grad(found, features, cotangents)
    for a, b in zip((*expected, expected_gradient), (*found, found_gradient), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_the_gradient_of_bfloat16_features_is_right_to_their_precision() -> None:
    features = torch.rand(1, 4, 8, 8).bfloat16().requires_grad_()
    wide = features.detach().float().requires_grad_()
    for values in (features, wide):
        mean, gram = mean_and_gram(values)
        (gram.square().sum() + mean.square().sum()).backward()
    assert features.grad is not None and wide.grad is not None
    assert features.grad.dtype == torch.bfloat16
    assert torch.allclose(features.grad.float(), wide.grad, rtol=0.02)


def test_the_diagonal_of_the_gram_matrix_is_the_mean_square() -> None:
    features = torch.randn(2, 5, 6, 7)
    mean, gram = mean_and_gram(features)
    found, expected = moments_to_statistics(mean, gram.diagonal(dim1=1, dim2=2)), feature_statistics(features)
    assert torch.allclose(found.mean, expected.mean, atol=1e-6)
    assert torch.allclose(found.std, expected.std, atol=1e-5)
