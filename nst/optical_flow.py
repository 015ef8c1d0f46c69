"""Optical flow between neighbouring frames of a film, and what can be carried along it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.images import crop, pad_to_multiple
from nst.video_reading import require_extra

Flow = Callable[[Tensor, Tensor], Tensor]
DIS_SMALLEST = 16  # pixels: sides of pictures that its patches fit into
RAFT_MULTIPLE, RAFT_SMALLEST = 8, 128  # sides that RAFT takes
LARGEST_RESIDUAL = 0.1  # mean difference of colours in [0, 1] from which on a flow counts as wrong


def choose_flow(device: torch.device) -> Flow:
    """RAFT on an accelerator where torchvision's weights of it are on disk, else OpenCV's DIS flow.

    On a processor RAFT would take several times as long as the stylization.

    Raises:
        UserError: OpenCV is needed and not installed.
    """
    if device.type != "cpu" and raft_weights() is not None:
        return raft_flow
    require_extra("cv2")
    return dis_flow


def dis_flow(first: Tensor, second: Tensor) -> Tensor:
    """Where each pixel of ``first`` lies in ``second``: OpenCV's DIS (Kroeger et al. 2016, "Fast Optical Flow using Dense
    Inverse Search").

    Args:
        first, second: ``(1, 3, H, W)`` float in [0, 1].

    Returns:
        ``(1, 2, H, W)`` float32: displacement to the right and downwards, in pixels.
    """
    if min(first.shape[2:]) < DIS_SMALLEST:  # as if nothing had moved
        return torch.zeros(1, 2, *first.shape[2:], device=first.device)
    grey = [(255 * picture[0].mean(dim=0)).round().to("cpu", torch.uint8).numpy() for picture in (first, second)]
    return torch.from_numpy(_dis().calc(grey[0], grey[1], None)).permute(2, 0, 1)[None].to(first.device)


@cache
def _dis() -> Any:
    cv2 = require_extra("cv2")
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # The preset has 3 and 25: half as long again, for the same error on a panned photograph (0.07 pixels).
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(12)
    return dis


def raft_weights() -> Path | None:
    """The file of torchvision's RAFT (small), if it was downloaded; nothing is downloaded here."""
    from torchvision.models.optical_flow import Raft_Small_Weights

    path = Path(torch.hub.get_dir(), "checkpoints", Raft_Small_Weights.DEFAULT.url.rsplit("/", 1)[1])
    return path if path.is_file() else None


def raft_flow(first: Tensor, second: Tensor) -> Tensor:
    """As :func:`dis_flow`, by RAFT (Teed & Deng 2020, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow")."""
    size = (first.shape[2], first.shape[3])
    border = max(-(-(RAFT_SMALLEST - min(size)) // 2), 0)
    pair = [pad_to_multiple(picture, RAFT_MULTIPLE, border)[0] * 2 - 1 for picture in (first, second)]
    return crop(_raft(str(raft_weights()), str(first.device))(*pair)[-1], size, border).float()


@cache
def _raft(weights: str, device: str) -> nn.Module:
    from torchvision.models.optical_flow import raft_small

    network = raft_small()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval().requires_grad_(False).to(device)


def warp(picture: Tensor, flow: Tensor, interpolation: str = "bicubic") -> Tensor:
    """``picture`` seen from the frame that ``flow`` starts from: ``out(x) = picture(x + flow(x))``.

    Args:
        picture: ``(1, C, H, W)`` float; positions outside take the nearest edge.
        flow: ``(1, 2, H, W)`` in pixels.
        interpolation: ``bicubic``, for what is carried on from frame to frame, where blur would add up, or ``bilinear``.
    """
    height, width = picture.shape[2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=3)
    return F.grid_sample(picture, grid, mode=interpolation, padding_mode="border", align_corners=True)


def reliability(backward: Tensor, forward: Tensor, current: Tensor, warped_previous: Tensor) -> Tensor:
    """Where the previous frame shows the same thing as the current one: ``(1, 1, H, W)`` in [0, 1].

    Zero where a pixel came into the picture or was hidden before: forward and backward flow disagree (Sundaram, Brox and
    Keutzer 2010, "Dense Point Trajectories by GPU-accelerated Large Displacement Optical Flow", equation 5, as Ruder et
    al. 2016, "Artistic Style Transfer for Videos", use it). It falls to zero, too, with the difference of colours.

    Args:
        backward: flow from the current frame to the previous one.
        forward: flow from the previous frame to the current one.
        current: the current frame, ``(1, 3, H, W)`` float in [0, 1].
        warped_previous: the previous frame along ``backward``.
    """
    height, width = backward.shape[2:]
    returned = warp(forward, backward, "bilinear")
    disagreement = (backward + returned).square().sum(dim=1, keepdim=True)
    size = backward.square().sum(dim=1, keepdim=True) + returned.square().sum(dim=1, keepdim=True)
    x = torch.arange(width, device=backward.device) + backward[:, :1]
    y = torch.arange(height, device=backward.device)[:, None] + backward[:, 1:]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    visible = inside & (disagreement < 0.01 * size + 0.5)
    residual = (current - warped_previous).abs().mean(dim=1, keepdim=True)
    return visible * (1 - residual / LARGEST_RESIDUAL).clamp(0, 1)
