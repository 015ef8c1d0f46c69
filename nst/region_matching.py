"""Which region of a style goes to which region of a content."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from nst.segmentation import BACKGROUND, Segmentation, to_lab, working_size

# What a difference costs. Colours and lightness are compared in deviations of their own picture: the lightest part of a
# dark painting goes to the lightest part of a photograph.
LIGHTNESS, CHROMA, HEIGHT, SIDE, SHARE, OTHER_THING = 1.0, 0.5, 1.0, 0.25, 0.5, 4.0
SMALLEST_DEVIATION = 5.0  # CIELAB units: in a picture of one colour differences are not blown up


class RegionLook(NamedTuple):
    """What a region is matched by: CIELAB colour in deviations of its picture, centre (y, x) and share of the picture, both
    in [0, 1], and the class of the thing that it is."""

    colour: np.ndarray
    centre: np.ndarray
    share: float
    thing: int


def region_looks(picture: Tensor, found: Segmentation) -> list[RegionLook]:
    """Looks of the regions of a ``(1, 3, H, W)`` RGB picture in [0, 1]."""
    small = working_size(picture)
    labels = F.interpolate(found.labels[None, None].double(), size=small.shape[2:], mode="nearest")[0, 0].long().numpy()
    lab = to_lab(small)
    lab = (lab - lab.mean(axis=(0, 1))) / lab.std(axis=(0, 1)).clip(SMALLEST_DEVIATION)
    height, width = labels.shape
    rows, columns = np.mgrid[:height, :width]
    looks = []
    for label, thing in enumerate(found.classes):
        inside = labels == label
        centre = np.array([rows[inside].mean() / height, columns[inside].mean() / width])
        looks.append(RegionLook(lab[inside].mean(axis=0), centre, float(inside.mean()), thing))
    return looks


def difference(content: RegionLook, style: RegionLook) -> float:
    """How badly a style region suits a content region, in the weights above."""
    colour, centre = abs(content.colour - style.colour), abs(content.centre - style.centre)
    cost = LIGHTNESS * colour[0] + CHROMA * float(np.hypot(colour[1], colour[2]))
    cost += HEIGHT * centre[0] + SIDE * centre[1] + SHARE * abs(content.share - style.share)
    both_background = content.thing == style.thing == BACKGROUND
    return float(cost + (0 if content.thing == style.thing or both_background else OTHER_THING))


def match_regions(content: list[RegionLook], style: list[RegionLook]) -> list[int]:
    """For each content region the style region that it takes, all of least cost together.

    No style region is taken again before every one was: a picture painted by one corner of the painting would be dull.
    """
    from scipy.optimize import linear_sum_assignment  # scikit-image needs scipy, too

    costs = np.array([[difference(one, other) for other in style] for one in content])
    rounds = -(-len(content) // len(style))
    again = 1 + costs.sum()  # more than any choice costs
    _, columns = linear_sum_assignment(np.concatenate([costs + taken * again for taken in range(rounds)], axis=1))
    return [int(column) % len(style) for column in columns]
