"""Convolutions that keep borders, blocks that start as nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nst.blocks import ResidualBlock, Stage, StyledConvolution, convolution
from nst.modulation import Affine, Modulation


def modulation(width: int, scale: float, shift: float, *mixes: torch.Tensor) -> Modulation:
    return Modulation(Affine(torch.full((1, width, 1, 1), scale), torch.full((1, width, 1, 1), shift)), mixes)


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


# --- kernels that a style mixes ----------------------------------------------------------------------------------------


def styled(width: int = 6, rank: int = 4) -> StyledConvolution:
    layer = StyledConvolution(width, rank)
    nn.init.normal_(layer.outward)
    nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    return layer


def mixed_by_hand(layer: StyledConvolution, x: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """One sample, one direction after another."""
    kernel = layer.weight.clone()
    for index, share in enumerate(mix.flatten()):
        kernel += share * layer.outward[:, index, None, None, None] * layer.inward[index]
    return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, layer.bias)


def test_a_new_styled_convolution_is_plain_for_every_style() -> None:
    layer, x = StyledConvolution(6, 4), torch.randn(2, 6, 5, 7)
    assert torch.equal(layer(x, torch.randn(1, 4, 1, 1)), layer(x))
    assert torch.allclose(layer(x, torch.randn(2, 4, 1, 1)), layer(x), atol=1e-5)


def test_each_sample_is_convolved_with_the_kernel_its_style_mixes() -> None:
    layer, x, mixes = styled(), torch.randn(3, 6, 5, 7), torch.rand(3, 4, 1, 1)
    expected = torch.cat([mixed_by_hand(layer, x[i : i + 1], mixes[i]) for i in range(3)])
    assert torch.allclose(layer(x, mixes), expected, atol=1e-4)
    assert torch.allclose(layer.rectified(x, mixes), expected.relu(), atol=1e-4)
    alone = torch.cat([layer(x[i : i + 1], mixes[i : i + 1]) for i in range(3)])  # folded into one kernel
    assert torch.allclose(alone, expected, atol=1e-4)
    assert not torch.allclose(expected, layer(x), atol=0.1)


def test_kernels_differ_where_regions_do() -> None:
    layer, x, mixes = styled(), torch.randn(1, 6, 8, 8), torch.rand(2, 4, 1, 1)
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1
    found = layer(x, left * mixes[:1] + (1 - left) * mixes[1:])
    for columns, mix in ((slice(0, 4), mixes[0]), (slice(4, 8), mixes[1])):
        assert torch.allclose(found[..., columns], mixed_by_hand(layer, x, mix)[..., columns], atol=1e-4)


def test_a_mix_has_a_gradient_once_directions_lead_somewhere_and_directions_have_one_from_the_start() -> None:
    for layer in (StyledConvolution(6, 4), styled()):
        mix = torch.rand(2, 4, 1, 1, requires_grad=True)
        layer(torch.randn(2, 6, 5, 7), mix).square().sum().backward()
        assert layer.outward.grad is not None and bool((layer.outward.grad != 0).any())
        assert bool((mix.grad != 0).all()) == bool((layer.outward != 0).any())  # type: ignore[union-attr]


def test_a_block_and_a_stage_give_each_convolution_its_own_mix() -> None:
    x, mixes = torch.randn(1, 6, 5, 7), torch.rand(2, 1, 4, 1, 1)
    block, stage = ResidualBlock(6, 4), Stage(6, 2, 4)
    for parameter in (
        block.second.weight,
        *(p for n, p in (*block.named_parameters(), *stage.named_parameters()) if "outward" in n),
    ):
        nn.init.normal_(parameter, std=0.3)
    first, second = block.first, block.second
    expected = x + mixed_by_hand(second, mixed_by_hand(first, 2 * x + 1, mixes[0]).relu(), mixes[1])
    assert torch.allclose(block(x, modulation(6, 2.0, 1.0, *mixes)), expected, atol=1e-4)
    first, second = stage
    expected = mixed_by_hand(second, mixed_by_hand(first, 2 * x + 1, mixes[0]).relu(), mixes[1]).relu()
    assert torch.allclose(stage(x, modulation(6, 2.0, 1.0, *mixes)), expected, atol=1e-4)
