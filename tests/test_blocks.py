"""Convolutions that keep borders, blocks that start as nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nst.blocks import ResidualBlock, convolution
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
