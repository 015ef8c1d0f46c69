"""Reflection padding: torch's own, faster under autocast."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nst.devices import has_fast_bfloat16
from nst.encoders import VGG19
from nst.reflection import ReflectionConv2d, ReflectionSequential


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_it_equals_torchs_convolution_to_the_bit(kernel_size: int, bfloat16: bool) -> None:
    layers = [
        ReflectionConv2d(6, 8, kernel_size, padding=kernel_size // 2),
        nn.Conv2d(6, 8, kernel_size, padding=kernel_size // 2, padding_mode="reflect"),
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    features = torch.randn(2, 6, 12, 9).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        given = features.bfloat16() if bfloat16 else features
        one, other = (layer(given) for layer in layers)
    assert one.dtype == other.dtype and torch.equal(one, other)


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_a_relu_after_it_is_the_same_to_the_bit_wherever_it_is_taken(kernel_size: int) -> None:
    """With gradients or without, in bfloat16 or float32, of features in either layout, alone or in a sequence."""
    layer = ReflectionConv2d(6, 8, kernel_size, padding=1, stride=kernel_size - 2)
    sequence = ReflectionSequential(layer, nn.ReLU(inplace=True), nn.Upsample(scale_factor=2))
    plain = nn.Sequential(*sequence)
    for features in (torch.randn(2, 6, 12, 10), torch.randn(2, 6, 12, 10).to(memory_format=torch.channels_last)):
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                expected, upsampled = layer(features).relu(), plain(features)
                assert expected.requires_grad and torch.equal(layer.rectified(features), expected)
                with torch.no_grad():
                    assert torch.equal(layer.rectified(features), expected)
                    assert torch.equal(sequence(features), upsampled)


@pytest.mark.skipif(not has_fast_bfloat16(torch.device("cpu")), reason="this processor computes in float32")
def test_it_takes_the_relu_along_where_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "relu", lambda *arguments, **options: pytest.fail("a pass of its own"))
    encoder = VGG19(["relu1_1", "relu2_1"], weights="random", padding="reflect")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert all(float(level.min()) == 0 for level in encoder(torch.rand(1, 3, 32, 32)))


def test_under_autocast_features_are_padded_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes, pad = [], F.pad

    def watched(features: torch.Tensor, *arguments: object, **options: object) -> torch.Tensor:
        padded = pad(features, *arguments, **options)  # type: ignore[arg-type]
        dtypes.append(padded.dtype)
        return padded

    monkeypatch.setattr(F, "pad", watched)
    features = torch.randn(1, 4, 8, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        ReflectionConv2d(4, 4, 3, padding=1)(features)
    assert dtypes == [torch.bfloat16]
