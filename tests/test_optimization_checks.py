"""What image optimisation refuses from Python, before its first step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nst import UserError
from nst.image_optimization import optimize

LAYERS = {"relu1_1": 1.0}
LOSS = {"content": {"weight": 1.0, "layers": LAYERS}, "style": {"weight": 20.0, "layers": LAYERS}}
MASK = torch.zeros(48, 64)


def picture(seed: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, 48, 64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'"),
        ({"init": "nowhere.jpg"}, "unknown init 'nowhere.jpg'"),
        ({"init": None}, "unknown init None: choose from content, noise, stylizer, or give a picture"),
        ({"init": picture(2, count=3)}, "a batch of 3 as init"),
        ({"steps": 0}, "at least 1"),
        ({"scales": 3}, "coarsest scale"),
        ({"style_size": 8}, "style_size=8 is 8 pixels at the coarsest scale, below 16"),
        ({"size": 64, "scales": 2, "style_size": 31}, "style_size=31 is 15 pixels at the coarsest scale"),
        ({"weights": [1.0, 2.0]}, "one number of at least 0 a style"),
        ({"style": []}, "one number of at least 0 a style"),
        ({"masks": [MASK, MASK]}, "2 masks for 1 styles"),
        ({"masks": MASK, "weights": [1.0]}, "1 masks for 1 styles, and weights"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"mask": "elsewhere"}, "mask must be segment or 2 label images"),
        ({"mask": "segment", "weights": [1.0]}, "neither weights nor masks"),
        ({"loss": "gatys"}, "loss must be a dict of a loss's options: found 'gatys'; docs/losses.md shows how"),
        ({"loss": {"style": {"weight": 0.0, "layers": LAYERS}}}, "no term of the loss has a weight above 0"),
        ({"loss": {"identity": {"weight": 1.0}}}, "no term of the loss has a weight above 0"),
    ],
)
def test_mistakes_are_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        optimize(picture(0), **({"style": picture(1), "loss": LOSS} | options))


def test_a_loss_that_refuses_the_tiles_of_the_last_scale_does_so_before_the_first_step() -> None:
    steps: list[int] = []
    loss = LOSS | {"histogram": {"weight": 1.0, "layers": LAYERS}}
    with pytest.raises(UserError, match="loss term 'histogram' looks at the whole picture's features at once"):
        optimize(picture(0), picture(1), size=72, scales=2, tile=64, loss=loss, on_step=lambda p: steps.append(p.step))
    assert steps == []
