"""Abstraction of the early twentieth century: circles, arcs, bars and triangles, brushed by hand on a worked ground."""

from __future__ import annotations

import numpy as np
from PIL import Image

from painting.canvas import Array, Canvas, Color, Painting, mix, pigment, rgb, smooth
from painting.shapes import polygon


class _Composition:
    """Shapes given by signed distances in units, negative inside, each filled with strokes that keep within it."""

    def __init__(self, canvas: Canvas, ground: Array) -> None:
        self.canvas, self.scene = canvas, ground
        self.labels = np.zeros(canvas.x.shape, np.int64)
        self.angle: Array = 0.8 * canvas.noise(110)
        self.tremor: Array = 0.5 * canvas.noise(20, 2)  # the hand is not a ruler

    def add(self, distance: Array, color: Color, angle: float | Array | None = None) -> None:
        """Lay a shape over the others; strokes in it run along ``angle`` (by default one drawn at random)."""
        inside = distance + self.tremor < 0
        direction = self.canvas.rng.uniform(0, np.pi) if angle is None else angle
        self.scene = np.where(inside[..., None], pigment(color), self.scene)
        self.angle = np.where(inside, direction, self.angle).astype(np.float32)
        self.labels = np.where(inside, self.labels.max() + 1, self.labels)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: float, color: str = "#17141a") -> None:
        """A straight bar from point to point."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = float(np.hypot(dx, dy))
        along = ((self.canvas.x - start[0]) * dx + (self.canvas.y - start[1]) * dy) / length
        across = ((self.canvas.y - start[1]) * dx - (self.canvas.x - start[0]) * dy) / length
        self.add(
            np.maximum(np.abs(across) - width / 2, np.abs(along - length / 2) - length / 2), color, np.arctan2(dy, dx)
        )

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """A disc whose strokes run round it."""
        dx, dy = self.canvas.x - x, self.canvas.y - y
        self.add(np.hypot(dx, dy) - radius, color, np.arctan2(dy, dx) + np.pi / 2)

    def arc(
        self, x: float, y: float, radius: float, width: float, color: str, start: float = -np.pi, end: float = np.pi
    ) -> None:
        """Part of a ring, between two directions from its centre."""
        dx, dy = self.canvas.x - x, self.canvas.y - y
        turn = np.arctan2(dy, dx)
        middle, reach = (start + end) / 2, (end - start) / 2
        apart = np.abs(np.angle(np.exp(1j * (turn - middle)))) - reach
        self.add(np.maximum(np.abs(np.hypot(dx, dy) - radius) - width / 2, apart * radius), color, turn + np.pi / 2)

    def polygon(self, color: Color, *corners: tuple[float, float]) -> None:
        """A convex polygon, corners clockwise on the picture."""
        self.add(polygon(self.canvas.x, self.canvas.y, *corners), color)

    def finish(self, jitter: float = 0.035) -> Image.Image:
        """Brush every shape: a broad pass, a narrow one, and a scumble of broken colour over both."""
        canvas, scene = self.canvas, np.asarray(self.scene, np.float32)
        canvas.paint = scene.copy()
        canvas.brush_scene(scene, self.angle, 60, 17, coverage=2.5, jitter=jitter, wobble=0.15, labels=self.labels)
        canvas.brush_scene(
            scene, self.angle, 26, 7, coverage=2.5, jitter=jitter * 1.3, wobble=0.2, labels=self.labels, opacity=0.75
        )
        worn = smooth(0.8, 3.2, canvas.noise(5, 3) + 0.8 * canvas.noise(90)) * 0.3
        canvas.paint = mix(canvas.paint, "#efe3c8", worn)
        canvas.weave(0.55)
        return canvas.finish()


def circles_in_squares(size: int) -> Image.Image:
    """Rings of singing colour in a grid of squares."""
    canvas = Canvas(size, seed=1913, ground="#2a2a33")
    colors = (
        "#d7263d",
        "#f46036",
        "#f9c22e",
        "#2e9e6b",
        "#1b6ca8",
        "#5b3f99",
        "#f3e3c3",
        "#e58fb1",
        "#14263f",
        "#7fb7be",
        "#a8321f",
        "#c8d96f",
    )
    composition = _Composition(canvas, np.tile(rgb("#2a2a33"), (*canvas.x.shape, 1)))
    side = 128
    for row in range(4):
        for column in range(5):
            x, y = column * side + side / 2, row * side + side / 2
            order = [str(color) for color in canvas.rng.permutation(colors)]
            composition.add(np.maximum(np.abs(canvas.x - x), np.abs(canvas.y - y)) - side / 2 + 1, order[0])
            radius, rings = 60.0 + canvas.rng.normal(0, 3), 0
            while radius > 6:
                center = canvas.rng.normal(0, 3, 2)
                composition.disc(x + center[0], y + center[1], radius, order[1 + rings % 11])
                radius, rings = radius - canvas.rng.uniform(8, 17), rings + 1
    return composition.finish(jitter=0.05)


def arcs_and_triangles(size: int) -> Image.Image:
    """A dark sun with its halo; triangles, chequers, arcs and rays weigh against it."""
    canvas = Canvas(size, seed=1923, ground="#efe2c4")
    x, y = canvas.x, canvas.y
    ground = mix("#f1e6cb", "#e2c79c", smooth(0, 800, x + 0.4 * y + 60 * canvas.noise(120, 2)))
    ground = mix(ground, "#b9cfd0", np.exp(-((np.hypot(x - 520, y - 400) / 150) ** 2)) * 0.9)
    ground = mix(ground, "#f0b7a0", np.exp(-((np.hypot(x - 150, y - 130) / 165) ** 2)))
    composition = _Composition(canvas, ground)
    composition.polygon("#e3b23c", (250, 40), (470, 350), (90, 400))
    composition.polygon("#f0d48a", (250, 40), (330, 152), (196, 172))
    composition.polygon("#2f6f8f", (380, 120), (600, 470), (330, 430))
    composition.polygon("#1d3f63", (468, 262), (600, 470), (420, 443))
    composition.disc(150, 130, 92, "#d9472b")
    composition.disc(150, 130, 74, "#7a1f3d")
    composition.disc(150, 130, 60, "#1c1a26")
    composition.disc(168, 116, 23, "#5a4fa0")
    composition.disc(400, 330, 84, "#e8d9b5")
    composition.disc(400, 330, 70, "#c23a4b")
    composition.add(np.maximum(np.hypot(x - 400, y - 330) - 70, (x - 400) * 0.6 - (y - 330)), "#f2a03d")
    composition.disc(420, 345, 24, "#274b8a")
    for i in range(5):
        for j in range(4):
            left, top = 474 + 26 * i + 5 * j, 52 + 26 * j - 7 * i
            composition.polygon(
                "#17141a" if (i + j) % 2 else ("#f4ead2", "#d9472b", "#e3b23c")[(i * 3 + j) % 3],
                (left, top),
                (left + 26, top - 7),
                (left + 31, top + 19),
                (left + 5, top + 26),
            )
    for number, radius in enumerate((40, 58, 76, 94)):
        composition.arc(130, 430, radius, 11, ("#1c1a26", "#2e8b7a", "#e08a2e", "#7a1f3d")[number], -2.7, -0.25)
    composition.arc(330, 210, 190, 5, "#17141a", -0.9, 0.9)
    composition.arc(330, 210, 176, 3, "#17141a", -0.6, 0.5)
    for start, end, width in (
        ((20, 480), (470, 18), 5),
        ((60, 492), (500, 30), 2.5),
        ((300, 505), (630, 190), 3.5),
        ((30, 250), (610, 300), 3),
        ((250, 18), (330, 500), 2.5),
        ((520, 170), (625, 420), 7),
    ):
        composition.line(start, end, width)
    for place, row, radius, color in (
        (560, 300, 17, "#7a4f9a"),
        (300, 90, 13, "#2e8b7a"),
        (60, 320, 19, "#274b8a"),
        (610, 60, 11, "#d9472b"),
        (245, 470, 15, "#d9472b"),
        (360, 470, 9, "#17141a"),
        (580, 360, 8, "#17141a"),
        (30, 60, 10, "#e3b23c"),
    ):
        composition.disc(place, row, radius + 4, "#f4ead2")
        composition.disc(place, row, radius, color)
    for bar in range(6):
        composition.line(
            (40 + 14 * bar, 204 + 5 * bar), (62 + 14 * bar, 252 - 3 * bar), 4, "#17141a" if bar % 2 else "#d9472b"
        )
    return composition.finish()


def rhythm(size: int) -> Image.Image:
    """Discs of contrasting colour that turn against each other, cut in sectors by a slanting light."""
    canvas = Canvas(size, seed=1938, ground="#d8c8a8")
    warm = ("#e63946", "#f77f00", "#fcbf49", "#f4e3b5", "#b5179e", "#9d2933")
    cold = ("#1d4e89", "#2a9d8f", "#14213d", "#6fb1d6", "#3f8f4f", "#5a3d8a")
    composition = _Composition(canvas, np.tile(rgb("#e2d2ae"), (*canvas.x.shape, 1)))
    for stripe in range(-2, 9):
        left = stripe * 100.0
        color = ("#28527a", "#e9c46a", "#8ab17d", "#e76f51", "#f1e3c4", "#7a3b69")[stripe % 6]
        composition.polygon(color, (left, -10), (left + 100, -10), (left - 80, 522), (left - 180, 522))
    for x, y, radius, rings, tilt in (
        (205, 190, 182, 7, 0.5),
        (470, 330, 172, 6, -0.3),
        (500, 92, 92, 4, 1.1),
        (110, 440, 104, 5, -0.9),
        (322, 452, 66, 3, 0.2),
    ):
        width = radius / rings
        for ring in range(rings):
            for quarter in range(4):
                colors = warm if (quarter + ring) % 2 else cold
                color = colors[int(canvas.rng.integers(6))]
                start = tilt + quarter * np.pi / 2
                composition.arc(x, y, radius - width * (ring + 0.5), width, color, start, start + np.pi / 2)
        composition.disc(x, y, width * 0.55, "#f4e3b5" if rings % 2 else "#e63946")
    return composition.finish(jitter=0.045)


PAINTINGS: dict[str, Painting] = {
    "circles_in_squares": circles_in_squares,
    "arcs_and_triangles": arcs_and_triangles,
    "rhythm": rhythm,
}
