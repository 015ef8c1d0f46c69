"""Smoothness, edges and spectrum against loops."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nst.picture_distances import (
    flat_variance,
    laplacian_distance,
    radial_spectrum,
    spectrum_distance,
    total_variation,
)

EXACT = {"rel": 1e-10, "abs": 1e-10}


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_total_variation_sum_is_the_double_loop_over_pixels() -> None:
    picture = features(2, 3, 4, 5)
    total = 0.0
    for image in picture:
        for channel in image.tolist():
            for i in range(4):
                for j in range(5):
                    total += (channel[i + 1][j] - channel[i][j]) ** 2 if i + 1 < 4 else 0
                    total += (channel[i][j + 1] - channel[i][j]) ** 2 if j + 1 < 5 else 0
    assert float(total_variation(picture, "sum")) == pytest.approx(total / 2, **EXACT)
    for reduction in ("mean", "relative"):
        assert float(total_variation(picture, reduction)) == pytest.approx(total / 2 / 60, **EXACT)


@pytest.mark.parametrize("side", [24, 9])
def test_flat_variance_is_that_of_windows_weighed_by_the_contents_own(side: int) -> None:
    pictures, content = torch.rand(2, 3, side, 32, dtype=torch.float64), 0.5 + 0.02 * features(2, 3, side, 32)
    window = min(side, 16)
    values = []
    for picture, original in zip(pictures.numpy(), content.numpy(), strict=True):
        for top in range(0, side - window + 1, window // 2):
            for left in range(0, 32 - window + 1, window // 2):
                place = (slice(None), slice(top, top + window), slice(left, left + window))
                found, own = (one[place].reshape(3, -1).var(axis=1).mean() for one in (picture, original))
                values.append(math.exp(-own / 0.0004) * found / 0.0004)
    assert float(flat_variance(pictures, content)) == pytest.approx(np.mean(values), **EXACT)


def test_flat_variance_is_of_flat_places_alone() -> None:
    content = torch.zeros(1, 3, 32, 32)
    content[..., 16:] = torch.rand(16, 16).repeat(2, 1)  # the left half is flat
    left, right = content.clone(), content.clone()
    left[..., 4:6], right[..., 26:28] = 0.5, 0.5
    assert float(flat_variance(content, content)) == pytest.approx(0, abs=1e-6)
    assert float(flat_variance(right, content)) == pytest.approx(0, abs=1e-6)
    assert float(flat_variance(left, content)) > 1


def edges(picture: np.ndarray, pooling: int) -> np.ndarray:
    """The Laplacian of one ``(3, H, W)`` picture by loops."""
    height, width = picture.shape[1] // pooling, picture.shape[2] // pooling
    small = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            block = picture[:, i * pooling : (i + 1) * pooling, j * pooling : (j + 1) * pooling]
            small[i, j] = block.sum() / pooling**2
    found = np.zeros((height - 2, width - 2))
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            neighbours = small[i - 1, j] + small[i + 1, j] + small[i, j - 1] + small[i, j + 1]
            found[i - 1, j - 1] = 4 * small[i, j] - neighbours
    return found


@pytest.mark.parametrize("pooling", [1, 2])
def test_laplacian_loss_compares_the_edges_of_reduced_pictures(pooling: int) -> None:
    pictures, target = features(2, 3, 9, 10), features(2, 3, 9, 10)
    pairs = [(edges(a, pooling), edges(b, pooling)) for a, b in zip(pictures.numpy(), target.numpy(), strict=True)]
    squares = np.array([((a - b) ** 2).sum() for a, b in pairs])
    norms = np.array([(b**2).sum() for _, b in pairs])
    assert float(laplacian_distance(pictures, target, pooling, "sum")) == pytest.approx(squares.mean(), **EXACT)
    mean = squares.mean() / pairs[0][0].size
    assert float(laplacian_distance(pictures, target, pooling, "mean")) == pytest.approx(mean, **EXACT)
    assert float(laplacian_distance(pictures, target, pooling)) == pytest.approx((squares / norms).mean(), **EXACT)


def test_the_laplacian_does_not_see_a_change_of_brightness() -> None:
    picture = features(1, 3, 16, 16)
    assert float(laplacian_distance(picture + 0.5, picture, 4, "sum")) == pytest.approx(0, abs=1e-20)


def rings(picture: np.ndarray, bands: int) -> list[float]:
    """Mean power in rings of frequency of one ``(3, H, W)`` picture, by the sums of the Fourier transform."""
    luma = np.tensordot([0.299, 0.587, 0.114], picture, axes=1)
    luma = luma - luma.mean()
    height, width = luma.shape
    powers: list[list[float]] = [[] for _ in range(bands)]
    for u in range(height):
        for v in range(width // 2 + 1):
            value = sum(
                luma[y, x] * cmath.exp(-2j * math.pi * (u * y / height + v * x / width))
                for y in range(height)
                for x in range(width)
            )
            radius = math.hypot(min(u, height - u) / height, v / width)
            if 0 < radius <= 0.5:
                powers[math.ceil(round(radius * 2 * bands, 9)) - 1].append(abs(value) ** 2 / (height * width))
    return [float(np.mean(ring)) if ring else 0.0 for ring in powers]


def test_the_spectrum_is_the_mean_power_in_rings_of_frequency() -> None:
    pictures, target = features(2, 3, 8, 10), features(2, 3, 6, 9)
    found = [np.array([rings(picture, 3) for picture in each.numpy()]) for each in (pictures, target)]
    np.testing.assert_allclose(radial_spectrum(pictures, 3).numpy(), found[0], rtol=1e-5)
    expected = ((np.log(found[0] + 1e-6) - np.log(found[1] + 1e-6)) ** 2).mean()
    assert float(spectrum_distance(pictures, target, 3)) == pytest.approx(expected, rel=1e-5)


def test_a_grid_of_single_pixels_shows_in_the_highest_ring() -> None:
    picture = torch.rand(1, 3, 32, 32)
    smooth = torch.nn.functional.avg_pool2d(picture, 5, 1, 2)
    grid = smooth + 0.1 * (torch.arange(32) % 2)
    power, before = radial_spectrum(grid, 8)[0], radial_spectrum(smooth, 8)[0]
    assert power[-1] > 20 * before[-1] and torch.allclose(power[:4], before[:4], rtol=0.05)
