"""Pictures of any size under a memory bound: tiles that use the whole picture's statistics.

AdaIN needs the mean and deviation of the content's features over the whole picture. They are summed tile by tile first;
then each tile is decoded with them. Tiles overlap by what a network looks beyond a pixel, so that the result equals that of
the whole picture at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.base_network import BaseNetwork, Region
from nst.color_transport import ColorMap, ColorStatistics, color_statistics, color_transport, recolored
from nst.errors import UserError
from nst.fusion import Alpha, alpha_per_level
from nst.images import crop, pad_to_multiple
from nst.memory import returned_memory
from nst.pictures import as_float, as_given
from nst.statistics import Statistics, Sums, feature_sums

AUTO_TILE = 1024  # side of a tile; with its margin and bfloat16 about 1 GiB at work
AUTO_WHOLE = 2048 * 2048  # pixels up to which a picture is not cut
SMALLEST_TILE = 64

Tile = int | str  # "auto", "off" or a side in pixels
Adjust = Callable[[str, Any], Any]  # a name and Statistics or ColorStatistics: what they become


class Part(NamedTuple):
    """A rectangle of the picture, and a larger one around it that the computation looks at."""

    top: int
    left: int
    bottom: int
    right: int
    outer: tuple[int, int, int, int]

    @property
    def inner_slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def outer_slices(self) -> tuple[slice, slice]:
        top, left, bottom, right = self.outer
        return slice(top, bottom), slice(left, right)

    def within(self, stride: int = 1) -> tuple[slice, slice]:
        """Where the inner rectangle lies in features of the outer one."""
        top, left, _, _ = self.outer
        rows = slice((self.top - top) // stride, -(-(self.bottom - top) // stride))
        return rows, slice((self.left - left) // stride, -(-(self.right - left) // stride))


def tile_side(tile: Tile, height: int, width: int) -> int:
    """Side of the tiles for a picture; at least the picture's longer side means that it is not cut.

    Raises:
        UserError: neither ``auto`` nor ``off`` nor a number of at least 64.
    """
    if tile == "auto":
        return AUTO_TILE if height * width > AUTO_WHOLE else max(height, width)
    if tile == "off":
        return max(height, width)
    if isinstance(tile, int) and not isinstance(tile, bool) and tile >= SMALLEST_TILE:
        return tile
    raise UserError(f"tile must be auto, off or a side of at least {SMALLEST_TILE} pixels: found {tile!r}.")


def parts(height: int, width: int, side: int, margin: int, multiple: int) -> list[Part]:
    """Cut ``height`` × ``width`` into parts of at most ``side``, alike in size, each with ``margin`` around it; edges fall on
    ``multiple``."""
    margin = -(-margin // multiple) * multiple
    rows, columns = (_even_side(length, side, multiple) for length in (height, width))
    cut = []
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            bottom, right = min(top + rows, height), min(left + columns, width)
            outer = (
                max(top - margin, 0),
                max(left - margin, 0),
                min(bottom + margin, height),
                min(right + margin, width),
            )
            cut.append(Part(top, left, bottom, right, outer))
    return cut


def _even_side(length: int, side: int, multiple: int) -> int:
    """Side of so many parts as ``side`` gives, without a sliver at the end (whose margins cost as much as a large one's)."""
    side = -(-side // multiple) * multiple
    return -(-length // (-(-length // side) * multiple)) * multiple


def render(
    network: BaseNetwork,
    picture: Tensor,
    regions: Sequence[Region],
    alpha: Alpha,
    tile: Tile,
    autocast: Callable[[], AbstractContextManager[object]],
    adjust: Adjust | None = None,
) -> Tensor:
    """Stylize ``(B, 3, H, W)`` pictures of any size, whole or in tiles.

    Args:
        network: on the device that computes.
        picture: float in [0, 1] or uint8, on any device.
        regions: one with ``mask`` ``None``, or several with ``(1, 1, H, W)`` masks.
        alpha: see :meth:`BaseNetwork.decode`.
        tile: see :func:`tile_side`.
        autocast: the context of the computation.
        adjust: what becomes of the content's statistics, by name, before they are used.

    Returns:
        As ``picture``: same size, type and device; clamped to its range.
    """
    device = next(network.parameters()).device
    original_size = (picture.shape[2], picture.shape[3])
    multiple = 2 * network.stride  # two positions at the deepest stride is the least that reflection padding needs
    border = network.border
    maps = _color_maps(network, picture, regions, alpha, adjust)
    picture, _ = pad_to_multiple(picture, multiple, border)
    masks = [None if region.mask is None else pad_to_multiple(region.mask, multiple, border)[0] for region in regions]
    height, width = picture.shape[2:]
    side = tile_side(tile, *original_size)
    if side >= max(original_size):  # what was added around it is no reason to cut
        side = max(height, width)

    def encode(part: Part) -> list[Tensor]:
        rows, columns = part.outer_slices
        piece = as_float(picture[:, :, rows, columns].to(device))
        if maps:
            cut = [mask[:, :, rows, columns].to(device) for mask in masks if mask is not None]
            piece = recolored(piece, maps, cut or None)
        with autocast():
            return network.encode_content(piece.contiguous(memory_format=torch.channels_last))

    def decode(part: Part, features: list[Tensor]) -> Tensor:
        rows, columns = part.outer_slices
        cut = [
            Region(region.style, None if mask is None else mask[:, :, rows, columns].to(device), statistics)
            for region, mask, statistics in zip(regions, masks, all_statistics, strict=True)
        ]
        with autocast():
            if cut[0].mask is None:
                output = network.decode(features, cut[0].style, alpha, cut[0].statistics)
            else:
                output = network.decode_regions(features, cut, alpha)
        rows, columns = part.within()
        return as_given(output[:, :, rows, columns], picture)

    encoder_margin, full_margin = network.margins
    first_pass = parts(height, width, side, encoder_margin, network.stride)
    if len(first_pass) == 1:
        features = encode(first_pass[0])
        totals = [_sums(network, features, first_pass[0], mask) for mask in masks]
        all_statistics = _statistics(totals, adjust)
        return crop(decode(first_pass[0], features), original_size, border)

    with returned_memory():
        totals = [[] for _ in masks]
        for part in first_pass:
            features = encode(part)
            for index, mask in enumerate(masks):
                sums = _sums(network, features, part, mask)
                totals[index] = [a.plus(b) for a, b in zip(totals[index], sums, strict=True)] if totals[index] else sums
        all_statistics = _statistics(totals, adjust)
        result = torch.empty_like(picture)
        for part in parts(height, width, side, full_margin, network.stride):
            rows, columns = part.inner_slices
            result[:, :, rows, columns] = decode(part, encode(part))
    return crop(result, original_size, border)


def _color_maps(
    network: BaseNetwork, picture: Tensor, regions: Sequence[Region], alpha: Alpha, adjust: Adjust | None
) -> list[ColorMap]:
    """Each region's colours for the content, in which it is encoded; none where the network takes the content as it is."""
    wanted = [region.style.colors for region in regions if region.style.colors is not None]
    if not network.recolor or len(wanted) < len(regions):
        return []
    degree = alpha_per_level(alpha, network.levels)[0]
    maps = []
    for index, (region, style) in enumerate(zip(regions, wanted, strict=True)):
        content = ColorStatistics(*(one.to(style.mean) for one in color_statistics(picture, region.mask)))
        if adjust is not None:
            content = adjust(f"{index}.colors", content)
        maps.append(color_transport(style, content, degree))
    return maps


def _statistics(totals: Sequence[Sequence[Sums]], adjust: Adjust | None) -> list[list[Statistics]]:
    """Statistics from sums, a list a region with one a level."""
    found = [[total.statistics() for total in levels] for levels in totals]
    if adjust is None:
        return found
    return [[adjust(f"{r}.{level}", one) for level, one in enumerate(levels)] for r, levels in enumerate(found)]


def _sums(network: BaseNetwork, features: Sequence[Tensor], part: Part, mask: Tensor | None) -> list[Sums]:
    """Each level's sums over the inner rectangle."""
    sums = []
    for level, stride in zip(features, network.content_strides, strict=True):
        rows, columns = part.within(stride)
        inner = level[:, :, rows, columns]
        weights = None
        if mask is not None:
            rows, columns = part.inner_slices
            weights = F.adaptive_avg_pool2d(
                mask[:, :, rows, columns].to(level.device), (inner.shape[2], inner.shape[3])
            )
        sums.append(feature_sums(inner, weights))
    return sums
