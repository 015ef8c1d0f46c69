"""Channels, strides and margins of a traced network."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

from nst.graph_reach import WHOLE_PICTURE, Layer, measure_layers


class Network(nn.Module):
    """Two branches of different reach, a block that torchvision does not trace through, a functional pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 4, 5, padding=4, dilation=2)
        self.narrow = nn.Conv2d(3, 4, 1)
        self.halving = nn.Conv2d(4, 6, 4, stride=2, padding=1)
        self.block = Conv2dNormActivation(6, 8, 3, stride=2)
        self.gate = SqueezeExcitation(8, 2)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        both = self.wide(pictures) + self.narrow(pictures)
        half = self.halving(both)
        pooled = F.max_pool2d(half, 2)
        block = self.block(half)
        return {"both": both, "half": half, "pooled": pooled, "block": block, "gate": self.gate(block)}


def test_reaches_add_up_along_the_longest_branch_in_pixels_of_the_picture() -> None:
    graph = fx.symbolic_trace(Network())
    with torch.no_grad():
        found = measure_layers(graph, ["both", "half", "pooled", "block", "gate"])
    assert found["both"] == Layer(4, 1, 4)  # 2 positions of dilation 2
    assert found["half"] == Layer(6, 2, 4 + 2)  # a kernel of 4 reaches 2 to one side
    assert found["pooled"] == Layer(6, 4, 6 + 2)
    assert found["block"] == Layer(8, 4, 6 + 2)
    assert found["gate"] == Layer(8, 4, WHOLE_PICTURE)
