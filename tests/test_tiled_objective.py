"""Tiles of the loss: its values and its gradient are those of the whole picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nst import UserError
from nst.image_objective import Objective, StyleRegion
from nst.image_optimization import optimize
from nst.losses import StyleTransferLoss
from nst.region_styles import StylePart
from nst.tiled_objective import TiledObjective, objective_side

AUTOCAST = torch.autocast("cpu", enabled=False)
LAYERS = {"relu1_1": 0.5, "relu2_1": 0.3, "relu3_1": 0.2}


def picture(height: int, width: int, seed: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def both(
    loss: StyleTransferLoss, size: tuple[int, int], regions: list[StyleRegion] | None
) -> list[tuple[object, Tensor]]:
    """Values and gradient, whole and in tiles of 64."""
    styles = [picture(80, 96, 1), picture(112, 64, 2)]
    found = []
    for make, more in ((Objective, {}), (TiledObjective, {"side": 64})):
        output = picture(*size, seed=3).requires_grad_()
        objective = make(loss, picture(*size, seed=0), styles, [0.3, 0.7], regions, AUTOCAST, **more)
        found.append((objective.backward(output), output.grad))
    return found


@pytest.mark.parametrize(("reduction", "size"), [("relative", (131, 165)), ("mean", (128, 160))])
def test_the_gradient_of_tiles_is_that_of_the_whole_picture(reduction: str, size: tuple[int, int]) -> None:
    loss = StyleTransferLoss(
        reduction=reduction,
        content={"weight": 1.0, "layers": {"relu2_2": 1.0}},
        style={"weight": 10.0, "layers": LAYERS},
        moment={"weight": 1.0, "layers": {"relu2_1": 1.0}},
        balanced={"weight": 1.0, "layers": {"relu3_1": 1.0}},
        total_variation={"weight": 0.5},
        laplacian={"weight": 0.1, "poolings": {2: 1.0}},
    )
    (whole, expected), (tiled, gradient) = both(loss, size, None)
    for name, value in whole.raw.items():
        assert tiled.raw[name].item() == pytest.approx(value.item(), rel=1e-4), name
    assert tiled.total.item() == pytest.approx(whole.total.item(), rel=1e-4)
    assert float((gradient - expected).norm()) < 1e-4 * float(expected.norm())


@pytest.mark.parametrize("size", [(128, 160), (203, 213)])
def test_regions_have_the_same_gradient_in_tiles(size: tuple[int, int]) -> None:
    loss = StyleTransferLoss(style={"weight": 10.0, "layers": LAYERS}, moment={"weight": 1.0, "layers": LAYERS})
    left = torch.linspace(0, 1, size[1]).expand(1, 1, *size).contiguous()
    half = torch.zeros(8, 8, dtype=torch.bool)
    half[:, 4:] = True
    regions = [
        StyleRegion(left, [StylePart(0, half)]),
        StyleRegion(1 - left, [StylePart(1, None), StylePart(0, ~half)]),
    ]
    (whole, expected), (tiled, gradient) = both(loss, size, regions)
    assert tiled.total.item() == pytest.approx(whole.total.item(), rel=1e-4)
    assert float((gradient - expected).norm()) < 1e-4 * float(expected.norm())


def test_a_last_tile_may_be_narrower_than_a_position_of_the_deepest_layer() -> None:
    loss = StyleTransferLoss(
        content={"weight": 1.0, "layers": {"relu4_1": 1.0}}, style={"weight": 10.0, "layers": LAYERS | {"relu5_1": 1.0}}
    )
    (whole, expected), (tiled, gradient) = both(loss, (64, 200), None)
    assert tiled.total.item() == pytest.approx(whole.total.item(), rel=1e-4)
    assert float((gradient - expected).norm()) < 1e-4 * float(expected.norm())


def test_regions_and_the_content_target_of_a_single_style_do_not_go_together() -> None:
    loss = {"content": {"weight": 1.0, "layers": {"relu2_1": 1.0}, "target": "adain"}}
    left = torch.zeros(1, 1, 64, 64)
    left[..., :32] = 1
    with pytest.raises(UserError, match="content target of adain"):
        optimize(picture(64, 64, 0), [picture(64, 64, 1)] * 2, steps=1, loss=loss, masks=[left, 1 - left])


def test_optimisation_in_tiles_takes_the_steps_of_the_whole_picture() -> None:
    content, style = picture(96, 128, 4), picture(64, 64, 5)
    loss = {"content": {"weight": 1.0, "layers": {"relu2_1": 1.0}}, "style": {"weight": 10.0, "layers": LAYERS}}
    options = {"steps": 2, "loss": loss, "precision": "float32"}
    whole, tiled = (optimize(content, style, tile=tile, **options) for tile in ("off", 64))
    assert float((whole - tiled).abs().mean()) < 1e-3


def test_pictures_are_cut_where_gradients_would_take_too_much_memory() -> None:
    assert objective_side("auto", 2048, 1024) == 2048 and objective_side("auto", 2048, 1025) == 1024
    assert objective_side("off", 9000, 9000) == 9000 and objective_side(512, 600, 600) == 512
    with pytest.raises(UserError, match="tile must be auto, off or a side"):
        objective_side("big", 64, 64)


@pytest.mark.parametrize("term", ["sliced_wasserstein", "histogram", "central_moments"])
def test_terms_of_whole_distributions_refuse_tiles(term: str) -> None:
    loss = {term: {"weight": 1.0, "layers": {"relu1_1": 1.0}}}
    with pytest.raises(UserError, match=f"loss term '{term}' looks at the whole picture's features at once"):
        optimize(picture(96, 128, 0), picture(64, 64, 1), steps=1, loss=loss, tile=64)
