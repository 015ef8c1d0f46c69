"""Which style region goes where."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch

from nst.region_matching import RegionLook, difference, match_regions, region_looks
from nst.segmentation import Segmentation


def look(lightness: float, y: float = 0.5, share: float = 0.3, thing: int = 0) -> RegionLook:
    return RegionLook(np.array([lightness, 0.0, 0.0]), np.array([y, 0.5]), share, thing)


def test_light_goes_to_light_and_the_sky_to_the_top() -> None:
    assert match_regions([look(1.0), look(-1.0)], [look(-0.8), look(0.9)]) == [1, 0]
    assert match_regions([look(0, y=0.2), look(0, y=0.8)], [look(0, y=0.9), look(0, y=0.1)]) == [1, 0]


def test_a_thing_goes_to_the_same_thing_whatever_its_colour() -> None:
    content, style = [look(1.0, thing=15), look(-1.0)], [look(1.0), look(-1.0, thing=15)]
    assert match_regions(content, style) == [1, 0]


def test_the_whole_match_costs_least() -> None:
    random = np.random.default_rng(0)
    content, style = (
        [RegionLook(random.normal(size=3), random.random(2), random.random(), 0) for _ in range(4)] for _ in range(2)
    )
    cost = {p: sum(difference(a, style[b]) for a, b in zip(content, p, strict=True)) for p in permutations(range(4))}
    assert tuple(match_regions(content, style)) == min(cost, key=lambda p: cost[p])


def test_every_style_region_is_used_before_any_is_used_again() -> None:
    content = [look(float(lightness)) for lightness in (1, 1, 1, 1, 1)]
    chosen = match_regions(content, [look(1.0), look(-3.0)])
    assert sorted(chosen) == [0, 0, 0, 1, 1]
    assert match_regions(content[:2], [look(-3.0), look(1.0), look(0.9)]) in ([1, 2], [2, 1])
    assert set(match_regions(content[:4], [look(1.0), look(1.1), look(6.0)])) == {0, 1, 2}


def test_looks_are_measured_in_deviations_of_their_own_picture() -> None:
    labels = torch.zeros(40, 60, dtype=torch.int64)
    labels[10:] = 1
    bright = torch.where(labels == 1, 0.9, 0.3).expand(1, 3, 40, 60)
    dim = bright * 0.4
    for picture in (bright, dim):
        top, ground = region_looks(picture, Segmentation(labels, (0, 15)))
        assert (top.share, ground.share) == (0.25, 0.75) and (top.thing, ground.thing) == (0, 15)
        assert np.allclose(top.centre, [4.5 / 40, 29.5 / 60])
        # Shares of 1/4 and 3/4: deviations −√3 and 1/√3 from the mean.
        assert np.isclose(top.colour[0], -np.sqrt(3)) and np.isclose(ground.colour[0], 1 / np.sqrt(3))
