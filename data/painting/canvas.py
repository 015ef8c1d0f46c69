"""A canvas that takes textured brush strokes, keeps how thick the paint lies, and is lit from the upper left when done.

Everything is placed in units: 512 of them span the shorter side of every picture, at whatever size it is drawn. Random
lattices are laid in units too, so that a small drawing is the large one seen from afar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Array: TypeAlias = NDArray[np.floating[Any]]
Color: TypeAlias = Array | str  # (3,) or (H, W, 3) float in [0, 1], RGB, or a hexadecimal code

Painting: TypeAlias = Callable[[int], Image.Image]  # from the shorter side in pixels to the finished picture

SHORTER_SIDE = 512  # units
OVERSAMPLING = 2  # pictures are painted at this multiple of their size, then reduced: clean edges, fine bristles
STAMP_LENGTH, STAMP_WIDTH, STAMPS = 192, 64, 24


def rgb(code: str) -> Array:
    """Colour of a hexadecimal code such as ``"#1d3557"``: (3,) float in [0, 1]."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def pigment(color: Color) -> Array:
    """A colour as an array, whichever way it is given."""
    return rgb(color) if isinstance(color, str) else color


def smooth(start: float, end: float, value: ArrayLike) -> Array:
    """Smooth step: 0 up to ``start``, 1 from ``end`` (which may be the smaller of the two)."""
    ramp = np.clip((np.asarray(value) - start) / (end - start), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def mix(first: Color, second: Color, amount: ArrayLike) -> Array:
    """Colours from ``first`` to ``second`` by an amount of shape () or (H, W) in [0, 1]."""
    share = np.asarray(amount, np.float32)[..., None]
    return np.asarray(pigment(first) * (1 - share) + pigment(second) * share, np.float32)


def gradient(value: Array, stops: list[tuple[float, str]]) -> Array:
    """Colours along a scale: ``stops`` are pairs of value and hexadecimal colour, ascending; (H, W) to (H, W, 3)."""
    places, colors = [place for place, _ in stops], np.array([rgb(code) for _, code in stops])
    return np.stack([np.interp(value, places, colors[:, c]).astype(np.float32) for c in range(3)], axis=-1)


def _bristle_stamps() -> tuple[Array, Array]:
    """Cover and relief of brush marks, each (STAMPS, STAMP_WIDTH, STAMP_LENGTH): streaks with ragged, drying ends."""
    rng = np.random.default_rng(1874)
    along = np.linspace(0, 1, STAMP_LENGTH, dtype=np.float32)
    across = np.abs(np.linspace(-1, 1, STAMP_WIDTH, dtype=np.float32))[:, None]
    covers, reliefs = [], []
    for _ in range(STAMPS):
        bristles = np.repeat(rng.random(STAMP_WIDTH // 2), 2)
        bristles = np.convolve(np.pad(bristles, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")[:, None]
        start = 0.10 * rng.random() + 0.10 * bristles + 0.16 * across**3
        end = 1 - 0.06 * rng.random() - 0.22 * (1 - bristles) - 0.16 * across**3
        cover = smooth(0, 0.05, along - start) * smooth(0, 0.09, end - along) * smooth(1, 0.86, across)
        cover *= 1 - smooth(0.35, 1.1, along + 0 * across) * (1 - bristles)  # the paint runs out, hair by hair
        ridge = 0.5 * smooth(0.55, 0.85, across)  # a loaded brush pushes paint to its sides
        covers.append(cover)
        reliefs.append(cover * (0.25 + 0.75 * bristles + ridge))
    return np.array(covers, np.float32), np.array(reliefs, np.float32)


COVERS, RELIEFS = _bristle_stamps()


class Canvas:
    """A picture being painted.

    Attributes: ``paint`` (H, W, 3) float colours; ``relief`` (H, W) thickness of the paint; ``x``, ``y`` (H, W)
    coordinates in units; ``width``, ``height`` in units; ``scale`` pixels of the canvas for a unit; ``rng`` its chance.
    """

    def __init__(self, size: int, seed: int, ground: str, width: int = 640, height: int = 512) -> None:
        """``size``: shorter side of the finished picture, in pixels."""
        self.width, self.height, self.scale = width, height, OVERSAMPLING * size / SHORTER_SIDE
        rows, columns = round(height * self.scale), round(width * self.scale)
        self.rng = np.random.default_rng(seed)
        self._stamp_rng = np.random.default_rng(seed + 1)  # apart: how many marks are laid depends a little on the size
        self.paint: Array = np.tile(rgb(ground), (rows, columns, 1))
        self.relief: Array = np.zeros((rows, columns), np.float32)
        grid = np.mgrid[0:rows, 0:columns].astype(np.float32) + 0.5
        self.y, self.x = grid[0] / self.scale, grid[1] / self.scale

    def noise(self, grain: float, octaves: int = 1, stretch: float = 1.0) -> Array:
        """Smooth noise (H, W), mean 0, deviation about 1: bumps ``grain`` units high, ``stretch`` times as long."""
        rows, columns = self.relief.shape
        total: Array = np.zeros_like(self.relief)
        for octave in range(octaves):
            step = grain / 2**octave
            lattice = self.rng.standard_normal((int(self.height / step) + 3, int(self.width / step / stretch) + 3))
            box = (0.5, 0.5, 0.5 + self.width / step / stretch, 0.5 + self.height / step)
            picture = Image.fromarray(lattice.astype(np.float32)).resize((columns, rows), Image.Resampling.BICUBIC, box)
            total += np.asarray(picture) / 2**octave
        return total * np.float32(1.35)

    def pixel(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Row and column under points in units; points outside go to the nearest border."""
        rows, columns = self.relief.shape
        row = np.clip(np.asarray(y) * self.scale, 0, rows - 1).astype(np.intp)
        return row, np.clip(np.asarray(x) * self.scale, 0, columns - 1).astype(np.intp)

    def stroke(
        self,
        x: float,
        y: float,
        angle: float,
        length: float,
        width: float,
        color: Color,
        *,
        bend: float = 0.0,
        opacity: float = 0.92,
        labels: NDArray[np.integer] | None = None,
    ) -> None:
        """Lay one mark centred on (x, y); ``bend`` bows its middle sideways, in units.

        With ``labels`` (H, W) the mark stops where the label differs from that under its centre: paint within a shape.
        """
        rows, columns = self.relief.shape
        cosine, sine = np.cos(angle), np.sin(angle)
        reach_x = (abs(length * cosine) + abs((width + abs(bend)) * sine)) / 2 + abs(bend)
        reach_y = (abs(length * sine) + abs((width + abs(bend)) * cosine)) / 2 + abs(bend)
        left, right = max(int((x - reach_x) * self.scale), 0), min(int((x + reach_x) * self.scale) + 2, columns)
        top, bottom = max(int((y - reach_y) * self.scale), 0), min(int((y + reach_y) * self.scale) + 2, rows)
        kind = self._stamp_rng.integers(STAMPS)
        if left >= right or top >= bottom:
            return
        dx = (np.arange(left, right, dtype=np.float32) + 0.5) / self.scale - x
        dy = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / self.scale - y)[:, None]
        along = (dx * cosine + dy * sine) / length + 0.5
        across = (dy * cosine - dx * sine + bend * (1 - 4 * (along - 0.5) ** 2)) / width + 0.5
        inside = (along > 0) & (along < 1) & (across > 0) & (across < 1)
        if labels is not None:
            row, column = self.pixel(x, y)
            inside &= labels[top:bottom, left:right] == labels[row, column]
        index = (
            (across.clip(0, 0.999) * STAMP_WIDTH).astype(np.intp),
            (along.clip(0, 0.999) * STAMP_LENGTH).astype(np.intp),
        )
        cover = COVERS[kind][index] * inside * opacity
        relief = RELIEFS[kind][index]
        patch = self.paint[top:bottom, left:right]
        patch += cover[..., None] * (pigment(color) * (0.93 + 0.14 * relief[..., None]) - patch)
        height = self.relief[top:bottom, left:right]
        height += cover * (0.35 * height + relief * min(width, 24) ** 0.5 - height)

    def brush_scene(
        self,
        scene: Array,
        angle: Array,
        length: float,
        width: float,
        *,
        coverage: float = 2.0,
        jitter: float = 0.06,
        wobble: float = 0.2,
        where: Array | None = None,
        bend: float = 0.0,
        opacity: float = 0.92,
        labels: NDArray[np.integer] | None = None,
    ) -> None:
        """Cover the canvas with marks that take colour from ``scene`` (H, W, 3) and direction from ``angle`` (H, W).

        ``coverage``: how often a point is painted over on average; ``jitter``: how far colours stray; ``wobble``: how
        far directions stray, in radians; ``where`` (H, W) in [0, 1]: how likely a mark is at each place.
        """
        count = int(coverage * self.width * self.height / (length * width))
        xs, ys = self.rng.uniform(0, self.width, count), self.rng.uniform(0, self.height, count)
        # Value, warm against cool, green against magenta: the three ways in which a painter strays from a colour.
        stray = self.rng.normal(0, jitter, (count, 3)) @ np.array([[1, 1, 1], [0.9, 0.1, -0.9], [-0.4, 0.5, -0.3]])
        turns, sizes = self.rng.normal(0, wobble, count), self.rng.uniform(0.7, 1.3, (count, 2))
        bends, chances = self.rng.normal(0, 1, count) * bend, self.rng.random(count)
        row, column = self.pixel(xs, ys)
        colors = np.clip(scene[row, column] + stray, 0, 1).astype(np.float32)
        keep = chances < (1 if where is None else where[row, column])
        for i in np.flatnonzero(keep):
            self.stroke(
                xs[i],
                ys[i],
                angle[row[i], column[i]] + turns[i],
                length * sizes[i, 0],
                width * sizes[i, 1],
                colors[i],
                bend=bends[i],
                opacity=opacity,
                labels=labels,
            )

    def weave(self, strength: float = 0.35) -> None:
        """Let the threads of the linen show through the relief of the paint."""
        threads = np.sin(self.x * 2.1) * np.sin(self.y * 2.1 + 0.6 * self.noise(40))
        self.relief += strength * threads.astype(np.float32) * (1 + 0.4 * self.noise(12))

    def finish(self, light: float = 0.06) -> Image.Image:
        """Light the relief from the upper left and reduce to the final size, RGB."""
        rows, columns = self.relief.shape
        step = 2 / self.scale  # slope per unit, whatever the resolution
        slope = (np.gradient(self.relief, axis=0) + np.gradient(self.relief, axis=1)) / step
        shade = np.tanh(light * 2 * slope)[..., None]
        lit = self.paint * (1 + np.minimum(shade, 0)) + (1 - self.paint) * np.maximum(shade, 0) * 0.7
        picture = Image.fromarray((np.clip(lit, 0, 1) * 255 + 0.5).astype(np.uint8))
        size = (round(columns / OVERSAMPLING), round(rows / OVERSAMPLING))
        return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=None)
