"""Mean activations measured on photographs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nst.calibration import calibrate, mean_activations
from nst.encoders import VGG19
from nst.losses import StyleTransferLoss
from nst.networks import StyleTransferNetwork, build

PICTURES = [torch.rand(2, 3, 16, 24), torch.rand(1, 3, 32, 16)]


def network_and_loss(config: dict[str, Any], weights: str = "random") -> tuple[StyleTransferNetwork, StyleTransferLoss]:
    for part in ("content_encoder", "style_encoder"):
        config[part] |= {"weights": weights, "normalized": True}
    loss = StyleTransferLoss(network={"weights": weights}, style={"weight": 1, "layers": {"relu2_1": 1}})
    return build(config), loss


def test_every_photograph_counts_alike_whatever_its_size() -> None:
    encoder = VGG19(["relu2_1"], weights="random", normalized=False)
    found = mean_activations(encoder, PICTURES)
    assert list(found) == ["conv1_1", "conv1_2", "conv2_1"]
    for name, means in found.items():
        layer = name.replace("conv", "relu")
        maps = [encoder.features(picture[None], [layer])[layer].numpy() for batch in PICTURES for picture in batch]
        expected = np.mean([features[0].reshape(len(means), -1).mean(axis=1) for features in maps], axis=0)
        np.testing.assert_allclose(means.numpy(), expected, rtol=1e-4)


def test_after_calibration_every_filter_that_fires_has_mean_one() -> None:
    encoder = VGG19(["relu2_1"], weights="random")
    means = mean_activations(encoder, PICTURES)
    encoder.set_mean_activations(means)
    fires = means["conv2_1"] > 0.01
    assert fires.sum() > 100
    each = torch.cat([encoder(batch)[0].mean(dim=(2, 3)) for batch in PICTURES])
    assert torch.allclose(each.mean(dim=0)[fires], torch.ones(int(fires.sum())), atol=1e-3)


def test_calibrating_twice_changes_nothing() -> None:
    encoder = VGG19(["relu2_1"], weights="random")
    first = mean_activations(encoder, PICTURES)
    encoder.set_mean_activations(first)
    before = encoder(PICTURES[0])[0]
    second = mean_activations(encoder, PICTURES)
    for name, means in first.items():
        assert torch.allclose(second[name], means, rtol=1e-3, atol=1e-4), name
    encoder.set_mean_activations(second)
    assert torch.allclose(encoder(PICTURES[0])[0], before, rtol=1e-3, atol=1e-4)


def test_an_encoder_that_ends_in_a_convolution_can_be_calibrated() -> None:
    encoder = VGG19(["conv2_1"], weights="random")
    encoder.set_mean_activations(mean_activations(encoder, PICTURES))
    assert not encoder.needs_calibration


def test_calibrate_normalises_both_encoders_and_the_loss_network(tiny_config: dict[str, Any]) -> None:
    network, loss = network_and_loss(tiny_config)
    calibrate(network, loss, iter(PICTURES))  # an iterator can be gone through only once
    for encoder in (network.content_encoder, network.style_encoder, loss.network):
        assert isinstance(encoder, VGG19)
        assert not encoder.needs_calibration
        (features,) = encoder.features(PICTURES[0], ["relu2_1"]).values()
        assert float(features.mean()) == pytest.approx(1, abs=0.1)


def test_calibrate_looks_at_no_photograph_when_all_means_are_known(tiny_config: dict[str, Any]) -> None:
    def photographs() -> Iterator[Tensor]:
        raise AssertionError("photographs were read")
        yield

    network, loss = network_and_loss(tiny_config, weights="caffe")
    before = network.content_encoder(PICTURES[0])
    calibrate(network, loss, photographs())
    assert all(torch.equal(a, b) for a, b in zip(before, network.content_encoder(PICTURES[0]), strict=True))
