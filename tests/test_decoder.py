"""The decoder: sizes, upsampling and what it refuses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.decoder import UPSAMPLING, Decoder
from nst.errors import UserError
from nst.modulation import Affine, Modulation

WIDTHS = {16: 12, 8: 10, 4: 8, 2: 6, 1: 4}
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm, nn.LayerNorm)


def maps(strides: list[int], height: int, width: int) -> dict[int, Tensor]:
    return {stride: torch.randn(2, WIDTHS[stride], height // stride, width // stride) for stride in strides}


@pytest.mark.parametrize("upsampling", UPSAMPLING)
def test_every_upsampling_doubles_both_sides(upsampling: str) -> None:
    layer = UPSAMPLING[upsampling](6, 4, nn.ReLU())
    assert layer(torch.randn(2, 6, 5, 7)).shape == (2, 4, 10, 14)


@pytest.mark.parametrize("upsampling", UPSAMPLING)
@pytest.mark.parametrize("depth", [1, 3])
def test_the_picture_has_the_full_size_whatever_upsampling_and_depth(upsampling: str, depth: int) -> None:
    decoder = Decoder({4: 8, 2: 6, 1: 4}, depth, upsampling=upsampling)
    assert decoder(maps([4, 2, 1], 12, 20)).shape == (2, 3, 12, 20)
    convolutions = [layer for stage in decoder.stages for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 3 * depth


@pytest.mark.parametrize("fused", [[16], [16, 1], [16, 8, 4], [16, 8, 4, 2], [16, 8, 4, 2, 1]])
def test_any_choice_of_fused_levels_runs_forward_and_backward(fused: list[int]) -> None:
    decoder, features = Decoder(WIDTHS, depth=1), maps(fused, 48, 80)
    for level in features.values():
        level.requires_grad_()
    picture = decoder(features)
    assert picture.shape == (2, 3, 48, 80)
    picture.square().sum().backward()
    for tensor in (*features.values(), *decoder.parameters()):
        assert tensor.grad is not None and torch.isfinite(tensor.grad).all()


def test_finer_levels_are_added_to_what_comes_from_below() -> None:
    decoder, features = Decoder({2: 6, 1: 4}, depth=1), maps([2, 1], 8, 8)
    x = decoder.stages[0](features[2])
    x = decoder.upsamplers[0](x) + features[1]
    assert torch.equal(decoder(features), decoder.to_picture(decoder.stages[1](x)))


def test_residual_blocks_take_the_place_of_the_deepest_convolutions() -> None:
    decoder = Decoder({4: 8, 2: 6, 1: 4}, depth=1, residual_blocks=3)
    assert [sum(isinstance(m, nn.Conv2d) for m in stage.modules()) for stage in decoder.stages] == [6, 1, 1]
    features = maps([4, 2, 1], 12, 20)
    features[4] = torch.randn(2, 8, 3, 5)
    x = features[4]
    for block in decoder.stages[0]:  # type: ignore[union-attr]
        nn.init.normal_(block.second.weight)
        x = x + block.second(block.first(x).relu())
    for index in (1, 2):
        x = decoder.stages[index](decoder.upsamplers[index - 1](x) + features[[2, 1][index - 1]])
    assert torch.allclose(decoder(features), decoder.to_picture(x))
    assert not any(isinstance(module, nn.ReLU) for module in decoder.upsamplers[0].modules())  # negative sums go on
    assert any(isinstance(module, nn.ReLU) for module in decoder.upsamplers[1].modules())


def test_every_place_is_modulated_by_its_own_map() -> None:
    widths = {4: 16, 2: 12, 1: 12}
    decoder = Decoder(widths, 1, 2)
    assert decoder.places == [(4, 16, 2), (4, 16, 2), (2, 12, 1), (1, 12, 1)]
    for name, parameter in decoder.named_parameters():
        if name.endswith(("second.weight", "to_picture.weight")):  # these start at nothing
            nn.init.normal_(parameter, std=0.1)
    features = {stride: torch.randn(2, width, 24 // stride, 40 // stride) for stride, width in widths.items()}
    maps = [Affine(torch.ones(1, width, 1, 1), torch.zeros(1, width, 1, 1)) for _, width, _ in decoder.places]
    neutral = [Modulation(each) for each in maps]
    plain = decoder(features)
    assert torch.allclose(decoder(features, neutral), plain, atol=1e-5)
    for index, (scale, shift) in enumerate(maps):
        changed = [*neutral[:index], Modulation(Affine(2 * scale, shift + 1)), *neutral[index + 1 :]]
        assert not torch.allclose(decoder(features, changed), plain, atol=1e-2), decoder.places[index]


@pytest.mark.parametrize(("residual_blocks", "depth"), [(0, 2), (1, 1), (3, 2)])
def test_the_margin_is_how_far_the_picture_looks(residual_blocks: int, depth: int) -> None:
    decoder = Decoder({4: 4, 2: 4, 1: 4}, depth, residual_blocks).double()
    for name, parameter in decoder.named_parameters():  # every path open: nothing cancels, nothing is cut by a ReLU
        nn.init.constant_(parameter, 0.01 if "weight" in name else 0.1)
    fused = {stride: torch.rand(1, 4, 256 // stride, 256 // stride).double().requires_grad_() for stride in (4, 2, 1)}
    decoder(fused)[0, 0, 128:136, 128:136].sum().backward()  # tiles fall on positions of the deepest stride
    reach = 0
    for stride, level in fused.items():
        rows = level.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten() * stride  # type: ignore[union-attr]
        reach = max(reach, 128 - int(rows[0]), int(rows[-1]) + stride - 136)
    assert reach == -(-decoder.margin // 4) * 4


def test_a_new_decoder_paints_mid_grey() -> None:
    picture = Decoder(WIDTHS)(maps([16, 8, 4, 2, 1], 48, 48))
    assert float((picture.detach() - 0.5).abs().max()) < 0.2


def test_pixelshuffle_starts_as_nearest_neighbour_upsampling() -> None:
    layer, x = UPSAMPLING["pixelshuffle"](6, 4, nn.ReLU()), torch.randn(1, 6, 5, 7)
    up = layer(x)
    assert torch.allclose(up, F.interpolate(up[..., ::2, ::2], scale_factor=2, mode="nearest"), atol=1e-6)


def test_bilinear_and_nearest_interpolate_after_the_convolution() -> None:
    x = torch.randn(1, 6, 5, 7)
    for mode, options in (("nearest", {}), ("bilinear", {"align_corners": False})):
        layer = UPSAMPLING[mode](6, 4, nn.ReLU())
        assert isinstance(layer, nn.Sequential)
        expected = F.interpolate(layer[0](x).relu(), scale_factor=2, mode=mode, **options)
        assert torch.allclose(layer(x), expected)


def test_the_border_is_reflected_in_a_constant_picture() -> None:
    decoder = Decoder({2: 6, 1: 4}, depth=2)
    picture = decoder({2: torch.ones(1, 6, 8, 8), 1: torch.ones(1, 4, 16, 16)})
    assert torch.allclose(picture, picture[..., :1, :1].expand_as(picture), atol=1e-5)


def test_nothing_inside_normalises() -> None:
    for upsampling in UPSAMPLING:
        assert not any(isinstance(module, NORMS) for module in Decoder(WIDTHS, upsampling=upsampling).modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"widths": {2: 6, 1: 4}, "upsampling": "bicubic"},
            "unknown decoder upsampling 'bicubic': choose from nearest",
        ),
        ({"widths": {2: 6, 1: 4}, "depth": 0}, "depth must be at least 1: found 0"),
        ({"widths": {2: 6, 1: 4}, "residual_blocks": -1}, "residual_blocks must be at least 0: found -1"),
        ({"widths": {2: 6, 1: 4}, "kernel_rank": -1}, "kernel_rank must be at least 0: found -1"),
        ({"widths": {4: 6, 1: 4}}, r"every stride down to 1 .*: found \[4, 1\]"),
        ({"widths": {4: 6, 2: 4}}, r"found \[4, 2\]"),
        ({"widths": {3: 6, 2: 4, 1: 4}}, r"found \[3, 2, 1\]"),
        ({"widths": {}}, "widths"),
    ],
)
def test_unknown_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Decoder(**options)  # type: ignore[arg-type]
