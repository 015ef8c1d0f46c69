"""Cubism: a motif broken by a net of lines, each facet seen from a place and in a light of its own, in earth colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from painting.canvas import Array, Canvas, gradient, mix, rgb, smooth

Motif = Callable[[Array, Array], tuple[Array, Array]]  # coordinates to colours (H, W, 3) and contours (H, W) in [0, 1]


class _Drawing:
    """Shapes laid over each other: signed distances, negative inside, become colours and charcoal contours."""

    def __init__(self, colors: Array) -> None:
        self.colors, self.contours = colors, np.zeros(colors.shape[:2], np.float32)

    def add(self, distance: Array, color: Array | str, contour: float = 1.0) -> None:
        inside = smooth(0.8, -0.8, distance)
        self.colors = mix(self.colors, rgb(color) if isinstance(color, str) else color, inside)
        self.contours = np.maximum(self.contours * (1 - inside), contour * smooth(1.9, 0.7, np.abs(distance)))


def _turned(x: Array, y: Array, center: tuple[float, float], angle: float) -> tuple[Array, Array]:
    dx, dy = x - center[0], y - center[1]
    return dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)


def _box(x: Array, y: Array, half_width: float | Array, half_height: float) -> Array:
    return np.asarray(np.maximum(np.abs(x) - half_width, np.abs(y) - half_height), np.float32)


def _polygon(x: Array, y: Array, *corners: tuple[float, float]) -> Array:
    """Signed distance to a convex polygon, corners clockwise on the picture."""
    sides = zip(corners, corners[1:] + corners[:1], strict=True)
    return np.max([((y - y0) * (x0 - x1) + (x - x0) * (y1 - y0)) / np.hypot(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in sides], axis=0)


def _facets(canvas: Canvas, motif: Motif, lines: int, angles: tuple[float, ...], shift: float, depth: float) -> Image.Image:
    """Break the motif along ``lines`` random lines in a few directions; ``shift``: displacement, ``depth``: shading."""
    x, y, rng = canvas.x, canvas.y, canvas.rng
    labels = np.zeros(x.shape, np.int64)
    net: list[tuple[float, float, float]] = []
    for index in range(lines):
        angle = angles[index % len(angles)] + rng.normal(0, 0.12)
        px, py = canvas.width * rng.uniform(0.1, 0.9), canvas.height * rng.uniform(0.1, 0.9)
        side = (x - px) * np.sin(angle) - (y - py) * np.cos(angle)
        # A line that ends on an earlier one leaves large facets beside small ones.
        within = np.ones_like(x, bool)
        if net and rng.random() < 0.7:
            qx, qy, other = net[rng.integers(len(net))]
            within = ((x - qx) * np.sin(other) - (y - qy) * np.cos(other)) * rng.choice([-1, 1]) > 0
        labels = labels * 2 + ((side > 0) & within)
        net.append((px, py, angle))
    _, labels = np.unique(labels, return_inverse=True)
    labels = labels.reshape(x.shape)
    count = int(labels.max()) + 1
    turn, zoom = rng.normal(0, 0.13, count)[labels], rng.normal(1, 0.06, count)[labels]
    middle_x, middle_y = canvas.width / 2, canvas.height / 2
    seen_x, seen_y = _turned(x, y, (middle_x, middle_y), turn)
    dx, dy = rng.normal(0, shift, (2, count))
    colors, contours = motif(seen_x * zoom + middle_x + dx[labels], seen_y * zoom + middle_y + dy[labels])
    sizes = np.bincount(labels.ravel())
    center_x, center_y = (np.bincount(labels.ravel(), part.ravel()) / sizes for part in (x, y))
    light = rng.uniform(0, 2 * np.pi, count)
    span = np.sqrt(sizes)[labels] / canvas.scale
    slope = ((x - center_x[labels]) * np.cos(light)[labels] + (y - center_y[labels]) * np.sin(light)[labels]) / span
    shade = depth * np.tanh(1.8 * slope) + rng.normal(0, 0.07, count)[labels]
    colors = mix(colors, rgb("#fbf0d8"), np.clip(shade, 0, 1))
    colors = mix(colors, rgb("#2a211d"), np.clip(-shade, 0, 1) * 0.95)
    brush = np.array(angles)[rng.integers(len(angles), size=count)][labels]
    canvas.brush_scene(colors, brush, 46, 15, coverage=3, jitter=0.03, wobble=0.12, labels=labels)
    canvas.brush_scene(colors, brush, 19, 8, coverage=3.2, jitter=0.038, wobble=0.2, labels=labels, opacity=0.8)
    edges = (np.abs(np.diff(labels, axis=0, prepend=labels[:1])) + np.abs(np.diff(labels, axis=1, prepend=labels[:, :1]))) > 0
    grown = np.asarray(Image.fromarray(edges.astype(np.float32) * 3).resize(edges.shape[::-1]).reduce(2).resize(edges.shape[::-1], Image.Resampling.BICUBIC))
    broken = smooth(-0.9, 0.3, canvas.noise(55)) * (0.65 + 0.35 * canvas.noise(2.2))
    charcoal = np.clip(np.maximum(0.55 * grown * broken, 0.8 * contours * (0.8 + 0.3 * canvas.noise(2))), 0, 0.88)
    canvas.paint = mix(canvas.paint, rgb("#1d1714"), charcoal)
    canvas.weave(0.5)
    return canvas.finish()


def guitar(size: int) -> Image.Image:
    """A guitar, a bottle, a glass and a newspaper on a round table."""
    canvas = Canvas(size, seed=1912, ground="#6f6250")

    def motif(x: Array, y: Array) -> tuple[Array, Array]:
        drawing = _Drawing(gradient(x + 0.4 * y, [(0, "#5c6b66"), (250, "#8d8a78"), (520, "#a58c66"), (840, "#4a4038")]))
        drawing.add(np.hypot((x - 330) / 1.35, y - 400) - 200, gradient(y, [(250, "#7a5232"), (512, "#3f2a1e")]))
        drawing.add(_polygon(x, y, (60, 300), (230, 270), (262, 420), (88, 450)), "#e4d9bd")
        for row in range(9):
            drawing.add(_box(*_turned(x, y, (165, 306 + 15 * row), -0.17), 66 - 12 * (row % 3), 2.2), "#5a5248", 0)
        bottle_x, bottle_y = x - 500, y - 250
        half = np.interp(bottle_y, [-170, -80, -40, 120], [15, 16, 44, 46])
        drawing.add(np.maximum(np.abs(bottle_x) - half, np.abs(bottle_y + 25) - 145), gradient(bottle_x, [(-46, "#9fae84"), (-10, "#3f5a44"), (46, "#1d2f2a")]))
        drawing.add(_box(bottle_x, bottle_y - 30, 45, 34), "#d9c48e")
        drawing.add(np.hypot(bottle_x, bottle_y - 30) - 19, "#9c3b25")
        along, across = _turned(x, y, (270, 300), -0.95)
        body = np.minimum(np.hypot(along + 62, across) - 92, np.hypot(along - 58, across) - 70)
        body = np.minimum(body, _box(along, across, 60, 56))
        wood = gradient(across + 0.3 * along + 4 * np.sin(across / 3), [(-100, "#e9bf78"), (0, "#c98a3e"), (60, "#9a5a28"), (110, "#5a3218")])
        drawing.add(body, wood)
        drawing.add(_box(along - 190, across, 140, 15), gradient(across, [(-15, "#6a4226"), (15, "#2a1a12")]))
        drawing.add(_box(along - 352, across, 32, 24), "#8a5a30")
        drawing.add(np.hypot(along - 8, across) - 33, "#d8a860")
        drawing.add(np.hypot(along - 8, across) - 27, "#1f1613")
        drawing.add(_box(along + 92, across, 6, 36), "#2f1f16")
        for string in np.linspace(-11, 11, 6):
            drawing.add(_box(along - 126, across - string, 218, 0.3), "#f2e6c8", 0.35)
        glass = np.interp(y, [350, 410, 414, 452, 458, 466], [34, 26, 5, 5, 30, 32])
        drawing.add(np.maximum(np.abs(x - 470) - glass, np.abs(y - 408) - 58), gradient(x, [(436, "#dfe6dc"), (470, "#8fa0a0"), (504, "#56686c")]))
        drawing.add(np.hypot((x - 470) / 34, (y - 350) / 9) * 9 - 9, "#c8d2c8")
        return drawing.colors, drawing.contours

    return _facets(canvas, motif, 17, (0.95, -0.62, 1.52, 0.12), shift=11, depth=0.36)


def portrait(size: int) -> Image.Image:
    """A seated woman, seen from the front and from the side at once."""
    canvas = Canvas(size, seed=1910, ground="#5f5a50", width=512, height=640)

    def motif(x: Array, y: Array) -> tuple[Array, Array]:
        drawing = _Drawing(gradient(x - 0.5 * y, [(-320, "#3a4a4c"), (-60, "#7f8a80"), (200, "#b59c70"), (500, "#5a4634")]))
        drawing.add(_polygon(x, y, (330, 330), (500, 360), (512, 640), (300, 640)), gradient(y, [(330, "#8a4a2c"), (640, "#3f2018")]))
        shoulders = np.hypot((x - 250) / 1.15, (y - 660)) - 200
        drawing.add(shoulders, gradient(x + 0.4 * y, [(250, "#39586a"), (420, "#1f3446"), (600, "#12202c")]))
        drawing.add(_polygon(x, y, (196, 430), (310, 430), (262, 600)), "#d8c6a0")
        drawing.add(np.hypot((x - 250) / 0.98, y - 235) - 150, gradient(x + y, [(250, "#5a3a26"), (450, "#2a1a16"), (700, "#120d0c")]))
        drawing.add(_polygon(x, y, (214, 350), (292, 350), (300, 462), (206, 462)), gradient(x, [(205, "#d9a878"), (300, "#7f4f34")]))
        face = np.hypot((x - 252) / 0.74, y - 260) - 126
        drawing.add(face, gradient(x, [(150, "#f2d0a0"), (240, "#dda672"), (262, "#a86a44"), (350, "#6a4030")]))
        profile = _polygon(x, y, (250, 158), (272, 250), (312, 318), (262, 322), (262, 384), (228, 384))
        drawing.add(profile, gradient(y - x, [(-110, "#f6dcae"), (20, "#c9895a"), (130, "#8a5236")]))
        for place, row, span, iris in ((206, 246, 33, "#2f4f4a"), (304, 238, 25, "#4a3020")):
            lid = np.maximum(np.hypot(x - place, y - row - span * 0.62) - span * 1.1, np.hypot(x - place, y - row + span * 0.62) - span * 1.1)
            drawing.add(lid, "#f3ead2")
            drawing.add(np.hypot(x - place - 3, y - row) - span * 0.36, iris)
            drawing.add(np.hypot(x - place - 3, y - row) - span * 0.16, "#100c0a")
            brow = np.abs(np.hypot(x - place, y - row - span * 0.8) - span * 1.75) - 3.5
            drawing.add(np.maximum(brow, y - row + span * 0.6), "#1f1512", 0)
        drawing.add(np.hypot((x - 254) / 1.9, y - 352) - 12, "#a8402c")
        drawing.add(_box(x - 254, y - 352 - 2 * np.cos((x - 254) / 7), 25, 0.6), "#4a1a14")
        drawing.add(np.hypot(x - 348, (y - 268) * 0.7) - 17, "#c98e62")
        drawing.add(np.hypot(x - 348, y - 300) - 9, "#d9b24a")
        hand_x, hand_y = _turned(x, y, (330, 560), -0.5)
        for finger in range(4):
            drawing.add(np.hypot(np.maximum(np.abs(hand_x) - 50, 0), hand_y - 17 * finger + 20) - 9, gradient(hand_x, [(-60, "#e9bd8a"), (60, "#9a6242")]))
        return drawing.colors, drawing.contours

    return _facets(canvas, motif, 15, (1.1, -0.8, 1.62, 0.25), shift=9, depth=0.36)


def houses_on_a_hill(size: int) -> Image.Image:
    """A village stacked up a hillside: walls and roofs as plain blocks among dark trees."""
    canvas = Canvas(size, seed=1908, ground="#6a6a4a")
    rng = np.random.default_rng(7)
    blocks = sorted((70 + 420 * rank + rng.normal(0, 9), rng.uniform(30, 610), rng.uniform(0.8, 1.15)) for rank in rng.random(38))

    def motif(x: Array, y: Array) -> tuple[Array, Array]:
        drawing = _Drawing(gradient(y + 0.2 * x, [(0, "#5f7f8a"), (90, "#9fb0a0"), (150, "#5f7a4a"), (560, "#2f4a30")]))
        for number, (row, place, factor) in enumerate(blocks):
            wide, tall = (26 + row * 0.085) * factor, (30 + row * 0.10) / factor
            if number % 4 == 3:
                crown = np.hypot((x - place) / 0.8, y - row + tall * 0.4) - tall * 0.72
                drawing.add(crown, gradient(x - place + y - row, [(-50, "#9aa65a"), (-10, "#4f6f3c"), (40, "#1f3326")]))
                continue
            wall = ("#e9cf94", "#d9a85c", "#c98a4a", "#e4dcc0")[number % 4 if number % 3 else 1]
            base, eave, ridge, back = row + tall * 0.5, row - tall * 0.5, row - tall * 1.1, place + wide * 1.05
            drawing.add(_polygon(x, y, (place - wide, eave), (place, eave), (place, base), (place - wide, base)), gradient(y, [(eave, wall), (base, "#b88f58")]))
            drawing.add(_polygon(x, y, (place, eave), (back, eave - tall * 0.14), (back, base - tall * 0.2), (place, base)), gradient(x, [(place, "#8a6a4c"), (back, "#4a4238")]))
            drawing.add(_polygon(x, y, (place - wide * 0.5, ridge), (place, eave), (place - wide, eave)), wall)
            roof = (place - wide * 0.5, ridge), (place + wide * 0.55, ridge - tall * 0.12), (back, eave - tall * 0.14), (place, eave)
            drawing.add(_polygon(x, y, *roof), gradient(x - y, [(place - row - 20, "#c4683c"), (place - row + 90, "#7a3526")]))
            drawing.add(_box(x - place + wide * 0.5, y - row, wide * 0.13, tall * 0.17), "#3f3a3c")
            drawing.add(_box(x - place - wide * 0.5, y - row + tall * 0.06, wide * 0.1, tall * 0.17), "#2a2628")
        return drawing.colors, drawing.contours * 0.8

    return _facets(canvas, motif, 14, (0.78, -0.72, 1.5, 0.05), shift=8, depth=0.33)


PAINTINGS = {"guitar": guitar, "portrait": portrait, "houses_on_a_hill": houses_on_a_hill}
