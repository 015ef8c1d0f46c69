"""A woodblock press: flat colours with the grain of plank and paper, and carved contours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from painting.canvas import Array, Canvas, Color, mix, pigment, smooth

KEY_BLOCK = "#1c2a4a"  # contours are printed in deep indigo
Points = NDArray[np.float64]  # (N, 2) x and y in units


def curve(*knots: tuple[float, float], count: int = 160) -> Points:
    """Smooth curve through its knots (Catmull-Rom spline)."""
    pts = np.array([knots[0], *knots, knots[-1]], float)
    place = np.linspace(0, len(knots) - 1 - 1e-9, count)
    index, t = place.astype(int), (place % 1)[:, None]
    a, b, c, d = pts[index], pts[index + 1], pts[index + 2], pts[index + 3]
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


class Print:
    """A sheet under the press: blocks of colour with wood grain, and contours that swell and taper."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        rings = canvas.noise(70, 2, stretch=9) * 3 + canvas.y / 9
        self.grain = 0.5 * np.sin(rings * 2.2) + 0.35 * canvas.noise(3, 2, stretch=14) + 0.25 * canvas.noise(2.4)

    def block(self, where: Points | Array, color: Color, strength: float = 1.0, contour: float = 0.0) -> None:
        """Print a colour inside a polygon (N, 2) or a mask (H, W); with ``contour``, outline the polygon so wide."""
        canvas = self.canvas
        ink = pigment(color)
        if where.shape == self.grain.shape:
            canvas.paint = mix(canvas.paint, ink, where * strength * (0.93 + 0.07 * self.grain))
            return
        rows, columns = self.grain.shape
        corners = np.asarray(where, float) * canvas.scale
        left, top = np.clip(np.floor(corners.min(0)), 0, (columns, rows)).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, (columns, rows)).astype(int)
        if left < right and top < bottom:
            area = slice(top, bottom), slice(left, right)
            picture = Image.new("L", (int(right - left), int(bottom - top)))
            ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners - (left, top)], fill=255)
            cover = np.asarray(picture, np.float32) / 255 * strength * (0.93 + 0.07 * self.grain[area])
            canvas.paint[area] = mix(canvas.paint[area], ink if ink.ndim == 1 else ink[area], cover)
        if contour:
            self.line(np.concatenate([where, where[:1]]), contour, taper=False)

    def line(self, points: Points, width: float, color: str = KEY_BLOCK, taper: bool = True) -> None:
        """A carved line along points; it swells in the middle unless ``taper`` is false."""
        points = np.asarray(points, float)
        direction = np.gradient(points, axis=0)
        normal = np.stack([-direction[:, 1], direction[:, 0]], 1) / (np.hypot(*direction.T)[:, None] + 1e-9)
        along = np.linspace(0, 1, len(points))
        half = width / 2 * (np.sin(np.pi * along) ** 0.6 if taper else 1 + 0.2 * np.sin(along * 23))
        edge = normal * (half + 0.15)[:, None]
        self.block(np.concatenate([points + edge, (points - edge)[::-1]]), color)

    def discs(self, points: Points, radii: NDArray[np.float64], color: str) -> None:
        """Round marks of one colour: foam, spray, leaves."""
        rows, columns = self.canvas.relief.shape
        picture = Image.new("L", (columns, rows))
        draw = ImageDraw.Draw(picture)
        for (x, y), radius in zip(points * self.canvas.scale, radii * self.canvas.scale, strict=True):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        self.block(np.asarray(picture, np.float32) / 255, color)

    def finish(self) -> Image.Image:
        """Let the sheet show through: fibres, uneven inking, a warm tone and a blank margin."""
        canvas = self.canvas
        fibres = smooth(1.1, 2.4, canvas.noise(2.2, stretch=7)) + smooth(1.2, 2.4, canvas.noise(9) * canvas.noise(2))
        canvas.paint = mix(
            canvas.paint,
            "#e9dcb9",
            np.clip(0.10 + 0.20 * fibres + 0.035 * self.grain + 0.03 * canvas.noise(60, 2), 0, 1),
        )
        canvas.relief = 1.1 * canvas.noise(2.6, 2) + 0.9 * self.grain
        x, y = canvas.x, canvas.y
        border = np.minimum(np.minimum(x, canvas.width - x), np.minimum(y, canvas.height - y)) + 0.4 * canvas.noise(20)
        paper = mix("#efe4c6", "#dcc99d", smooth(-1, 2.5, canvas.noise(30, 3)))
        canvas.paint = mix(mix(canvas.paint, KEY_BLOCK, smooth(10.8, 9.8, border)), paper, smooth(9.2, 8.4, border))
        return canvas.finish(light=0.02)
