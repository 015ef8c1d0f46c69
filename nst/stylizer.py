"""Stylizer: any picture in the manner of any other, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst.base_network import BaseNetwork, Region
from nst.checkpoints import load_model
from nst.color import check_preserve_color, keep_content_chroma, match_colors
from nst.devices import choose_device, choose_dtype
from nst.errors import UserError
from nst.fusion import Alpha, alpha_per_level
from nst.pictures import (
    MINIMUM_CONTENT_SIDE,
    Picture,
    as_float,
    as_list,
    require_side,
    style_picture,
    to_batch,
    to_mask,
    to_size,
)
from nst.region_styles import Mask, check_mask, matched_regions, share_overlaps
from nst.style_code import StyleCode
from nst.tiling import Tile, render, tile_side

if TYPE_CHECKING:
    from typing_extensions import Unpack

Style = Picture | StyleCode
Values = TypeVar("Values", np.ndarray, Tensor)


class Options(TypedDict, total=False):
    """What :meth:`Stylizer.__call__` takes by name, for type checkers."""

    weights: Sequence[float] | None
    masks: Sequence[Picture] | None
    mask: Mask | None
    style_size: int | None
    size: int | None
    max_size: int | None
    preserve_color: str
    tile: Tile
    max_pixels: int | None
    first_frame: bool


class Stylizer:
    """Applies a trained network to pictures.

    >>> stylizer = Stylizer.from_pretrained("vgg19")             # doctest: +SKIP
    >>> stylizer("photo.jpg", "painting.jpg").save("out.png")    # doctest: +SKIP

    Args:
        network: a trained network; it is moved to the device and set to evaluation mode.
        device: where it runs; by default a GPU where there is one.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor computes in it, else float32.

    Raises:
        UserError: an unknown precision or device.
    """

    def __init__(self, network: BaseNetwork, device: str | torch.device | None = None, precision: str = "auto") -> None:
        self.device = choose_device(device)
        self.dtype = choose_dtype(precision, self.device)
        self.network = network.eval().to(self.device).to(memory_format=torch.channels_last)

    @classmethod
    def from_pretrained(cls, source: str | Path = "vgg19", revision: str | None = None, **options: Any) -> Stylizer:
        """A bundled model by name, a folder of :meth:`save_pretrained`, or a repository of Hugging Face's hub.

        Args:
            source: as said; ``owner/name`` is looked for on the hub (extra ``hub``) unless a folder of that name is here.
            revision: branch, tag or commit of a repository on the hub.
            options: as for the class.

        Raises:
            UserError: there is no such model, or it is something else.
        """
        from nst.sharing import located  # late: only models of others need it

        return cls(load_model(located(source, revision)), **options)

    @classmethod
    def from_checkpoint(cls, path: str | Path, **options: Any) -> Stylizer:
        """A model that ``train.py`` wrote: a Lightning checkpoint or a ``.safetensors`` file; a folder or name as well."""
        return cls(load_model(path), **options)

    def save_pretrained(self, folder: str | Path, **options: Any) -> Path:
        """Write ``model.safetensors``, ``config.json`` and a model card: :func:`nst.sharing.save_pretrained`."""
        from nst.sharing import save_pretrained

        return save_pretrained(self.network, folder, **options)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload the same to Hugging Face's hub: :func:`nst.sharing.push_to_hub`."""
        from nst.sharing import push_to_hub

        return push_to_hub(self.network, repo_id, **options)

    @torch.no_grad()
    def encode_style(
        self,
        style: Style | Sequence[Style],
        weights: Sequence[float] | None = None,
        style_size: int | None = 512,
        max_pixels: int | None = None,
        first_frame: bool = False,
    ) -> StyleCode:
        """What a style is to the network: computed once, it can be reused, mixed and saved.

        Args:
            style: a picture, a StyleCode, the path of either, or several of these.
            weights: of several styles; equal by default, normalised to sum to 1.
            style_size: style pictures whose shorter side is larger are scaled down to it; ``None`` keeps them.
            max_pixels, first_frame: of files, as for :func:`nst.images.read_image`.

        Raises:
            UserError: a style that cannot be read, is too small or belongs to another model.
        """
        read = partial(style_picture, style_size=style_size, max_pixels=max_pixels, first_frame=first_frame)
        codes = [self._encode_one(one, read) for one in as_list(style)]
        if len(codes) == 1 and weights is None:
            return codes[0]
        return StyleCode.mix(codes, weights)

    def _encode_one(self, style: Style, read: Callable[[Style], Tensor], recolored: bool = False) -> StyleCode:
        if not _is_code(style):
            return self._encode_region(read(style), None)
        if recolored:
            raise UserError("preserve_color=histogram changes the style picture: give a picture, not a style code.")
        code = style if isinstance(style, StyleCode) else StyleCode.load(style)  # type: ignore[arg-type]
        self.network.require_own(code)
        return code.to(self.device)

    @overload
    def __call__(
        self,
        content: Image.Image | str | Path,
        style: Style | Sequence[Style],
        alpha: Alpha = 1.0,
        **options: Unpack[Options],
    ) -> Image.Image: ...
    @overload
    def __call__(
        self, content: Values, style: Style | Sequence[Style], alpha: Alpha = 1.0, **options: Unpack[Options]
    ) -> Values: ...
    @torch.no_grad()
    def __call__(
        self,
        content: Picture,
        style: Style | Sequence[Style],
        alpha: Alpha = 1.0,
        *,
        weights: Sequence[float] | None = None,
        masks: Sequence[Picture] | None = None,
        mask: Mask | None = None,
        style_size: int | None = 512,
        size: int | None = None,
        max_size: int | None = None,
        preserve_color: str = "none",
        tile: Tile = "auto",
        max_pixels: int | None = None,
        first_frame: bool = False,
    ) -> Any:
        """Paint ``content`` in the manner of ``style``.

        Args:
            content: PIL picture, path, ``(H, W[, C])`` array or ``(B, 3, H, W)`` float tensor in [0, 1].
            style: one style or several: pictures of the same kinds, StyleCodes, or paths of either.
            alpha: degree of stylization from 0 (content) to 1; one number, one a fusion level, shallow to deep, or a ``(B,)``
                tensor, one a content.
            weights: of several styles, mixed everywhere.
            masks: instead of weights, one soft mask a style, of any size: white is where the style goes. Where masks sum to
                less than 1 the content stays as it is. Statistics are taken inside each mask alone.
            mask: each region of the content in the style of a region of the style picture. ``segment`` finds the regions
                and matches them by their look; or label images, ``[content's, style's]``, match them by colour. See
                :func:`nst.region_styles.matched_regions`.
            style_size: style pictures whose shorter side is larger are scaled down to it.
            size: shorter side of the result; by default the content's own.
            max_size: largest longer side of the result.
            preserve_color: ``none``, ``luminance`` (keep the content's chroma) or ``histogram`` (give the style the
                content's colour mean and covariance first).
            tile: ``auto`` cuts large pictures, ``off`` never does, a number is the side of the tiles. The result is the
                same, the memory is bounded.
            max_pixels: how large a picture file may be, in pixels, instead of Pillow's guard.
            first_frame: take the first frame of animated picture files instead of refusing them.

        Returns:
            The same kind as ``content`` (a path gives a PIL picture), the content's size unless ``size`` or ``max_size``
            say otherwise, with its transparency.

        Raises:
            UserError: a picture that cannot be read or is too small, or a value out of its range.
        """
        check_preserve_color(preserve_color)
        alpha = _placed(alpha, self.device)
        alpha_per_level(alpha, self.network.levels)
        tile_side(tile, 1, 1)
        batch, restore = to_batch(content, "content", max_pixels, first_frame)
        require_side(batch, MINIMUM_CONTENT_SIDE, "content")
        _require_one_each("alphas", alpha.numel() if isinstance(alpha, Tensor) else 1, batch)
        if preserve_color == "histogram" and len(batch) > 1:
            raise UserError(
                f"preserve_color=histogram gives the style the colours of one content: found a batch of {len(batch)}; "
                "call it for each."
            )
        batch = to_size(batch, size, max_size)
        recolor = partial(match_colors, content=batch) if preserve_color == "histogram" else None
        read = partial(
            style_picture, style_size=style_size, recolor=recolor, max_pixels=max_pixels, first_frame=first_frame
        )
        if mask is None:
            codes = [self._encode_one(one, read, recolored=recolor is not None) for one in as_list(style)]
            regions = self.regions(codes, weights, masks, batch, max_pixels, first_frame)
        else:
            if weights is not None or masks is not None:
                raise UserError("mask says what goes where by itself: give neither weights nor masks with it.")
            check_mask(mask, len(as_list(style)))
            if any(map(_is_code, as_list(style))):
                raise UserError("mask looks at regions of the style picture: give a picture, not a style code.")
            pictures = [read(one) for one in as_list(style)]
            regions = matched_regions(as_float(batch), pictures, mask, self._encode_region, max_pixels, first_frame)
        with torch.inference_mode():  # 2 % of the fast network's time less than no_grad
            output = render(self.network, batch, regions, alpha, tile, self.autocast)
        if preserve_color == "luminance":
            output = keep_content_chroma(output, batch)
        return restore(output)

    def stylize_video(
        self,
        content: str | Path,
        style: Style | Sequence[Style],
        output: str | Path,
        alpha: Alpha = 1.0,
        **options: Any,
    ) -> Path:
        """Paint a film, frame by frame, with its sound: :func:`nst.video.stylize_video`."""
        from nst.video import stylize_video  # late: films need more packages

        return stylize_video(self, content, style, output, alpha, **options)

    def regions(
        self,
        codes: list[StyleCode],
        weights: Sequence[float] | None,
        masks: Sequence[Picture] | None,
        batch: Tensor,
        max_pixels: int | None = None,
        first_frame: bool = False,
    ) -> list[Region]:
        """Mixed codes everywhere, or one code a mask, for the pictures of a batch; see :meth:`__call__`."""
        for code in codes:
            _require_one_each("styles", len(code), batch)
        if masks is None:
            return [Region(codes[0] if len(codes) == 1 and weights is None else StyleCode.mix(codes, weights))]
        masks = as_list(masks)
        if weights is not None or len(masks) != len(codes):
            found = f"{len(masks)} masks for {len(codes)} styles" + (", and weights" if weights is not None else "")
            raise UserError(f"masks need one a style and no weights: found {found}.")
        size = (batch.shape[2], batch.shape[3])
        soft = [to_mask(mask, size, max_pixels, first_frame).to(batch.device) for mask in masks]
        return [Region(code, mask) for code, mask in zip(codes, share_overlaps(soft), strict=True)]

    def _encode_region(self, picture: Tensor, mask: Tensor | None) -> StyleCode:
        with self.autocast():
            return self.network.encode_style(self._place(picture), None if mask is None else mask.to(self.device))

    def _place(self, batch: Tensor) -> Tensor:
        return batch.to(self.device).contiguous(memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        """The context in which the network computes."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def _is_code(style: Style) -> bool:
    return isinstance(style, StyleCode) or (isinstance(style, str | Path) and str(style).endswith(".safetensors"))


def _require_one_each(name: str, count: int, batch: Tensor) -> None:
    if count not in (1, len(batch)):
        raise UserError(f"a batch of {len(batch)} content pictures takes 1 or {len(batch)} {name}: found {count}.")


def _placed(alpha: Alpha, device: torch.device) -> Alpha:
    return alpha.to(device, torch.float32) if isinstance(alpha, Tensor) else alpha
