"""Frames of a film one after another, without flicker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from nst.base_network import BaseNetwork, Region
from nst.color_transport import ColorStatistics
from nst.errors import UserError
from nst.fusion import Alpha
from nst.optical_flow import Flow, reliability, warp
from nst.pictures import as_float, as_given
from nst.statistics import Statistics
from nst.tiling import Tile, render

AnyStatistics = TypeVar("AnyStatistics", Statistics, ColorStatistics)

STEADY = ("off", "statistics", "flow")
SETTLING_SECONDS = 1.0  # time in which the averaged statistics follow a change to 63 %
CARRIED = 0.6  # share of the previous output where it fits: more is steadier, and softer, as every warp blurs
HISTOGRAM_LEVELS = 8  # a channel
CUT = 0.5  # share of pixels whose colours changed from which on a frame starts a new scene


def check_steady(mode: str) -> None:
    """Raises UserError unless ``mode`` is one of :data:`STEADY`."""
    if mode not in STEADY:
        raise UserError(f"unknown steady {mode!r}: choose from {', '.join(STEADY)}.")


class SteadyPainter:
    """Paints a film's frames, in order.

    AdaIN divides by the statistics of the content's features. Those of a frame alone vary with what comes into the picture
    and with noise, and everything changes its colour with them; here they are averaged over time, exponentially. And what a
    frame shows again is taken, in part, from the previous result along the optical flow, so that strokes stay on things
    (after Ruder et al. 2016, "Artistic Style Transfer for Videos"; Chen et al. 2017, "Coherent Online Video Style
    Transfer"). Both start anew at cuts.

    Args:
        network: on the device that computes.
        autocast: the context of its computation.
        flow: optical flow; ``None`` carries nothing over.
        average_statistics: ``False`` uses each frame's own.
    """

    def __init__(
        self,
        network: BaseNetwork,
        autocast: Callable[[], AbstractContextManager[object]],
        flow: Flow | None = None,
        average_statistics: bool = True,
    ) -> None:
        self.network, self.autocast, self.flow, self.average_statistics = network, autocast, flow, average_statistics
        self._tensors: dict[str, Tensor] = {}

    def state(self) -> dict[str, Tensor]:
        """All that the frames so far mean for those that follow."""
        return {name: tensor.contiguous().cpu() for name, tensor in self._tensors.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        device = next(self.network.parameters()).device
        self._tensors = {name: tensor.to(device) for name, tensor in state.items()}

    @torch.inference_mode()
    def __call__(
        self, picture: Tensor, regions: Sequence[Region], seconds: float, alpha: Alpha = 1.0, tile: Tile = "auto"
    ) -> Tensor:
        """Paint the next frame.

        Args:
            picture: ``(1, 3, H, W)`` uint8 or float in [0, 1]; of the size of the frames before.
            regions: styles, see :func:`nst.tiling.render`; they may change from frame to frame.
            seconds: since the frame before.
            alpha, tile: see :func:`nst.tiling.render`.

        Returns:
            As ``picture``.
        """
        current = as_float(picture).to(next(self.network.parameters()).device)
        histogram = color_histogram(current)
        if "histogram" in self._tensors and is_cut(self._tensors["histogram"], histogram):
            self._tensors = {}
        follow = 1 - math.exp(-max(seconds, 0) / SETTLING_SECONDS)

        adjust = partial(self._follow, weight=follow) if self.average_statistics else None
        output = render(self.network, current, regions, alpha, tile, self.autocast, adjust)
        if self.flow is not None:
            if "output" in self._tensors:
                output = self._carry_over(current, output)
            self._tensors |= {"output": output, "picture": current}
        self._tensors["histogram"] = histogram
        return as_given(output, picture)

    def _follow(self, name: str, found: AnyStatistics, weight: float) -> AnyStatistics:
        """The average of some statistics, moved towards this frame's by ``weight``."""
        averages = {}
        for field, value in found._asdict().items():
            key = f"{name}.{field}"
            averages[field] = torch.lerp(self._tensors[key], value, weight) if key in self._tensors else value
        self._tensors |= {f"{name}.{field}": value for field, value in averages.items()}
        return type(found)(**averages)

    def _carry_over(self, current: Tensor, output: Tensor) -> Tensor:
        assert self.flow is not None
        previous = self._tensors["picture"]
        backward, forward = self.flow(current, previous), self.flow(previous, current)
        fits = reliability(backward, forward, current, warp(previous, backward, "bilinear"))
        carried = warp(self._tensors["output"], backward).clamp_(0, 1)
        return torch.lerp(output, carried, CARRIED * fits)


def color_histogram(picture: Tensor) -> Tensor:
    """Shares of pixels (of every other row and column) in 8 × 8 × 8 boxes of colours: ``(512,)``.

    ``picture`` is ``(1, 3, H, W)`` in [0, 1].
    """
    levels = (picture[0, :, ::2, ::2] * HISTOGRAM_LEVELS).long().clamp(0, HISTOGRAM_LEVELS - 1).flatten(1)
    boxes = (levels[0] * HISTOGRAM_LEVELS + levels[1]) * HISTOGRAM_LEVELS + levels[2]
    return torch.bincount(boxes, minlength=HISTOGRAM_LEVELS**3) / boxes.numel()


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two colour histograms belong to different scenes: half of the pixels changed colour. Motion within a scene
    moves colours about and hardly changes how many there are of each."""
    return float((before - after).abs().sum()) / 2 > CUT
