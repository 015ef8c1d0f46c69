"""An ink scroll: absorbent paper, a brush of single hairs, wet washes and a seal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from painting.canvas import Array, Canvas, mix, smooth

Points = NDArray[np.float64]  # (N, 2) x and y in units


class Scroll:
    """Absorbent paper: ``ink`` (H, W) and ``red`` (H, W) are how much pigment has sunk in; they only ever add up."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.ink: Array = np.zeros_like(canvas.relief)
        self.red: Array = np.zeros_like(canvas.relief)
        self.tooth: Array = canvas.noise(2.0, 2, stretch=1.6)  # hollows of the paper that a dry brush skips

    def brush(
        self, points: Points, widths: NDArray[np.float64] | float, ink: float, dry: float = 0.3, red: bool = False
    ) -> None:
        """Draw a brush along points (N, 2) of given widths (N,); ``dry`` in [0, 1] opens the hairs as the ink runs out.

        Every hair of the brush is a line of its own with its own load, which is what gives dry strokes their streaks.
        """
        rng, scale = self.canvas.rng, self.canvas.scale
        points = np.asarray(points, float)
        widths = np.broadcast_to(widths, len(points))
        margin = widths.max() + 2
        low, high = points.min(0) - margin, points.max(0) + margin
        (top, bottom), (left, right) = self.canvas.pixel([low[0], high[0]], [low[1], high[1]])
        area = slice(top, bottom + 1), slice(left, right + 1)
        direction = np.gradient(points, axis=0)
        normal = np.stack([-direction[:, 1], direction[:, 0]], 1) / (np.hypot(*direction.T)[:, None] + 1e-9)
        picture = Image.new("L", (int(right - left) + 1, int(bottom - top) + 1))
        draw = ImageDraw.Draw(picture)
        hairs = max(5, int(widths.max() * 1.9))
        along = np.linspace(0, 1, len(points))
        for offset in np.linspace(-1, 1, hairs):
            load = 1 - dry * rng.random() ** 1.4
            wander = np.interp(along, np.linspace(0, 1, 9), rng.normal(0, 0.6, 9))
            wet = np.clip((load - dry * along + 0.28 * dry * wander) * 1.3 + 0.25 * (abs(offset) > 0.8), 0, 1)
            hair = ((points + normal * (offset + rng.normal(0, 0.5 / hairs)) * widths[:, None] / 2) * scale) - (
                left,
                top,
            )
            for start, end, level in zip(hair[:-1], hair[1:], wet[1:], strict=True):
                if level > 0.3 * dry:
                    draw.line(
                        (*start, *end), fill=int(255 * level), width=max(1, round(scale * widths.max() / hairs * 1.5))
                    )
        cover = np.asarray(picture, np.float32) / 255
        cover *= 1 - dry * 0.9 * smooth(0.1, 1.2, self.tooth[area] + 0.4 - cover)
        target = self.red if red else self.ink
        target[area] = 0.96 * target[area] + ink * cover

    def dot(self, x: float, y: float, width: float, ink: float, angle: float = 0.4, red: bool = False) -> None:
        """Touch the paper once with the tip: a rounded, slightly drawn-out mark."""
        reach = np.linspace(-0.6, 0.6, 7) * width
        points = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], 1)
        self.brush(points, width * np.sin(np.linspace(0.25, 2.9, 7)) ** 0.7, ink, dry=0.15, red=red)

    def wash(self, cover: Array, ink: float) -> None:
        """Lay a wet wash: it pools unevenly and darkens where it dries, at its rim."""
        pool = 1 + 0.22 * self.canvas.noise(46, 3) + 0.06 * self.tooth
        rim = smooth(0.02, 0.2, cover) * smooth(0.6, 0.2, cover) * 0.18
        self.ink += ink * np.clip(cover * pool + rim, 0, None)

    def seal(self, x: float, y: float, side: float = 26) -> None:
        """A red seal whose carved marks are left white."""
        rng = self.canvas.rng
        away = np.maximum(np.abs(self.canvas.x - x), np.abs(self.canvas.y - y)) + 0.5 * self.tooth
        stamp = smooth(side / 2 + 0.6, side / 2 - 0.6, away)
        for row in range(4):
            for column in range(2):
                px, py = x + (column - 0.5) * side * 0.44, y + (row - 1.5) * side * 0.21
                long = side * rng.uniform(0.1, 0.17)
                carved = np.maximum(np.abs(self.canvas.x - px) - long, np.abs(self.canvas.y - py) - side * 0.035)
                stamp *= smooth(-0.4, 0.6, carved)
            px = x + (row - 1.5) * side * 0.22
            stamp *= smooth(
                -0.4,
                0.6,
                np.maximum(
                    np.abs(self.canvas.x - px) - side * 0.03, np.abs(self.canvas.y - y - rng.normal(0, 4)) - side * 0.2
                ),
            )
        self.red += 1.9 * stamp * (0.85 - 0.2 * smooth(0.4, 1.5, self.tooth))

    def finish(self) -> Image.Image:
        """Sum what the paper has drunk: colours fall off exponentially with the pigment, as light in a wash does."""
        canvas = self.canvas
        cloud = smooth(-1, 2, canvas.noise(150, 3))
        paper = mix("#f1e8d3", "#dfcfac", 0.75 * cloud + 0.05 * self.tooth)
        fibres = smooth(1.3, 2.6, canvas.noise(2.4, stretch=8)) - smooth(1.4, 2.6, canvas.noise(5, stretch=0.3))
        paper *= 1 + 0.05 * fibres[..., None]
        grain = 1 + 0.10 * self.tooth
        black, scarlet = np.array([1.02, 0.98, 0.90]), np.array([0.12, 1.25, 1.35])
        absorbed = (self.ink * grain)[..., None] * black + (self.red * grain)[..., None] * scarlet
        canvas.paint = np.asarray(paper * np.exp(-np.clip(absorbed, 0, 3.2)), np.float32) + 0.015
        canvas.relief = 0.9 * self.tooth
        return canvas.finish(light=0.02)


def path(*knots: tuple[float, float], count: int = 40) -> Points:
    """Points along a polyline, its corners rounded."""
    place = np.linspace(0, len(knots) - 1, count)
    line = np.stack([np.interp(place, np.arange(len(knots)), axis) for axis in np.array(knots, float).T], 1)
    for _ in range(max(1, count // 8)):
        line[1:-1] = 0.25 * line[:-2] + 0.5 * line[1:-1] + 0.25 * line[2:]
    return line
