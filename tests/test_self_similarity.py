"""CFSD against an independent computation in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nst import self_similarity


def numpy_cfsd(output: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Every position's divergence, by the definition."""

    def rows(features: np.ndarray) -> np.ndarray:
        flat = features.reshape(len(features), -1).T / len(features)
        weights = np.exp(flat @ flat.T)
        return weights / weights.sum(axis=1, keepdims=True)

    q, p = rows(output), rows(content)
    return (p * np.log(p / q)).sum(axis=1)


def test_cfsd_sums_the_divergence_of_self_similarities_over_all_positions() -> None:
    output, content = torch.rand(1, 6, 8, 12) * 6, torch.rand(1, 6, 8, 12) * 6
    each = numpy_cfsd(output.double().numpy()[0], content.double().numpy()[0])

    def distance(step_i: int, step_j: int = 1) -> float:
        similarities = [self_similarity.log_self_similarity(features, step_i, step_j) for features in (output, content)]
        return self_similarity.content_feature_structural_distance(*similarities, positions=96)

    assert distance(1) == pytest.approx(each.sum(), rel=1e-5)
    every_other = each.reshape(8, 12)[1::2, 1::2]
    assert distance(2) == pytest.approx(every_other.mean() * 96, rel=1e-5)
    assert each.sum() > 0.1
    both = [features.double().numpy()[0, :, 1::2, 1::2] for features in (output, content)]
    assert distance(2, 2) == pytest.approx(numpy_cfsd(*both).mean() * 96, rel=1e-5)


@pytest.mark.parametrize("side", [128, 129, 150, 191, 192, 256, 384, 1024])
def test_self_similarities_of_large_pictures_take_no_more_memory_than_of_512_pixels_but_for_rounding(side: int) -> None:
    similarity = self_similarity.log_self_similarity(
        torch.zeros(1, 2, side, side), *self_similarity.structure_steps(side)
    )
    assert 900 <= similarity.shape[0] <= 1300
    assert similarity.numel() <= 2.3 * 1024 * 128**2


@pytest.mark.parametrize("side", [8, 32, 64, 128])
def test_up_to_512_pixels_every_fourth_position_is_compared_with_all(side: int) -> None:
    assert self_similarity.structure_steps(side) == (4, 1)
