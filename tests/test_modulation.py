"""What a style's statistics do to features beyond AdaIN."""

from __future__ import annotations

import torch
from torch import Tensor

from nst.modulation import Affine, ModulationPredictor, blended, log_statistics
from nst.statistics import Statistics
from nst.style_code import StyleCode


def style_code(styles: int = 2) -> StyleCode:
    statistics = tuple(Statistics(torch.rand(styles, width), torch.rand(styles, width)) for width in (4, 6))
    return StyleCode(("relu1_1", "relu2_1"), statistics)


def trained(predictor: ModulationPredictor) -> ModulationPredictor:
    torch.nn.init.normal_(predictor.last.weight)
    return predictor


def test_a_new_predictor_leaves_features_as_they_are() -> None:
    predictor, features = ModulationPredictor(["relu1_1"], [4], [3, 5], hidden=8), torch.randn(2, 3, 6, 6)
    affines = predictor(style_code(), [1.0, 1.0])
    assert [tuple(affine.scale.shape) for affine in affines] == [(2, 3, 1, 1), (2, 5, 1, 1)]
    assert torch.equal(affines[0](features), features)


def test_each_style_has_its_own_maps_and_a_batch_changes_none() -> None:
    code, predictor = style_code(), trained(ModulationPredictor(["relu1_1", "relu2_1"], [4, 6], [3], hidden=8))
    both = predictor(code, [1.0])[0]
    assert not torch.allclose(both.scale[0], both.scale[1], atol=1e-2)
    for index in (0, 1):
        alone = predictor(code[index : index + 1], [1.0])[0]
        assert torch.allclose(alone.scale[0], both.scale[index], atol=1e-6)
        assert torch.allclose(alone.shift[0], both.shift[index], atol=1e-6)


def test_the_degree_goes_from_the_features_to_the_full_map() -> None:
    code, predictor = style_code(), trained(ModulationPredictor(["relu2_1"], [6], [3, 3], hidden=8))
    full, none, half = predictor(code, [1.0, 1.0]), predictor(code, [0.0, 0.0]), predictor(code, [0.5, 1.0])
    assert torch.all(none[0].scale == 1) and torch.all(none[0].shift == 0)
    assert torch.allclose(half[0].scale, (1 + full[0].scale) / 2) and torch.allclose(half[0].shift, full[0].shift / 2)
    assert torch.equal(half[1].scale, full[1].scale)
    each = predictor(code, [torch.tensor([[1.0], [0.0]])] * 2)
    assert torch.equal(each[0].scale[0], full[0].scale[0]) and torch.all(each[0].scale[1] == 1)


def test_statistics_become_logarithms_layer_by_layer() -> None:
    code = style_code(1)
    found = log_statistics(code, ["relu2_1", "relu1_1"])
    expected = [code["relu2_1"].mean, code["relu2_1"].std, code["relu1_1"].mean, code["relu1_1"].std]
    assert torch.allclose(found.exp() - 0.01, torch.cat(expected, dim=1), atol=1e-6)


def test_means_below_zero_are_mirrored_at_that_of_zero() -> None:
    mean = torch.tensor([[-2.0, 0.0, 2.0]])
    code = StyleCode(("layer1",), (Statistics(mean, torch.ones(1, 3)),))
    below, zero, above = log_statistics(code, ["layer1"])[0, :3]
    assert torch.isfinite(below) and torch.isclose(zero - below, above - zero)
    assert torch.isclose(zero.exp(), torch.tensor(0.01))


def test_regions_blend_by_their_masks() -> None:
    left = torch.zeros(1, 1, 2, 4)
    left[..., :2] = 1
    maps = [Affine(torch.full((1, 3, 1, 1), value), torch.full((1, 3, 1, 1), -value)) for value in (2.0, 5.0)]
    features: Tensor = torch.ones(1, 3, 2, 4)
    result = blended(maps, [left, 1 - left])(features * 3)
    assert torch.equal(result[..., :2], torch.full((1, 3, 2, 2), 4.0))
    assert torch.equal(result[..., 2:], torch.full((1, 3, 2, 2), 10.0))
