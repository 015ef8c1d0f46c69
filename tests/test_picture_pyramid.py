"""Steps on several sizes of a picture."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from nst.picture_pyramid import PicturePyramid


def filled(side: tuple[int, int]) -> PicturePyramid:
    pyramid = PicturePyramid(torch.zeros(1, 3, *side))
    generator = torch.Generator().manual_seed(0)
    for level in pyramid.levels:
        level.data = torch.randn(level.shape, generator=generator)
    return pyramid


@pytest.mark.parametrize(("side", "coarsest"), [((256, 300), (8, 10)), ((75, 99), (10, 13)), ((7, 40), (7, 40))])
def test_each_level_is_half_as_large_as_the_one_before_down_to_eight_pixels(
    side: tuple[int, int], coarsest: tuple[int, int]
) -> None:
    sizes = [tuple(level.shape[2:]) for level in PicturePyramid(torch.zeros(1, 3, *side)).levels]
    assert sizes[0] == side and sizes[-1] == coarsest
    assert all((-(-height // 2), -(-width // 2)) == after for (height, width), after in pairwise(sizes))


def test_a_level_s_gradient_is_that_of_the_whole_picture_s_change() -> None:
    """⟨gradient, change⟩ = Σ_k ⟨gradient of level k, level k⟩, since the change is linear in the levels."""
    pyramid, gradient = filled((33, 50)), torch.randn(1, 3, 33, 50)
    pyramid.spread(gradient)
    first = [level.grad.clone() for level in pyramid.levels]
    pyramid.spread(gradient)  # not added to those of before
    products = [(level * level.grad).sum() for level in pyramid.levels]
    assert torch.allclose(sum(products), (gradient * pyramid()).sum(), rtol=1e-4)
    assert all(torch.equal(level.grad, before) for level, before in zip(pyramid.levels, first, strict=True))


def test_a_change_that_was_taken_is_gone() -> None:
    pyramid = filled((40, 40))
    change = pyramid().detach()
    assert torch.equal(pyramid.take(), change) and not pyramid().any()


def test_adam_moves_an_area_as_fast_as_its_levels_add_up() -> None:
    """Under a gradient of one sign everywhere each level's step has the same size, scaled by its pace."""
    pyramid = PicturePyramid(torch.zeros(1, 3, 64, 64))
    pyramid.spread(torch.ones(1, 3, 64, 64))
    torch.optim.Adam(pyramid.parameters(), lr=0.01).step()
    expected = -0.01 * sum(0.7**k for k in range(len(pyramid.levels)))
    assert torch.allclose(pyramid.take(), torch.full((1, 3, 64, 64), expected), atol=1e-6)
