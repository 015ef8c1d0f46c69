"""mask=: each region of the content in the style of a region of the style picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.base_network import Region
from nst.errors import UserError
from nst.label_images import LabelImage, read_label_image, same_colours
from nst.pictures import Picture
from nst.region_matching import match_regions, region_looks
from nst.segmentation import segment
from nst.style_code import StyleCode

Mask = str | Sequence[Picture]  # "segment", or label images: the content's, then one a style

SOFTNESS = 0.01  # of the shorter side: distance over which one region's style gives way to the next one's
SOFTENED_SIDE = 1024  # longer side at which masks are softened; finer borders would be softened away


class StylePart(NamedTuple):
    """A region of one of the style pictures: which one, and its ``(h, w)`` bool mask; ``None``: all of it."""

    style: int
    inside: Tensor | None

    def mask(self, size: tuple[int, int]) -> Tensor | None:
        """``(1, 1, H, W)`` in [0, 1]; ``None``: all of the picture."""
        if self.inside is None:
            return None
        return F.interpolate(self.inside[None, None].float(), size=size, mode="bilinear", antialias=True)


class Matching(NamedTuple):
    """``(h, w)`` int64 labels of the content's regions, and what each label is painted in (mixed equally)."""

    labels: Tensor
    parts: list[list[StylePart]]


def check_mask(mask: object, styles: int) -> None:
    """Refuse a ``mask`` that is neither ``segment`` nor one label image for the content and one for each style.

    Raises:
        UserError: see above.
    """
    if isinstance(mask, str) and mask == "segment":
        return
    if isinstance(mask, list | tuple) and len(mask) == 1 + styles:
        return
    found = f"{len(mask)} label images" if isinstance(mask, list | tuple) else repr(mask)
    raise UserError(
        f"mask must be segment or {1 + styles} label images, the content's and one a style "
        f"(mask=[content.png,style.png]): found {found}."
    )


def match_pictures(
    content: Tensor,
    styles: Sequence[Tensor],
    mask: Mask,
    max_pixels: int | None = None,
    first_frame: bool = False,
) -> Matching:
    """Which regions of the styles each region of a ``(1, 3, H, W)`` content takes; see :func:`matched_regions`."""
    check_mask(mask, len(styles))
    for name, batch in (("content", content), *(("style", style) for style in styles)):
        if len(batch) != 1:
            raise UserError(f"mask belongs to one {name} picture: found a batch of {len(batch)}.")
    if mask == "segment":
        return _by_look(content, styles)
    read = partial(read_label_image, max_pixels=max_pixels, first_frame=first_frame)
    return _by_colour(
        read(mask[0], "the content's label image"), [read(one, "the style's label image") for one in mask[1:]]
    )  # type: ignore[arg-type]


def matched_regions(
    content: Tensor,
    styles: Sequence[Tensor],
    mask: Mask,
    encode: Callable[[Tensor, Tensor | None], StyleCode],
    max_pixels: int | None = None,
    first_frame: bool = False,
) -> list[Region]:
    """Regions of a content, each with the code of the style region that it takes.

    Args:
        content: ``(1, 3, H, W)`` float in [0, 1].
        styles: the same, of any sizes.
        mask: ``segment`` finds regions and matches them by look; label images say both by colour. A content colour that
            several styles have takes their mixture; one that no style has takes the whole styles'.
        encode: StyleCode of a style picture inside a ``(1, 1, H, W)`` mask.
        max_pixels, first_frame: of label images that are files, see :func:`nst.images.read_image`.

    Raises:
        UserError: an unknown mask, label images that cannot be read or have no colour in common.
    """
    matching = match_pictures(content, styles, mask, max_pixels, first_frame)

    codes: dict[tuple[int, int], StyleCode] = {}

    def code(part: StylePart) -> StyleCode:
        key = (part.style, id(part.inside))  # masks live as long as the matching does
        if key not in codes:
            picture = styles[part.style]
            codes[key] = encode(picture, part.mask((picture.shape[2], picture.shape[3])))
        return codes[key]

    soft = soft_masks(matching.labels, len(matching.parts), (content.shape[2], content.shape[3]))
    found = [[code(part) for part in parts] for parts in matching.parts]
    return [
        Region(one[0] if len(one) == 1 else StyleCode.mix(one), region) for one, region in zip(found, soft, strict=True)
    ]


def share_overlaps(masks: Sequence[Tensor]) -> list[Tensor]:
    """``(1, 1, H, W)`` masks in [0, 1] of ``masks=``; where they sum to more than 1, each takes its share of 1."""
    total = torch.stack(list(masks)).sum(dim=0).clamp_min(1)
    return [mask / total for mask in masks]


def soft_masks(labels: Tensor, count: int, size: tuple[int, int]) -> list[Tensor]:
    """One ``(1, 1, H, W)`` mask a label, with soft borders; they sum to 1 everywhere.

    Args:
        labels: ``(h, w)`` int64 in [0, count).
        count: number of labels.
        size: (H, W).
    """
    factor = min(SOFTENED_SIDE / max(size), 1)
    height, width = (max(round(side * factor), 1) for side in size)
    hard = F.one_hot(labels, count).permute(2, 0, 1)[:, None].float()
    hard = F.interpolate(hard, size=(height, width), mode="bilinear", antialias=True)
    radius = max(round(SOFTNESS * min(height, width)), 1)
    for _ in range(2):  # two boxes make a tent: soft without corners. Beyond the picture nothing counts.
        hard = F.avg_pool2d(hard, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)
    soft = F.interpolate(hard, size=size, mode="bilinear") if (height, width) != size else hard
    return [mask[None] for mask in soft]


def _by_look(content: Tensor, styles: Sequence[Tensor]) -> Matching:
    found = segment(content)
    parts, looks = [], []
    for index, style in enumerate(styles):
        segmented = segment(style)
        looks += region_looks(style, segmented)
        parts += [StylePart(index, segmented.labels == label) for label in range(len(segmented.classes))]
    chosen = match_regions(region_looks(content, found), looks)
    return Matching(found.labels, [[parts[which]] for which in chosen])


def _by_colour(content: LabelImage, styles: Sequence[LabelImage]) -> Matching:
    parts: list[list[StylePart]] = [[] for _ in content.colours]
    for index, style in enumerate(styles):
        regions = [StylePart(index, style.labels == label) for label in range(len(style.colours))]
        for label, other in enumerate(same_colours(content, style)):
            if other is not None:
                parts[label].append(regions[other])
    if not any(parts):
        raise UserError("the label images of content and style have no colour in common: regions match by colour.")
    whole = [StylePart(index, None) for index in range(len(styles))]
    return Matching(content.labels, [part or whole for part in parts])
