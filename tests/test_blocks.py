"""Convolutions that keep borders, blocks that start as nothing, the branch at half the resolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nst.blocks import CoarseBranch, ResidualBlock, convolution
from nst.modulation import Affine


def modulation(width: int, scale: float, shift: float) -> Affine:
    return Affine(torch.full((1, width, 1, 1), scale), torch.full((1, width, 1, 1), shift))


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (4, 2)])
def test_a_convolution_keeps_or_halves_the_size_and_does_not_see_the_border(kernel_size: int, stride: int) -> None:
    output = convolution(3, 5, kernel_size, stride)(torch.ones(1, 3, 8, 12))
    assert output.shape == (1, 5, 8 // stride, 12 // stride)
    assert torch.allclose(output, output[..., :1, :1].expand_as(output), atol=1e-5)


def test_a_block_starts_as_the_identity_and_modulates_its_inside_alone() -> None:
    block, x = ResidualBlock(6), torch.randn(2, 6, 5, 7)
    assert torch.equal(block(x), x) and torch.equal(block(x, modulation(6, 3.0, 1.0)), x)
    nn.init.normal_(block.second.weight)
    expected = x + block.second(block.first(3 * x + 1).relu())
    assert torch.allclose(block(x, modulation(6, 3.0, 1.0)), expected, atol=1e-4)


def test_a_branch_starts_as_nothing_and_works_at_half_the_resolution() -> None:
    branch, x = CoarseBranch(6, 4, blocks=2), torch.randn(2, 6, 8, 12)
    assert torch.equal(branch(x, [None, None]), x)
    nn.init.normal_(branch.up.weight)
    added = branch(x, [None, None]) - x
    assert float(added.detach().abs().max()) > 0.1
    halves = added[..., ::2, ::2].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.allclose(added, halves, atol=1e-6)


def test_each_block_of_a_branch_takes_its_own_modulation() -> None:
    branch, x = CoarseBranch(6, 4, blocks=2), torch.randn(2, 6, 8, 12)
    for block in branch.blocks:
        nn.init.normal_(block.second.weight)  # type: ignore[union-attr,arg-type]
    nn.init.normal_(branch.up.weight)
    changed, neutral = modulation(4, 2.0, 1.0), modulation(4, 1.0, 0.0)
    results = [branch(x, pair) for pair in ([neutral, neutral], [changed, neutral], [neutral, changed])]
    assert torch.allclose(results[0], branch(x, [None, None]), atol=1e-5)
    assert not torch.allclose(results[0], results[1], atol=1e-2)
    assert not torch.allclose(results[1], results[2], atol=1e-2)


def test_the_margin_is_rounded_up_to_positions_of_the_branch() -> None:
    branch = CoarseBranch(6, 4, blocks=2)  # four convolutions inside
    assert [branch.margin(margin, stride=16) for margin in (0, 1, 16, 17)] == [64, 80, 80, 96]
