"""What image optimisation compares a picture with: mixed styles and regions as distributions of features."""

from __future__ import annotations

import torch
from torch import Tensor

from nst.image_objective import MaskedLossFeatures, MixedLossFeatures
from nst.loss_features import LossFeatures


def features_of(values: Tensor) -> LossFeatures:
    """One channel, ``(1, 1, H, W)``, seen as twice as large."""
    return LossFeatures({"layer": values}, {"layer": torch.tensor([2.0])})


def numbered(height: int, width: int, first: int) -> Tensor:
    return torch.arange(first, first + height * width, dtype=torch.float32).view(1, 1, height, width)


def test_samples_of_mixed_styles_are_as_many_of_each_as_its_weight_says() -> None:
    small, large = numbered(4, 5, first=0), numbered(8, 10, first=1000)  # 20 and 80 positions
    mixed = MixedLossFeatures([features_of(small), features_of(large)], [0.25, 0.75])
    values = mixed.samples("layer")[0, 0] / 2
    first, second = values[values < 1000], values[values >= 1000]
    assert (len(first), len(second)) == (20, 60)
    assert torch.equal(first.sort().values, small.flatten())  # the small style has as many as it should give
    assert second.min() == 1000 and second.max() == 1079  # from the whole of the large one …
    assert len(second.unique()) == 60 and abs(float(second.mean()) - 1039.5) < 0.5  # … evenly


def test_samples_of_a_small_style_are_repeated_evenly() -> None:
    small, large = numbered(1, 4, first=0), numbered(1, 12, first=1000)
    values = MixedLossFeatures([features_of(small), features_of(large)], [1.0, 0.0]).samples("layer")[0, 0] / 2
    assert len(values) == 12 and torch.equal(values.unique(), small.flatten())


def test_samples_of_one_style_are_all_of_its_positions() -> None:
    only = features_of(numbered(3, 4, first=0))
    assert torch.equal(MixedLossFeatures([only], [1.0]).samples("layer"), only.samples("layer"))


def test_samples_of_a_region_are_its_own_positions() -> None:
    values = numbered(4, 6, first=0)
    mask = torch.zeros(1, 1, 16, 24)
    mask[:, :, :, 8:] = 1
    inside = MaskedLossFeatures(features_of(values), mask).samples("layer")[0, 0] / 2
    assert torch.equal(inside, values[..., 2:].flatten())


def test_a_region_smaller_than_a_position_has_its_innermost_one() -> None:
    mask = torch.zeros(1, 1, 16, 24)
    mask[:, :, 5:6, 9:10] = 1  # a sixteenth of the position in row 1, column 2
    inside = MaskedLossFeatures(features_of(numbered(4, 6, first=0)), mask).samples("layer")[0, 0] / 2
    assert inside.tolist() == [8]


def test_samples_of_mixed_regions_come_from_the_regions_alone() -> None:
    left = torch.zeros(1, 1, 4, 6)
    left[..., :3] = 1
    regions = [
        MaskedLossFeatures(features_of(numbered(4, 6, first=0)), left),
        MaskedLossFeatures(features_of(numbered(4, 6, first=1000)), 1 - left),
    ]
    values = MixedLossFeatures(regions, [0.5, 0.5]).samples("layer")[0, 0] / 2
    assert len(values) == 12
    for value in values.tolist():
        assert value % 1000 % 6 < 3 if value < 1000 else (value - 1000) % 6 >= 3
