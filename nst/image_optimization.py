"""Image optimisation: the picture itself is what is trained (Gatys et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.calibration import mean_activations
from nst.color import check_preserve_color, keep_content_chroma, match_colors
from nst.devices import choose_device, choose_dtype
from nst.errors import UserError
from nst.image_objective import Objective, StyleRegion
from nst.optimization_checks import (
    build_loss,
    check_counts,
    check_sides,
    check_start,
    check_tiles,
    chosen_rate,
    require_one,
)
from nst.optimization_run import OptimizationRun, Progress, fingerprint
from nst.optimization_start import first_picture, given_start
from nst.pictures import Picture, Restore, as_float, as_given, as_list, resize, to_batch, to_mask, to_size
from nst.region_styles import Mask, StylePart, match_pictures, share_overlaps, soft_masks
from nst.tiled_objective import TiledObjective, objective_side
from nst.tiling import Tile

# α·content + β·style + γ·TV with relative distances, on the layers of Gatys et al. 2016.
LOSS: dict[str, Any] = {
    "reduction": "relative",
    "content": {"weight": 1.0, "layers": {"relu4_2": 1.0}},
    "style": {"weight": 10.0, "layers": {f"relu{block}_1": 0.2 for block in range(1, 6)}},
    "total_variation": {"weight": 0.5},
}


def optimize(
    content: Picture,
    style: Picture | Sequence[Picture],
    *,
    steps: int = 200,
    init: str | Picture = "content",
    loss: Mapping[str, Any] | None = None,
    size: int | None = None,
    max_size: int | None = None,
    style_size: int | None = None,
    scales: int = 1,
    optimizer: str = "adam",
    learning_rate: float | None = None,
    tolerance: float = 0.0,
    window: int = 25,
    weights: Sequence[float] | None = None,
    masks: Sequence[Picture] | None = None,
    mask: Mask | None = None,
    preserve_color: str = "none",
    tile: Tile = "auto",
    ckpt: str | Path = "vgg19",
    state: str | Path | None = None,
    seed: int = 0,
    device: str | None = None,
    precision: str = "auto",
    on_step: Callable[[Progress], None] | None = None,
) -> Any:
    """Paint ``content`` in the manner of ``style`` by minimising the loss over the picture's own pixels.

    Slower than :class:`nst.Stylizer` by two orders of magnitude, and closer to the style: no network stands between.

    Args:
        content: PIL picture, path, array or tensor of one picture, see :func:`nst.pictures.to_batch`.
        style: one style picture or several.
        steps: optimiser steps at each scale.
        init: what the picture starts from: ``content``, ``noise``, ``stylizer`` (the feed-forward result), or a picture.
        loss: options of :class:`nst.losses.StyleTransferLoss`, as in ``configs/loss``; by default :data:`LOSS`.
        size: shorter side of the result; by default the content's own.
        max_size: largest longer side of the result.
        style_size: shorter side at which styles are seen; by default the result's own.
        scales: sizes from coarse to fine, each twice the one before; the last is the result's.
        optimizer: ``adam`` or ``lbfgs``, each on several sizes of the picture at once (:mod:`nst.picture_pyramid`).
        learning_rate: by default 0.014 for Adam and 1 for L-BFGS.
        tolerance: stop a scale when the mean loss of the last ``window`` steps is less than this share below that of the
            ``window`` steps before; 0 never stops early.
        weights: of several styles; equal by default.
        masks: instead of weights, one soft mask a style: white is where the style goes.
        mask: each region of the content in the style of a region of the style picture, ``segment`` or label images, as for
            :class:`nst.Stylizer`.
        preserve_color: ``none``, ``luminance`` or ``histogram``, as for :class:`nst.Stylizer`.
        tile: the loss and its gradient are computed in tiles: ``auto`` for pictures above 2048×1024 pixels, ``off``, or a
            side in pixels. Terms that need the whole picture's features at once refuse it.
        ckpt: model of ``init="stylizer"``.
        state: file that keeps where the run is, written every ``window`` steps and after the last one; a later call of the
            same pictures and options goes on from there, with more ``steps`` at that scale, with fewer than it took from
            the start. Remove it once the result is safe.
        seed: of the noise.
        device, precision: as for :class:`nst.Stylizer`.
        on_step: called after every step.

    Returns:
        The same kind as ``content``.

    Raises:
        UserError: a picture that cannot be read or is too small, or a value out of its range.
    """
    check_start(init)
    check_counts(steps, scales, window)
    rate = chosen_rate(optimizer, learning_rate)
    check_preserve_color(preserve_color)
    objective_side(tile, 1, 1)
    where = choose_device(device)
    dtype = choose_dtype(precision, where)
    loss_function = build_loss(LOSS if loss is None else loss).to(where).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels, restore = to_batch(content, "content")
    original = to_size(require_one(pixels, "content"), size, max_size)
    target = as_float(original).cpu()
    check_sides(min(target.shape[2:]), style_size, scales)
    check_tiles(loss_function, tile, target.shape[2], target.shape[3])
    styles = [as_float(require_one(to_batch(one, "style", on_white=True)[0], "style")).cpu() for one in as_list(style)]
    masks = None if masks is None else as_list(masks)
    shares = _shares(weights, masks, len(styles))
    regions = _regions(target, styles, weights, masks, mask)
    if preserve_color == "histogram":
        styles = [match_colors(one, target) for one in styles]
    factors = [(style_size or min(target.shape[2:])) / min(one.shape[2:]) for one in styles]

    autocast = torch.autocast(where.type, dtype, enabled=dtype != torch.float32)
    if loss_function.network.needs_calibration:
        seen = [resize(one, min(256 / min(one.shape[2:]), 1.0)).to(where) for one in (target, *styles)]
        loss_function.network.set_mean_activations(mean_activations(loss_function.network, seen))
    begun = given_start(init)
    job = fingerprint(
        [target, *styles, *begun, *_region_masks(regions)],
        ["picture" if begun else init, shares, loss, style_size, scales, optimizer, rate, seed, str(ckpt)],
    )
    run = OptimizationRun(optimizer, rate, steps, tolerance, window, Path(state) if state else None, job, on_step)
    finish = partial(_finished, preserve_color=preserve_color, restore=restore, given=original)
    start = partial(
        first_picture, init, weights=weights, masks=masks, mask=mask,
        tile=tile, ckpt=ckpt, seed=seed, device=device, precision=precision,
    )  # fmt: skip
    picture: Tensor | None = None
    for scale in range(scales):
        factor = 0.5 ** (scales - 1 - scale)
        scaled = resize(target, factor)
        shape = (scaled.shape[2], scaled.shape[3])
        side = objective_side(tile, *shape)
        make = Objective if side >= max(shape) else partial(TiledObjective, side=side)
        scaled_styles = [resize(one, factor * own) for one, own in zip(styles, factors, strict=True)]
        objective = make(
            loss_function,
            scaled.to(where),
            [one.to(where) for one in scaled_styles],
            shares,
            regions and [StyleRegion(F.adaptive_avg_pool2d(one.mask, shape).to(where), one.parts) for one in regions],
            autocast,
        )
        if picture is None:
            first = start(scaled, scaled_styles)
        else:
            first = F.interpolate(picture, size=shape, mode="bicubic").clamp(0, 1)
        picture = run(objective, first.to(where), scale, partial(finish, content=scaled))
    assert picture is not None
    return finish(picture, content=target)


def _finished(picture: Tensor, content: Tensor, preserve_color: str, restore: Restore, given: Tensor) -> Any:
    """A picture as the caller gets it; ``content`` is as large."""
    result = picture.cpu()
    if preserve_color == "luminance":
        result = keep_content_chroma(result, content)
    return restore(as_given(result, given))


def _shares(weights: Sequence[float] | None, masks: Sequence[Picture] | None, count: int) -> list[float]:
    if masks is not None and (weights is not None or len(masks) != count):
        found = f"{len(masks)} masks for {count} styles" + (", and weights" if weights is not None else "")
        raise UserError(f"masks need one a style and no weights: found {found}.")
    shares = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if not shares or len(shares) != count or min(shares) < 0 or not sum(shares) > 0:
        raise UserError(f"weights need one number of at least 0 a style, not all 0: found {shares} for {count} styles.")
    return [share / sum(shares) for share in shares]


def _regions(
    content: Tensor,
    styles: Sequence[Tensor],
    weights: Sequence[float] | None,
    masks: Sequence[Picture] | None,
    mask: Mask | None,
) -> list[StyleRegion] | None:
    """What ``masks`` or ``mask`` say goes where, at the content's size; ``None``: the styles go everywhere."""
    size = (content.shape[2], content.shape[3])
    if mask is None:
        shared = share_overlaps([to_mask(one, size) for one in masks]) if masks else []
        return [StyleRegion(one, [StylePart(index, None)]) for index, one in enumerate(shared)] or None
    if weights is not None or masks is not None:
        raise UserError("mask says what goes where by itself: give neither weights nor masks with it.")
    matching = match_pictures(content, styles, mask)
    soft = soft_masks(matching.labels, len(matching.parts), size)
    return [StyleRegion(one, parts) for one, parts in zip(soft, matching.parts, strict=True)]


def _region_masks(regions: Sequence[StyleRegion] | None) -> list[Tensor]:
    """All that says which region takes what."""
    inside = [part.inside for region in regions or () for part in region.parts if part.inside is not None]
    return [*(region.mask for region in regions or ()), *inside]
