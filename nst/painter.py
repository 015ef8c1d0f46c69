"""Painter: what the web page does on a click, without the page."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nst.color import match_colors
from nst.errors import UserError
from nst.images import limit_longer_side, read_image
from nst.pictures import style_picture, to_batch
from nst.style_code import StyleCode
from nst.stylizer import Stylizer

BRUSHES = {"red": (226, 61, 40), "blue": (30, 100, 220), "yellow": (250, 200, 20)}  # one a style, RGB
STYLES = len(BRUSHES)
CONTENTS_KEPT = 4
CODES_KEPT = 64


@dataclass(frozen=True)
class Order:
    """What a visitor asks for.

    Attributes:
        photograph: a picture file; ``None`` where none was given yet.
        styles: at most one picture file a brush, ``None`` where a place is empty.
        weights: one a style, used where styles are mixed.
        model: name of one of the painter's models.
        alpha: from 0 (photograph) to 1 (style).
        style_size: shorter side at which styles are seen.
        preserve_color: ``none``, ``luminance`` or ``histogram``.
        brush: strokes in the colours of :data:`BRUSHES`, ``(H, W, 4)`` uint8 RGBA of any size; ``None``: not used.
        mix_elsewhere: where the brush has not been: the styles' mix, else the photograph as it is.
    """

    photograph: str | None
    styles: Sequence[str | None]
    weights: Sequence[float] = (1.0,) * STYLES
    model: str = "fast"
    alpha: float = 1.0
    style_size: int = 512
    preserve_color: str = "none"
    brush: np.ndarray | None = None
    mix_elsewhere: bool = False

    @property
    def complete(self) -> bool:
        """Whether there is a photograph and a style."""
        return self.photograph is not None and any(style is not None for style in self.styles)


@dataclass(frozen=True)
class Painting:
    """A result, with the photograph at the same size and the seconds it took."""

    picture: Image.Image
    photograph: Image.Image
    seconds: float


@dataclass(frozen=True)
class PictureFile:
    """A file that equals every other with the same bytes."""

    digest: bytes
    path: Path = field(compare=False)

    @classmethod
    def at(cls, path: str | Path) -> PictureFile:
        try:
            return cls(hashlib.sha256(Path(path).read_bytes()).digest(), Path(path))
        except OSError:  # the page deletes what visitors gave after a while
            raise UserError(f"{Path(path).name} is no longer here: give it again.") from None


class Painter:
    """Several models, and what they know of the pictures they have seen.

    The codes of the last styles are kept, by the style's bytes, style size and model (and the photograph's, where it lends
    its colours), and so are the last photographs: what is left to do when only ``alpha`` changes is one forward pass.

    Args:
        models: by name.
        max_size: photographs are scaled down to this longer side; ``None`` keeps them.
        max_pixels: larger picture files are refused before they are decoded.
    """

    def __init__(self, models: Mapping[str, Stylizer], max_size: int | None = None, max_pixels: int | None = None):
        self.models = dict(models)
        self.max_size = max_size
        self.max_pixels = max_pixels
        self.seconds: dict[str, float] = {}  # of each model's last forward pass
        self.photograph = lru_cache(maxsize=CONTENTS_KEPT)(self._read_photograph)
        self.code = lru_cache(maxsize=CODES_KEPT)(self._encode)

    def read(self, path: str) -> Image.Image:
        """The photograph at the size at which it is painted.

        Raises:
            UserError: it is no picture, damaged or too large.
        """
        with named_as_sent([path]):
            return self.photograph(PictureFile.at(path))

    def paint(self, order: Order) -> Painting:
        """Fulfil an order.

        Raises:
            UserError: something is missing, is no picture or does not fit; no message shows a folder of the server.
        """
        if order.photograph is None:
            raise UserError("there is no photograph: drop one, or take one of the examples.")
        if not order.complete:
            raise UserError("there is no style: drop a painting, or take one of the samples.")
        with named_as_sent([order.photograph, *order.styles]):
            return self._paint(order, PictureFile.at(order.photograph))

    def _paint(self, order: Order, photograph_file: PictureFile) -> Painting:
        start = time.perf_counter()
        stylizer = self.models[order.model]
        photograph = self.photograph(photograph_file)
        recolored_like = photograph_file if order.preserve_color == "histogram" else None
        codes = [
            None if path is None else self.code(PictureFile.at(path), order.style_size, order.model, recolored_like)
            for path in order.styles
        ]
        preserve_color = "none" if recolored_like is not None else order.preserve_color  # the codes have it already
        forward = partial(stylizer, photograph, alpha=order.alpha, preserve_color=preserve_color)
        masks = None if order.brush is None else brushed_masks(order.brush)
        encoded = time.perf_counter()
        if masks is None or not any(mask.any() for mask in masks):
            picture = forward(mixed(codes, order.weights))
        else:
            used, kept = painted_styles(codes, masks)
            if order.mix_elsewhere:
                used, kept = [*used, mixed(codes, order.weights)], [*kept, elsewhere(masks)]
            picture = forward(used, masks=kept)
        end = time.perf_counter()
        self.seconds[order.model] = end - encoded
        return Painting(picture, photograph, end - start)

    def _read_photograph(self, file: PictureFile) -> Image.Image:
        image = read_image(file.path, max_pixels=self.max_pixels)
        return image if self.max_size is None else limit_longer_side(image, self.max_size)

    @torch.no_grad()
    def _encode(self, file: PictureFile, style_size: int, model: str, recolored_like: PictureFile | None) -> StyleCode:
        image = read_image(file.path, max_pixels=self.max_pixels)
        recolor = None
        if recolored_like is not None:
            recolor = partial(match_colors, content=to_batch(self.photograph(recolored_like), "content")[0])
        return self.models[model].encode_style(style_picture(image, style_size, recolor), style_size=None)


@contextmanager
def named_as_sent(files: Sequence[str | None]) -> Iterator[None]:
    """Errors call files as the visitor does, not where they lie on the server."""
    try:
        yield
    except UserError as error:
        line = str(error)
        for path in files:
            if path is not None:
                line = line.replace(str(Path(path)), Path(path).name)
        raise UserError(line) from None


def mixed(codes: Sequence[StyleCode | None], weights: Sequence[float]) -> StyleCode:
    """The weighted mean of the styles that were given.

    Raises:
        UserError: all their weights are 0.
    """
    given = [(code, weight) for code, weight in zip(codes, weights, strict=True) if code is not None]
    if not any(weight for _, weight in given):
        raise UserError("the weight of every style is 0: raise one.")
    return StyleCode.mix([code for code, _ in given], [weight for _, weight in given])


def brushed_masks(strokes: np.ndarray) -> list[np.ndarray]:
    """One soft mask a brush: the strokes' opacity, where their colour is nearest to the brush's.

    Args:
        strokes: ``(H, W, 4)`` uint8 RGBA.

    Returns:
        ``(H, W)`` float32 in [0, 1] each; they overlap nowhere.
    """
    colors = np.array(list(BRUSHES.values()), dtype=np.float32)
    distance = ((strokes[:, :, None, :3].astype(np.float32) - colors) ** 2).sum(axis=-1)
    nearest = distance.argmin(axis=-1)
    opacity = strokes[:, :, 3].astype(np.float32) / 255
    return [np.where(nearest == index, opacity, np.float32(0)) for index in range(len(colors))]


def painted_styles(
    codes: Sequence[StyleCode | None], masks: Sequence[np.ndarray]
) -> tuple[list[StyleCode], list[np.ndarray]]:
    """The styles whose brush was used, and their masks.

    Raises:
        UserError: a brush was used whose style is missing.
    """
    used, kept = [], []
    for number, (color, code, mask) in enumerate(zip(BRUSHES, codes, masks, strict=True), start=1):
        if not mask.any():
            continue
        if code is None:
            raise UserError(
                f"the {color} brush was used, but style {number} has no picture: give one or erase its strokes."
            )
        used.append(code)
        kept.append(mask)
    return used, kept


def elsewhere(masks: Sequence[np.ndarray]) -> np.ndarray:
    """What the masks leave, ``(H, W)`` float32 in [0, 1]."""
    return np.clip(1 - np.sum(masks, axis=0), 0, 1).astype(np.float32)
