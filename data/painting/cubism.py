"""Cubism: a motif broken by a net of lines, each facet seen from a place and in a light of its own, in earth tones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from painting.canvas import Array, Canvas, Color, Painting, gradient, mix, smooth
from painting.shapes import box, polygon, turned

Motif = Callable[[Array, Array], tuple[Array, Array]]  # coordinates to colours (H, W, 3) and contours (H, W) in [0, 1]


class _Drawing:
    """Shapes laid over each other: signed distances, negative inside, become colours and charcoal contours."""

    def __init__(self, colors: Array) -> None:
        self.colors, self.contours = colors, np.zeros(colors.shape[:2], np.float32)

    def add(self, distance: Array, color: Color, contour: float = 1.0) -> None:
        inside = smooth(0.8, -0.8, distance)
        self.colors = mix(self.colors, color, inside)
        self.contours = np.maximum(self.contours * (1 - inside), contour * smooth(1.9, 0.7, np.abs(distance)))


def _facets(
    canvas: Canvas, motif: Motif, lines: int, angles: tuple[float, ...], shift: float, depth: float
) -> Image.Image:
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
        labels = np.unique(labels * 2 + ((side > 0) & within), return_inverse=True)[1].reshape(x.shape)
        net.append((px, py, angle))
    count = int(labels.max()) + 1
    turn, zoom = rng.normal(0, 0.13, count)[labels], rng.normal(1, 0.06, count)[labels]
    middle_x, middle_y = canvas.width / 2, canvas.height / 2
    seen_x, seen_y = turned(x, y, (middle_x, middle_y), turn)
    dx, dy = rng.normal(0, shift, (2, count))
    # The motif is drawn at half the resolution: brushes blur it anyway, and its many shapes are the slow part.
    places = seen_x * zoom + middle_x + dx[labels], seen_y * zoom + middle_y + dy[labels]
    halves = motif(*(np.asarray(place[::2, ::2], np.float32) for place in places))
    rows, columns = x.shape
    colors, contours = (part.repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns] for part in halves)
    sizes = np.bincount(labels.ravel())
    center_x, center_y = (np.bincount(labels.ravel(), part.ravel()) / sizes for part in (x, y))
    light = rng.uniform(0, 2 * np.pi, count)
    span = np.sqrt(sizes)[labels] / canvas.scale
    slope = ((x - center_x[labels]) * np.cos(light)[labels] + (y - center_y[labels]) * np.sin(light)[labels]) / span
    shade = depth * np.tanh(1.8 * slope) + rng.normal(0, 0.07, count)[labels]
    colors = mix(colors, "#fbf0d8", np.clip(shade, 0, 1))
    colors = mix(colors, "#2a211d", np.clip(-shade, 0, 1) * 0.95)
    colors = np.clip(mix(colors, colors * colors * (3 - 2 * colors), 0.7), 0, 1)  # deeper darks, clearer lights
    gray = colors.mean(axis=-1, keepdims=True)
    colors = np.clip(gray + 1.25 * (colors - gray), 0, 1).astype(np.float32)
    brush = np.array(angles)[rng.integers(len(angles), size=count)][labels]
    canvas.brush_scene(colors, brush, 46, 15, coverage=4, jitter=0.03, wobble=0.12, labels=labels)
    canvas.brush_scene(colors, brush, 19, 8, coverage=3.2, jitter=0.038, wobble=0.2, labels=labels, opacity=0.8)
    edges = (
        np.abs(np.diff(labels, axis=0, prepend=labels[:1])) + np.abs(np.diff(labels, axis=1, prepend=labels[:, :1]))
    ) > 0
    grown = np.asarray(
        Image.fromarray(edges.astype(np.float32) * 3)
        .resize(edges.shape[::-1])
        .reduce(2)
        .resize(edges.shape[::-1], Image.Resampling.BICUBIC)
    )
    broken = smooth(-0.9, 0.3, canvas.noise(55)) * (0.75 + 0.25 * canvas.noise(5, 2))
    charcoal = np.clip(np.maximum(0.55 * grown * broken, 0.8 * contours * (0.85 + 0.2 * canvas.noise(6, 2))), 0, 0.88)
    canvas.paint = mix(canvas.paint, "#1d1714", charcoal)
    canvas.weave(0.5)
    return canvas.finish()


def guitar(size: int) -> Image.Image:
    """A guitar, a bottle, a glass and a newspaper on a round table."""
    canvas = Canvas(size, seed=1912, ground="#6f6250")

    def motif(x: Array, y: Array) -> tuple[Array, Array]:
        drawing = _Drawing(
            gradient(x + 0.4 * y, [(0, "#5c6b66"), (250, "#8d8a78"), (520, "#a58c66"), (840, "#4a4038")])
        )
        drawing.add(np.hypot((x - 330) / 1.35, y - 400) - 200, gradient(y, [(250, "#7a5232"), (512, "#3f2a1e")]))
        drawing.add(polygon(x, y, (60, 300), (230, 270), (262, 420), (88, 450)), "#e4d9bd")
        for row in range(9):
            drawing.add(box(*turned(x, y, (165, 306 + 15 * row), -0.17), 66 - 12 * (row % 3), 2.2), "#5a5248", 0)
        bottle_x, bottle_y = x - 500, y - 250
        half = np.interp(bottle_y, [-170, -80, -40, 120], [15, 16, 44, 46])
        drawing.add(
            np.maximum(np.abs(bottle_x) - half, np.abs(bottle_y + 25) - 145),
            gradient(bottle_x, [(-46, "#9fae84"), (-10, "#3f5a44"), (46, "#1d2f2a")]),
        )
        drawing.add(box(bottle_x, bottle_y - 30, 45, 34), "#d9c48e")
        drawing.add(np.hypot(bottle_x, bottle_y - 30) - 19, "#9c3b25")
        along, across = (1 / 1.22 * part for part in turned(x, y, (262, 292), -0.85))
        body = np.minimum(np.hypot(along + 62, across) - 92, np.hypot(along - 58, across) - 70)
        body = np.minimum(body, box(along, across, 60, 56))
        wood = gradient(
            across + 0.3 * along + 4 * np.sin(across / 3),
            [(-100, "#e9bf78"), (0, "#c98a3e"), (60, "#9a5a28"), (110, "#5a3218")],
        )
        drawing.add(body, wood)
        drawing.add(box(along - 190, across, 140, 15), gradient(across, [(-15, "#6a4226"), (15, "#2a1a12")]))
        drawing.add(box(along - 352, across, 32, 24), "#8a5a30")
        drawing.add(np.hypot(along - 8, across) - 33, "#d8a860")
        drawing.add(np.hypot(along - 8, across) - 27, "#1f1613")
        drawing.add(box(along + 92, across, 6, 36), "#2f1f16")
        for string in np.linspace(-11, 11, 6):
            drawing.add(box(along - 126, across - string, 218, 0.3), "#f2e6c8", 0.35)
        glass = np.interp(y, [350, 410, 414, 452, 458, 466], [34, 26, 5, 5, 30, 32])
        drawing.add(
            np.maximum(np.abs(x - 470) - glass, np.abs(y - 408) - 58),
            gradient(x, [(436, "#dfe6dc"), (470, "#8fa0a0"), (504, "#56686c")]),
        )
        drawing.add(np.hypot((x - 470) / 34, (y - 350) / 9) * 9 - 9, "#c8d2c8")
        return drawing.colors, drawing.contours

    return _facets(canvas, motif, 17, (0.95, -0.62, 1.52, 0.12), shift=12, depth=0.52)


def portrait(size: int) -> Image.Image:
    """A seated woman, seen from the front and from the side at once."""
    canvas = Canvas(size, seed=1910, ground="#5f5a50", width=512, height=640)

    def motif(x: Array, y: Array) -> tuple[Array, Array]:
        drawing = _Drawing(
            gradient(x - 0.5 * y, [(-320, "#3a4a4c"), (-60, "#7f8a80"), (200, "#b59c70"), (500, "#5a4634")])
        )
        drawing.add(
            polygon(x, y, (330, 330), (500, 360), (512, 640), (300, 640)),
            gradient(y, [(330, "#8a4a2c"), (640, "#3f2018")]),
        )
        shoulders = np.hypot((x - 250) / 1.15, (y - 660)) - 200
        drawing.add(shoulders, gradient(x + 0.4 * y, [(250, "#39586a"), (420, "#1f3446"), (600, "#12202c")]))
        drawing.add(polygon(x, y, (196, 430), (310, 430), (262, 600)), "#d8c6a0")
        drawing.add(
            np.hypot((x - 250) / 0.98, y - 235) - 150,
            gradient(x + y, [(250, "#5a3a26"), (450, "#2a1a16"), (700, "#120d0c")]),
        )
        drawing.add(
            polygon(x, y, (214, 350), (292, 350), (300, 462), (206, 462)),
            gradient(x, [(205, "#d9a878"), (300, "#7f4f34")]),
        )
        face = np.hypot((x - 252) / 0.74, y - 260) - 126
        drawing.add(face, gradient(x, [(150, "#f2d0a0"), (240, "#dda672"), (262, "#a86a44"), (350, "#6a4030")]))
        profile = polygon(x, y, (250, 158), (272, 250), (312, 318), (262, 322), (262, 384), (228, 384))
        drawing.add(profile, gradient(y - x, [(-110, "#f6dcae"), (20, "#c9895a"), (130, "#8a5236")]))
        for place, row, span, iris in ((206, 246, 33, "#2f4f4a"), (304, 238, 25, "#4a3020")):
            lid = np.maximum(
                np.hypot(x - place, y - row - span * 0.62) - span * 1.1,
                np.hypot(x - place, y - row + span * 0.62) - span * 1.1,
            )
            drawing.add(lid, "#f3ead2")
            drawing.add(np.hypot(x - place - 3, y - row) - span * 0.36, iris)
            drawing.add(np.hypot(x - place - 3, y - row) - span * 0.16, "#100c0a")
            brow = np.abs(np.hypot(x - place, y - row - span * 0.8) - span * 1.75) - 3.5
            drawing.add(np.maximum(brow, y - row + span * 0.6), "#1f1512", 0)
        drawing.add(np.hypot((x - 254) / 1.9, y - 352) - 12, "#a8402c")
        drawing.add(box(x - 254, y - 352 - 2 * np.cos((x - 254) / 7), 25, 0.6), "#4a1a14")
        drawing.add(np.hypot(x - 348, (y - 268) * 0.7) - 17, "#c98e62")
        drawing.add(np.hypot(x - 348, y - 300) - 9, "#d9b24a")
        hand_x, hand_y = turned(x, y, (330, 560), -0.5)
        for finger in range(4):
            drawing.add(
                np.hypot(np.maximum(np.abs(hand_x) - 50, 0), hand_y - 17 * finger + 20) - 9,
                gradient(hand_x, [(-60, "#e9bd8a"), (60, "#9a6242")]),
            )
        return drawing.colors, drawing.contours

    return _facets(canvas, motif, 15, (1.1, -0.8, 1.62, 0.25), shift=9, depth=0.46)


def houses_on_a_hill(size: int) -> Image.Image:
    """A village stacked up a hillside: walls and roofs as plain blocks among dark trees."""
    canvas = Canvas(size, seed=1908, ground="#6a6a4a")
    rng = np.random.default_rng(7)
    blocks = sorted(
        (70 + 420 * rank + rng.normal(0, 9), rng.uniform(30, 610), rng.uniform(0.8, 1.15))
        for rank in np.linspace(0, 1, 64)
    )

    def motif(x: Array, y: Array) -> tuple[Array, Array]:
        drawing = _Drawing(gradient(y + 0.2 * x, [(0, "#5f7f8a"), (70, "#a8b4a4"), (110, "#7a7a4a"), (560, "#3f4a30")]))
        for number, (row, place, factor) in enumerate(blocks):
            wide, tall = (26 + row * 0.085) * factor, (30 + row * 0.10) / factor
            if number % 5 == 3:
                crown = np.hypot((x - place) / 0.62, y - row + tall * 0.4) - tall * 0.75
                drawing.add(crown, gradient(x - place + y - row, [(-40, "#8f9a58"), (-5, "#46603a"), (35, "#18281f")]))
                continue
            wall = ("#e9cf94", "#d9a85c", "#c98a4a", "#e4dcc0")[number % 4 if number % 3 else 1]
            base, eave, ridge, back = row + tall * 0.5, row - tall * 0.5, row - tall * 1.1, place + wide * 1.05
            drawing.add(
                polygon(x, y, (place - wide, eave), (place, eave), (place, base), (place - wide, base)),
                gradient(y, [(eave, wall), (base, "#b88f58")]),
            )
            drawing.add(
                polygon(x, y, (place, eave), (back, eave - tall * 0.14), (back, base - tall * 0.2), (place, base)),
                gradient(x, [(place, "#8a6a4c"), (back, "#4a4238")]),
            )
            drawing.add(polygon(x, y, (place - wide * 0.5, ridge), (place, eave), (place - wide, eave)), wall)
            roof = (
                (place - wide * 0.5, ridge),
                (place + wide * 0.55, ridge - tall * 0.12),
                (back, eave - tall * 0.14),
                (place, eave),
            )
            drawing.add(
                polygon(x, y, *roof), gradient(x - y, [(place - row - 20, "#c4683c"), (place - row + 90, "#7a3526")])
            )
            drawing.add(box(x - place + wide * 0.5, y - row, wide * 0.13, tall * 0.17), "#3f3a3c")
            drawing.add(box(x - place - wide * 0.5, y - row + tall * 0.06, wide * 0.1, tall * 0.17), "#2a2628")
        return drawing.colors, drawing.contours * 0.8

    return _facets(canvas, motif, 14, (0.78, -0.72, 1.5, 0.05), shift=9, depth=0.46)


PAINTINGS: dict[str, Painting] = {"guitar": guitar, "portrait": portrait, "houses_on_a_hill": houses_on_a_hill}
