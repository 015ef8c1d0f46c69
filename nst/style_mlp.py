"""What an MLP reads from a style's statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.style_code import StyleCode

SMALLEST_STATISTIC = 0.01  # added to every statistic before its logarithm is taken
SMALLEST_DEVIATION = 0.1  # of a statistic's logarithm between styles: one that hardly differs is not blown up


def log_statistics(style: StyleCode, layers: Sequence[str]) -> Tensor:
    """``(B, 2·ΣC)``: means and deviations as logarithms, since activations span decades and a style's contrast is a factor.

    ``log(x + ε)``; means below 0, which layers without a ReLU have, are mirrored at the value of 0, ``log ε``.
    """
    zero = math.log(SMALLEST_STATISTIC)
    values = torch.cat([value for layer in layers for value in style[layer]], dim=1)
    return zero + values.sign() * ((values.abs() + SMALLEST_STATISTIC).log() - zero)


class EqualizedLinear(nn.Linear):
    """A linear layer at an equalized learning rate (Karras et al. 2018, section 4.1): weights of deviation 1, divided by the root
    of the number of inputs where they are used.

    Adam moves every weight by its learning rate, so thousands of inputs that change together move an output by thousands of
    times that: of a plain layer's 256 ReLUs it had carried more than 230 where no style reaches them.
    """

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input / math.sqrt(self.in_features), self.weight, self.bias)


class StyleMLP(nn.Module):
    """An MLP of one hidden layer over the logarithms of a StyleCode's statistics, standardised.

    Args:
        layers: the code's layers that it reads …
        channels: … and their channels.
        hidden: width of the hidden layer.
        outputs: numbers it gives.

    Attributes:
        mean, deviation: ``(2·ΣC,)``, of the logarithms between styles: 0 and 1 until :meth:`standardize` has seen some.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Sequence[str], channels: Sequence[int], hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = tuple(layers)
        inputs = 2 * sum(channels)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.first, self.last = EqualizedLinear(inputs, hidden), EqualizedLinear(hidden, outputs)

    @torch.no_grad()
    def standardize(self, styles: Sequence[StyleCode]) -> None:
        """Let the logarithms have mean 0 and deviation 1 between these styles."""
        known = torch.cat([log_statistics(code, self.layers) for code in styles])
        deviation, mean = torch.std_mean(known, dim=0, correction=0)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(SMALLEST_DEVIATION))

    def forward(self, style: StyleCode) -> Tensor:
        """``(B, outputs)`` float32 for a code of B styles."""
        with torch.autocast(self.mean.device.type, enabled=False):
            known = (log_statistics(style, self.layers) - self.mean) / self.deviation
            return self.last(self.first(known).relu())
