"""Regions found by their look, and things where weights of a network are on disk."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from nst import UserError, segmentation
from nst.images import to_tensor
from nst.segmentation import SMALLEST_SHARE, Segmentation, segment


@pytest.fixture(autouse=True)
def _no_weights_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


def landscape(noise: float = 0.03) -> tuple[torch.Tensor, torch.Tensor]:
    """A blue sky, a green meadow and a red house in it, and which pixel is which."""
    picture, labels = Image.new("RGB", (150, 100), (90, 150, 230)), Image.new("L", (150, 100), 0)
    for box, colour, label in (((0, 60, 150, 100), (60, 140, 50), 1), ((20, 40, 70, 85), (190, 40, 30), 2)):
        ImageDraw.Draw(picture).rectangle(box, fill=colour)
        ImageDraw.Draw(labels).rectangle(box, fill=label)
    tensor = to_tensor(picture)[None]
    return (tensor + noise * torch.randn_like(tensor)).clamp(0, 1), (to_tensor(labels)[0] * 255).round().long()


def agreement(found: Segmentation, truth: torch.Tensor) -> float:
    """Share of the pixels whose region is, for the most part, their true one."""
    overlap = torch.zeros(len(found.classes), int(truth.max()) + 1)
    overlap.index_put_((found.labels.flatten(), truth.flatten()), torch.ones(truth.numel()), accumulate=True)
    return float(overlap.max(dim=1).values.sum() / truth.numel())


def test_parts_of_different_colour_are_regions() -> None:
    picture, truth = landscape()
    found = segment(picture)
    assert found.labels.shape == truth.shape and found.classes == (0, 0, 0)
    assert agreement(found, truth) > 0.97


def test_a_picture_without_contrast_is_one_region() -> None:
    assert segment(torch.full((1, 3, 60, 80), 0.4)).classes == (0,)
    assert len(segment((0.4 + 0.02 * torch.randn(1, 3, 60, 80)).clamp(0, 1)).classes) == 1


def test_no_region_is_too_small_for_statistics(photographs: list[torch.Tensor]) -> None:
    for photograph in photographs:
        found = segment(photograph)
        assert max(found.labels.shape) == 256 and 2 <= len(found.classes) <= 4
        shares = found.labels.flatten().bincount(minlength=len(found.classes)) / found.labels.numel()
        assert float(shares.min()) >= SMALLEST_SHARE


def test_things_that_a_network_sees_are_regions_and_the_rest_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, truth = landscape()
    classes = torch.where(truth == 2, 7, 0)
    classes[:2, :2] = 12  # too small to count
    monkeypatch.setattr(segmentation, "find_network", lambda: "a network")
    monkeypatch.setattr(segmentation, "_things", lambda _: classes)
    found = segment(picture)
    assert found.classes == (7, 0, 0) and torch.equal(found.labels == 0, truth == 2)
    assert agreement(found, truth) > 0.97


def test_a_network_is_used_where_torchvision_has_left_its_weights(tmp_path: Path) -> None:
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights as Weights
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    assert segmentation.find_network() is None
    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    with torch.no_grad():  # one that sees cats everywhere
        network.classifier.low_classifier.bias[8] = 1e4
    (tmp_path / "checkpoints").mkdir()
    torch.save(network.state_dict(), tmp_path / "checkpoints" / Weights.DEFAULT.url.rsplit("/", 1)[1])
    assert segmentation.find_network() == "lraspp_mobilenet_v3_large"
    found = segment(landscape()[0])
    assert found.classes == (8,) and not found.labels.any()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UserError, match=r"needs scikit-image.*nst\[segment\]"):
        segment(landscape()[0])
