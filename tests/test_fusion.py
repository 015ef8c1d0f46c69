"""AdaIN, and its fusion at several scales."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.errors import UserError
from nst.fusion import Alpha, MultiScaleFusion, adaptive_instance_norm, alpha_per_level
from nst.statistics import Statistics, feature_statistics
from nst.style_code import StyleCode

LAYERS, CHANNELS, STRIDES, WIDTHS = ("a", "b", "c"), (4, 6, 6), (1, 2, 2), {1: 3, 2: 5}


def fusion() -> MultiScaleFusion:
    return MultiScaleFusion(LAYERS, CHANNELS, STRIDES, WIDTHS)


def content_features(batch: int) -> list[Tensor]:
    sides = [12 // stride for stride in STRIDES]
    return [torch.randn(batch, c, side, side + 1) * 2 + 1 for c, side in zip(CHANNELS, sides, strict=True)]


def style_code(batch: int) -> StyleCode:
    return StyleCode(LAYERS, tuple(Statistics(torch.randn(batch, c), torch.rand(batch, c) + 0.2) for c in CHANNELS))


def step_by_step(
    module: MultiScaleFusion, features: Sequence[Tensor], style: StyleCode, alphas: Sequence[Tensor]
) -> dict[int, Tensor]:
    """AdaIN with torch's own mean and deviation, the blend, then a 1×1 convolution."""
    fused: dict[int, Tensor] = {}
    for index, layer in enumerate(LAYERS):
        x = features[index]
        mean = x.mean(dim=(2, 3), keepdim=True)
        std = (x.var(dim=(2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
        stylized = style[layer].std[..., None, None] * (x - mean) / std + style[layer].mean[..., None, None]
        alpha = alphas[index].view(-1, 1, 1, 1)
        projection = module.projections[index]
        assert isinstance(projection, nn.Linear)
        level = F.conv2d(alpha * stylized + (1 - alpha) * x, projection.weight[..., None, None], projection.bias)
        fused[STRIDES[index]] = fused.get(STRIDES[index], torch.zeros(())) + level
    return fused


def test_adain_has_the_mean_and_deviation_of_the_style() -> None:
    content, style = torch.randn(2, 8, 16, 20) * 3 + 2, feature_statistics(torch.rand(2, 8, 9, 11) * 5)
    stylized = adaptive_instance_norm(content, style, feature_statistics(content))
    assert torch.allclose(stylized.mean(dim=(2, 3)), style.mean, atol=1e-4)
    assert torch.allclose(stylized.std(dim=(2, 3), correction=0), style.std, atol=1e-4)


def test_adain_with_its_own_statistics_changes_nothing() -> None:
    content = torch.randn(2, 8, 16, 20)
    statistics = feature_statistics(content)
    assert torch.allclose(adaptive_instance_norm(content, statistics, statistics), content, atol=1e-6)


def test_adain_keeps_the_type_of_the_features() -> None:
    content = torch.randn(1, 4, 8, 8).bfloat16()
    statistics = feature_statistics(content)
    assert adaptive_instance_norm(content, statistics, statistics).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("alpha", "per_level"),
    [
        (1.0, [[1.0], [1.0], [1.0]]),
        (1, [[1.0], [1.0], [1.0]]),
        (0.3, [[0.3], [0.3], [0.3]]),
        ([0.0, 0.5, 1.0], [[0.0], [0.5], [1.0]]),
        (torch.tensor([0.2, 0.9]), [[0.2, 0.9], [0.2, 0.9], [0.2, 0.9]]),
    ],
    ids=["one", "integer", "scalar", "per scale", "per sample"],
)
@pytest.mark.parametrize("styles", [1, 2])
def test_the_folded_matrix_equals_adain_blend_and_projection(
    alpha: Alpha, per_level: list[list[float]], styles: int
) -> None:
    module, features, style = fusion(), content_features(2), style_code(styles)
    found = module(features, [feature_statistics(level) for level in features], style, alpha)
    expected = step_by_step(module, features, style, [torch.tensor(level) for level in per_level])
    assert set(found) == {1, 2}
    for stride, level in expected.items():
        assert found[stride].shape == level.shape == (2, WIDTHS[stride], 12 // stride, 12 // stride + 1)
        assert torch.allclose(found[stride], level, atol=1e-4)


def test_the_usual_mean_is_subtracted_before_the_projection() -> None:
    module, features, style = fusion(), [level + 3 for level in content_features(2)], style_code(2)
    statistics = [feature_statistics(level) for level in features]
    plain = module(features, statistics, style, 0.7)
    module.center = 3.0
    centred = module(features, statistics, style, 0.7)
    removed = {stride: 0.0 for stride in plain}
    for stride, projection in zip(STRIDES, module.projections, strict=True):
        removed[stride] = removed[stride] + 3 * projection.weight.sum(dim=1)[:, None, None]  # type: ignore[operator,union-attr]
    for stride, level in plain.items():
        assert torch.allclose(centred[stride], level - removed[stride], atol=1e-4)


def test_one_style_serves_a_whole_batch() -> None:
    module, features, style = fusion(), content_features(3), style_code(1)
    statistics = [feature_statistics(level) for level in features]
    repeated = tuple(Statistics(s.mean.expand(3, -1), s.std.expand(3, -1)) for s in style.statistics)
    one, many = module(features, statistics, style), module(features, statistics, StyleCode(LAYERS, repeated))
    assert all(torch.allclose(one[stride], many[stride], atol=1e-5) for stride in WIDTHS)


def test_statistics_of_the_whole_picture_make_tiles_of_it_fit_together() -> None:
    module, features, style = fusion(), content_features(1), style_code(1)
    statistics = [feature_statistics(level) for level in features]
    whole = module(features, statistics, style)
    tiles = [
        module([level[:, :, rows] for level in features], statistics, style) for rows in (slice(0, 4), slice(4, None))
    ]
    for stride in WIDTHS:
        assert torch.allclose(torch.cat([tile[stride] for tile in tiles], dim=2), whole[stride], atol=1e-5)


def test_without_style_and_at_alpha_zero_the_content_is_only_projected() -> None:
    module, features = fusion(), content_features(2)
    statistics = [feature_statistics(level) for level in features]
    own = StyleCode(LAYERS, tuple(statistics))
    none, itself = module(features, statistics, style_code(2), 0.0), module(features, statistics, own, 1.0)
    for stride in WIDTHS:
        assert torch.allclose(none[stride], itself[stride], atol=1e-5)


def test_gradients_reach_features_and_projections() -> None:
    module, features = fusion(), [level.requires_grad_() for level in content_features(1)]
    fused = module(features, [feature_statistics(level) for level in features], style_code(1), 0.5)
    sum(level.square().sum() for level in fused.values()).backward()
    for tensor in (*features, *module.parameters()):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan"), [0.5, 0.5, 2.0], torch.tensor([0.5, 1.5])])
def test_alpha_outside_zero_to_one_is_refused(alpha: Alpha) -> None:
    with pytest.raises(UserError, match="alpha must lie between 0 .* and 1"):
        alpha_per_level(alpha, 3)


def test_alpha_for_another_number_of_scales_is_refused() -> None:
    with pytest.raises(UserError, match=r"alpha needs one value or 3 .*: found 2"):
        alpha_per_level([0.5, 0.5], 3)
