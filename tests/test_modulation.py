"""What a style's statistics do to features beyond AdaIN."""

from __future__ import annotations

import torch
from torch import Tensor

from nst.modulation import Affine, Modulation, ModulationPredictor, blended, kernel_mixes
from nst.statistics import Statistics
from nst.style_code import StyleCode


def style_code(styles: int = 2) -> StyleCode:
    statistics = tuple(Statistics(torch.rand(styles, width), torch.rand(styles, width)) for width in (4, 6))
    return StyleCode(("relu1_1", "relu2_1"), statistics)


def trained(predictor: ModulationPredictor) -> ModulationPredictor:
    torch.nn.init.normal_(predictor.mlp.last.weight)
    return predictor


def test_a_new_predictor_leaves_features_as_they_are() -> None:
    predictor, features = (
        ModulationPredictor(["relu1_1"], [4], [(3, 1), (5, 2)], hidden=8, rank=4),
        torch.randn(2, 3, 6, 6),
    )
    maps = predictor(style_code(), [1.0, 1.0])
    assert [tuple(each.features.scale.shape) for each in maps] == [(2, 3, 1, 1), (2, 5, 1, 1)]
    assert torch.equal(maps[0].features(features), features)
    assert [[tuple(mix.shape) for mix in each.mixes] for each in maps] == [[(2, 4, 1, 1)], [(2, 4, 1, 1)] * 2]
    assert not torch.allclose(maps[1].mixes[0], maps[1].mixes[1], atol=1e-3)
    assert ModulationPredictor(["relu1_1"], [4], [(3, 1)], hidden=8)(style_code(), [1.0])[0].mixes == ()


def test_each_style_has_its_own_maps_and_a_batch_changes_none() -> None:
    code, predictor = style_code(), trained(ModulationPredictor(["relu1_1", "relu2_1"], [4, 6], [(3, 1)], hidden=8))
    both = predictor(code, [1.0])[0].features
    assert not torch.allclose(both.scale[0], both.scale[1], atol=1e-2)
    for index in (0, 1):
        alone = predictor(code[index : index + 1], [1.0])[0].features
        assert torch.allclose(alone.scale[0], both.scale[index], atol=1e-6)
        assert torch.allclose(alone.shift[0], both.shift[index], atol=1e-6)


def test_the_degree_goes_from_the_features_to_the_full_map() -> None:
    code, predictor = style_code(), trained(ModulationPredictor(["relu2_1"], [6], [(3, 1), (3, 1)], hidden=8, rank=2))
    full, none, half = predictor(code, [1.0, 1.0]), predictor(code, [0.0, 0.0]), predictor(code, [0.5, 1.0])
    assert torch.all(none[0].features.scale == 1) and torch.all(none[0].features.shift == 0)
    assert torch.all(none[0].mixes[0] == 0) and torch.allclose(half[0].mixes[0], full[0].mixes[0] / 2)
    assert torch.allclose(half[0].features.scale, (1 + full[0].features.scale) / 2)
    assert torch.allclose(half[0].features.shift, full[0].features.shift / 2)
    assert torch.equal(half[1].features.scale, full[1].features.scale)
    each = predictor(code, [torch.tensor([[1.0], [0.0]])] * 2)
    assert torch.equal(each[0].features.scale[0], full[0].features.scale[0])
    assert torch.all(each[0].features.scale[1] == 1) and torch.all(each[0].mixes[0][1] == 0)


def test_no_style_mixes_far_beyond_the_known() -> None:
    first, second = kernel_mixes(torch.tensor([[0.0, 1.0, -1e3, 1e3]]), rank=2, degree=1.0)
    assert torch.allclose(first.flatten(), torch.tensor([0.0, 0.76159]), atol=1e-4)
    assert second.flatten().tolist() == [-1.0, 1.0]


def test_regions_blend_by_their_masks() -> None:
    left = torch.zeros(1, 1, 2, 4)
    left[..., :2] = 1
    constants = [[torch.full((1, 3, 1, 1), value * sign) for sign in (1, -1)] for value in (2.0, 5.0)]
    maps = [Modulation(Affine(scale, shift), (shift[:, :2],)) for scale, shift in constants]
    features: Tensor = torch.ones(1, 3, 2, 4)
    both = blended(maps, [left, 1 - left])
    assert torch.equal(both.mixes[0], (-2 * left - 5 * (1 - left)).expand(1, 2, 2, 4))
    result = both.features(features * 3)
    assert torch.equal(result[..., :2], torch.full((1, 3, 2, 2), 4.0))
    assert torch.equal(result[..., 2:], torch.full((1, 3, 2, 2), 10.0))
