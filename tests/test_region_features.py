"""Features of one region: nothing beside it counts."""

from __future__ import annotations

import math

import pytest
import torch

from nst.base_network import BaseNetwork
from nst.region_features import FEWEST_POSITIONS, erode, fill_outside, interior_weights


@pytest.fixture(scope="module")
def network() -> BaseNetwork:
    torch.manual_seed(0)
    encoder = {"name": "vgg19", "layers": ["relu1_1", "relu2_1", "relu3_1"], "pyramid": [1.0, 0.5]}
    return BaseNetwork(encoder).eval().requires_grad_(False)


def left_of(column: int, height: int = 96, width: int = 128) -> torch.Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., :column] = 1
    return mask


@pytest.mark.parametrize("column", [64, 9], ids=["wide", "thinner than a receptive field"])
def test_what_lies_outside_a_region_changes_nothing_of_its_code(network: BaseNetwork, column: int) -> None:
    picture, mask = torch.rand(1, 3, 96, 128), left_of(column)
    other = torch.where(mask > 0, picture, torch.rand(1, 3, 96, 128) ** 3)
    code, same = (network.encode_style(one, mask) for one in (picture, other))
    for mine, theirs in zip(code.statistics, same.statistics, strict=True):
        assert torch.allclose(mine.mean, theirs.mean, atol=1e-5) and torch.allclose(mine.std, theirs.std, atol=1e-4)
    unmasked = network.encode_style(other)
    assert not torch.allclose(code["relu1_1"].mean, unmasked["relu1_1"].mean, atol=1e-2)


def test_the_code_of_a_region_is_that_of_positions_that_see_only_it(network: BaseNetwork) -> None:
    picture, mask = torch.rand(1, 3, 96, 128), left_of(64)
    code = network.style_code(network.style_encoder(picture), mask)
    for layer, features in zip(network.style_encoder.layers, network.style_encoder(picture), strict=True):
        stride = 96 // features.shape[2]
        seen = (64 - network.style_encoder.margin(layer)) / stride  # the last column, in part
        columns = [features[..., i] * min(seen - i, 1) for i in range(math.ceil(seen))]
        expected = torch.stack(columns).sum(dim=(0, 3)) / (seen * features.shape[2])
        assert torch.allclose(code[layer].mean, expected, rtol=1e-4)


def test_a_region_that_is_everything_has_the_code_of_the_picture(network: BaseNetwork) -> None:
    picture = torch.rand(1, 3, 50, 70)
    whole, masked = network.encode_style(picture), network.encode_style(picture, torch.ones(1, 1, 50, 70))
    for expected, found in zip(whole.statistics, masked.statistics, strict=True):
        assert torch.allclose(found.mean, expected.mean, atol=1e-5) and torch.allclose(
            found.std, expected.std, atol=1e-4
        )


def test_outside_takes_the_mean_colour_of_the_region() -> None:
    picture, mask = torch.rand(2, 3, 6, 8), left_of(3, 6, 8)
    filled = fill_outside(picture, mask)
    assert torch.allclose(filled[..., :3], picture[..., :3], atol=1e-6)
    mean = picture[..., :3].mean(dim=(2, 3), keepdim=True)
    assert torch.allclose(filled[..., 3:], mean.expand(2, 3, 6, 5), atol=1e-6)


def test_erosion_takes_a_margin_off_a_region_but_not_at_the_edge_of_the_picture() -> None:
    mask = torch.zeros(1, 1, 9, 12)
    mask[..., 2:8, :7] = 1  # touches the left edge
    expected = torch.zeros(1, 1, 9, 12)
    expected[..., 4:6, :5] = 1
    assert torch.equal(erode(mask, 2), expected) and torch.equal(erode(mask, 0), mask)


def test_thin_regions_keep_enough_positions() -> None:
    mask = left_of(12)
    wide = interior_weights(left_of(64), margin=16, size=(48, 64))
    assert torch.equal(wide, left_of(24, 48, 64))  # (64 − 16) pixels of stride 2
    assert float(interior_weights(mask, margin=16, size=(48, 64)).sum()) >= FEWEST_POSITIONS
    few = interior_weights(left_of(8), margin=64, size=(12, 16))  # 12 positions in all: none is left out
    assert torch.equal(few, left_of(1, 12, 16))
