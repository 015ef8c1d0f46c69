"""A linear map of the channels at every position."""

from __future__ import annotations

import pytest
import torch

from nst.pointwise import pointwise_map


@pytest.mark.parametrize(("batch", "maps"), [(1, 1), (3, 3), (3, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_sample_is_mapped_by_its_matrix_and_shift(batch: int, maps: int, layout: torch.memory_format) -> None:
    features = torch.randn(batch, 4, 5, 6).contiguous(memory_format=layout)
    matrices, shifts = torch.randn(maps, 2, 4), torch.randn(maps, 2)
    found = pointwise_map(features, matrices, shifts)
    for sample in range(batch):
        matrix, shift = matrices[min(sample, maps - 1)], shifts[min(sample, maps - 1)]
        for row, column in ((0, 0), (2, 3), (4, 5)):
            expected = matrix @ features[sample, :, row, column] + shift
            assert torch.allclose(found[sample, :, row, column], expected, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_gradients_reach_features_matrices_and_shifts() -> None:
    tensors = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 3, 2, 2), (1, 2, 3), (1, 2))
    ]
    assert torch.autograd.gradcheck(pointwise_map, tensors)
