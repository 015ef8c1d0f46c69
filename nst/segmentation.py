"""Regions of a picture, found by their look: superpixels merged by colour, and things where a network knows them."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.errors import UserError

WORKING_SIDE = 256  # longer side at which regions are sought: their borders are soft anyway
SUPERPIXELS = 250
MOST_REGIONS = 4  # of the parts that are not things
LEAST_CONTRAST = 10.0  # CIELAB units: halves of a picture that differ by 14, or smaller parts by more, are two regions
POSITION_WEIGHT = 24.0  # CIELAB units by which opposite edges count as different: alone, too little for two regions
SMALLEST_SHARE = 0.03  # of the picture: smaller regions have no statistics to speak of
BACKGROUND = 0  # the class of all that is not a thing
# Torchvision's segmentation networks for the 21 classes of PASCAL VOC, best first.
NETWORKS = ("deeplabv3_resnet101", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")


class Segmentation(NamedTuple):
    """Regions of a picture.

    Attributes:
        labels: ``(h, w)`` int64, which region a pixel belongs to, at a size of its own.
        classes: of each region the PASCAL VOC class of the thing that it is, 0 where it is none.
    """

    labels: Tensor
    classes: tuple[int, ...]


def segment(picture: Tensor) -> Segmentation:
    """Find the regions of a ``(1, 3, H, W)`` float RGB picture in [0, 1].

    Where the weights of one of torchvision's networks (Chen et al. 2017, "Rethinking Atrous Convolution for Semantic Image
    Segmentation"; Howard et al. 2019, "Searching for MobileNetV3") are on disk, the things that it sees are regions. The
    rest, or all, is divided by :func:`colour_regions`. Nothing is downloaded.

    Raises:
        UserError: scikit-image is not installed.
    """
    require_scikit_image()
    small = working_size(picture)
    classes = _things(small) if find_network() is not None else torch.zeros(small.shape[2:], dtype=torch.int64)
    labels = torch.full_like(classes, -1)
    kinds: list[int] = []
    for kind in (kind for kind in classes.unique().tolist() if kind != BACKGROUND):
        inside = classes == kind
        if float(inside.float().mean()) >= SMALLEST_SHARE:
            labels[inside] = len(kinds)
            kinds.append(kind)
    rest = labels < 0
    if kinds and float(rest.float().mean()) < SMALLEST_SHARE:
        labels[rest] = 0
    else:
        labels[rest] = len(kinds) + colour_regions(small, rest)[rest]
        kinds += [BACKGROUND] * (int(labels.max()) + 1 - len(kinds))
    return Segmentation(labels, tuple(kinds))


def working_size(picture: Tensor) -> Tensor:
    """The picture with a longer side of at most ``WORKING_SIDE``."""
    factor = WORKING_SIDE / max(picture.shape[2:])
    if factor >= 1:
        return picture
    height, width = (max(round(side * factor), 1) for side in picture.shape[2:])
    return F.interpolate(picture, size=(height, width), mode="bilinear", antialias=True)


def colour_regions(picture: Tensor, inside: Tensor) -> Tensor:
    """Divide part of a picture into at most four regions: superpixels (Achanta et al. 2012, "SLIC Superpixels Compared to
    State-of-the-art Superpixel Methods"), merged by Ward's criterion on their mean CIELAB colour, spread and position.

    Args:
        picture: ``(1, 3, H, W)`` float RGB in [0, 1].
        inside: ``(H, W)`` bool, the part.

    Returns:
        ``(H, W)`` int64 labels from 0 on; what lies outside the part is labelled arbitrarily.
    """
    lab = to_lab(picture)
    slic = require_scikit_image("skimage.segmentation").slic
    from scipy.cluster.hierarchy import fcluster, linkage  # scikit-image needs scipy, too

    rgb = picture[0].permute(1, 2, 0).double().clamp(0, 1).cpu().numpy()
    superpixels = slic(rgb, SUPERPIXELS, compactness=10, sigma=1, channel_axis=2, mask=inside.numpy()) - 1
    flat = superpixels.ravel()
    chosen = flat >= 0
    flat_lab, count = lab.reshape(-1, 3), int(flat.max()) + 1
    if count <= 1:
        return torch.zeros(inside.shape, dtype=torch.int64)
    sizes = np.bincount(flat[chosen], minlength=count).clip(1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat[chosen], values[chosen], minlength=count) / sizes

    colour = np.stack([mean(flat_lab[:, channel]) for channel in range(3)], axis=1)
    spread = np.sqrt((mean(flat_lab[:, 0] ** 2) - colour[:, 0] ** 2).clip(0))
    rows, columns = np.indices(inside.shape) / max(inside.shape)
    looks = np.column_stack(
        [colour, spread, POSITION_WEIGHT * mean(rows.ravel()), POSITION_WEIGHT * mean(columns.ravel())]
    )
    tree = linkage(looks, "ward")
    merged = fcluster(tree, LEAST_CONTRAST * np.sqrt(count), "distance")  # a Ward distance grows with the count
    if merged.max() > MOST_REGIONS:
        merged = fcluster(tree, MOST_REGIONS, "maxclust")
    merged = _without_small(merged - 1, sizes / inside.numel(), looks)
    return torch.from_numpy(merged[superpixels.clip(0)])


def _without_small(clusters: np.ndarray, shares: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Clusters numbered from 0, those below the smallest share joined to the one of the nearest look."""
    total = np.bincount(clusters, shares)
    kept = np.flatnonzero(total >= min(SMALLEST_SHARE, total.max()))
    centres = np.stack([np.average(looks[clusters == k], axis=0, weights=shares[clusters == k]) for k in kept])
    nearest = np.linalg.norm(looks[:, None] - centres[None], axis=2).argmin(axis=1)
    own = np.searchsorted(kept, clusters).clip(max=len(kept) - 1)
    return np.where(np.isin(clusters, kept), own, nearest).astype(np.int64)


def to_lab(picture: Tensor) -> np.ndarray:
    """``(1, 3, H, W)`` RGB in [0, 1] as ``(H, W, 3)`` CIELAB."""
    rgb = picture[0].permute(1, 2, 0).double().clamp(0, 1).cpu().numpy()
    return require_scikit_image("skimage.color").rgb2lab(rgb)


def require_scikit_image(module: str = "skimage") -> ModuleType:
    """A module of scikit-image, imported late.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            'mask=segment needs scikit-image, which is not installed: pip install "nst[segment]".'
        ) from None


def find_network() -> str | None:
    """The best of ``NETWORKS`` whose weights torchvision has downloaded before."""
    return next((name for name in NETWORKS if _weights_file(name).is_file()), None)


def _weights_file(name: str) -> Path:
    from torchvision.models import get_model_weights  # late: torchvision takes its time

    url: str = get_model_weights(name).DEFAULT.url  # type: ignore[attr-defined]
    return Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[1])


@torch.inference_mode()
def _things(picture: Tensor) -> Tensor:
    """``(H, W)`` int64 PASCAL VOC classes of a ``(1, 3, H, W)`` picture."""
    name = find_network()
    assert name is not None
    network, transform = _network(name, str(_weights_file(name)))
    scores = network(transform(picture.cpu()))["out"]
    return F.interpolate(scores, size=picture.shape[2:], mode="bilinear").argmax(dim=1)[0].clone()


@cache
def _network(name: str, file: str) -> tuple[nn.Module, Any]:
    """A network with the weights in ``file`` (which makes it another cache entry), and what its pictures pass first."""
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    return get_model(name, weights=weights, weights_backbone=None).eval(), weights.transforms()
