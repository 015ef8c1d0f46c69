"""Reflection padding: torch's own, faster under autocast."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nst.reflection import ReflectionConv2d


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
