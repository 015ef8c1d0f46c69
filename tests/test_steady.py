"""Steady films: less flicker on known motion, statistics over time, cuts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from films import panned
from torch import Tensor

from nst import Stylizer, UserError
from nst.base_network import Region
from nst.optical_flow import dis_flow, warp
from nst.steady import SETTLING_SECONDS, SteadyPainter, check_steady, color_histogram, is_cut

NIGHT = Path(__file__).parent.parent / "data" / "samples" / "style" / "impressionism" / "cypress_night.jpg"
INTERVAL = 1 / 25


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer.from_pretrained("vgg19", precision="float32", device="cpu")


@pytest.fixture(scope="module")
def regions(stylizer: Stylizer) -> list[Region]:
    return [Region(stylizer.encode_style(NIGHT, style_size=128))]


def view(step: float, count: int, width: int = 96, height: int = 72, name: str = "coffee") -> list[Tensor]:
    return [torch.tensor(f).permute(2, 0, 1)[None] for f in panned(count, width, height, step, name)]


def warping_error(outputs: list[Tensor], step: float) -> float:
    """Mean squared difference of neighbouring results along the known motion (Lai et al. 2018)."""
    errors = []
    for before, after in zip(outputs[:-1], outputs[1:], strict=True):
        motion = torch.zeros(1, 2, *before.shape[2:])
        motion[:, 0] = step
        difference = warp(before.float() / 255, motion) - after.float() / 255
        errors.append(difference[..., 8:-8, 8 : -8 - math.ceil(step)].square().mean())
    return float(torch.stack(errors).mean())


@pytest.mark.parametrize("step", [1.5, 3.0])
def test_the_warping_error_on_a_panned_still_is_less_than_half(
    stylizer: Stylizer, regions: list[Region], step: float
) -> None:
    frames = view(step, 6)
    alone = SteadyPainter(stylizer.network, stylizer.autocast, None, average_statistics=False)
    steady = SteadyPainter(stylizer.network, stylizer.autocast, dis_flow)
    single = [alone(frame, regions, INTERVAL) for frame in frames]
    joined = [steady(frame, regions, INTERVAL) for frame in frames]
    assert torch.equal(single[0], joined[0])
    assert warping_error(joined, step) < 0.5 * warping_error(single, step)

    def detail(picture: Tensor) -> Tensor:
        return picture.float().diff(dim=3).square().mean()

    assert detail(joined[-1]) > 0.6 * detail(single[-1])  # not by blurring


def test_statistics_follow_a_change_exponentially(stylizer: Stylizer, regions: list[Region]) -> None:
    painter = SteadyPainter(stylizer.network, stylizer.autocast)
    frame = view(0, 1)[0]
    painter(frame, regions, 0.0)
    before = painter.state()
    darker = (frame * 0.97).to(torch.uint8)
    fresh = SteadyPainter(stylizer.network, stylizer.autocast)
    fresh(darker, regions, 0.0)
    target = fresh.state()
    # By hand: after t seconds the rest of a step is exp(-t/τ).
    for _ in range(2):
        painter(darker, regions, INTERVAL)
    rest = math.exp(-2 * INTERVAL / SETTLING_SECONDS)
    for name in ("0.colors.mean", "0.colors.covariance"):  # those of the features are of the recoloured frame
        assert not torch.allclose(before[name], target[name], atol=1e-4)
        assert torch.allclose(painter.state()[name], target[name] + rest * (before[name] - target[name]), atol=1e-6)


def test_a_cut_starts_anew(stylizer: Stylizer, regions: list[Region]) -> None:
    painter = SteadyPainter(stylizer.network, stylizer.autocast, dis_flow)
    for frame in view(2, 2):
        painter(frame, regions, INTERVAL)
    other = view(2, 1, name="astronaut")[0]
    fresh = SteadyPainter(stylizer.network, stylizer.autocast, dis_flow)
    assert torch.equal(painter(other, regions, INTERVAL), fresh(other, regions, INTERVAL))


def test_another_scene_is_a_cut_and_fast_motion_is_none() -> None:
    def histogram(frame: Tensor) -> Tensor:
        return color_histogram(frame.float() / 255)

    fast = [histogram(frame) for frame in view(12, 3)]
    assert float(fast[0].sum()) == pytest.approx(1)
    assert not is_cut(fast[0], fast[1]) and not is_cut(fast[1], fast[2])
    for name in ("astronaut", "chelsea", "rocket"):
        assert is_cut(fast[0], histogram(view(0, 1, name=name)[0]))


def test_the_state_carries_on(stylizer: Stylizer, regions: list[Region]) -> None:
    frames = view(2, 3)
    painter = SteadyPainter(stylizer.network, stylizer.autocast, dis_flow)
    painter(frames[0], regions, INTERVAL)
    painter(frames[1], regions, INTERVAL)
    other = SteadyPainter(stylizer.network, stylizer.autocast, dis_flow)
    other.load_state(painter.state())
    assert torch.equal(painter(frames[2], regions, INTERVAL), other(frames[2], regions, INTERVAL))


def test_unknown_modes_are_refused() -> None:
    with pytest.raises(UserError, match="off, statistics, flow"):
        check_steady("very")
