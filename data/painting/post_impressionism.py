"""After Impressionism: the dabs grow into currents, and colour into feeling."""

from __future__ import annotations

import numpy as np
from PIL import Image

from painting.canvas import Canvas, Painting, gradient, mix, smooth
from painting.impressionism import dabs


def cypress_night(size: int) -> Image.Image:
    """A cypress and a sleeping village under a sky of whirling stars."""
    canvas = Canvas(size, seed=1889, ground="#1c2a52")
    x, y = canvas.x, canvas.y
    stars = (
        (78, 70, 13),
        (190, 46, 10),
        (258, 132, 12),
        (350, 54, 11),
        (452, 92, 10),
        (330, 222, 9),
        (556, 88, 34),
        (496, 210, 10),
        (610, 214, 9),
    )
    stream, spin = y + 12 * np.sin(x / 80) + 5 * canvas.noise(70, stretch=2), np.zeros_like(x)
    for place, row, reach in ((290, 166, 66), (404, 150, -50), (520, 300, 40)):  # eddies of wind
        away = np.hypot(x - place, (y - row) * 1.15)
        stream += 1.9 * reach * np.exp(-((away / abs(reach)) ** 2))
        spin += np.arctan2(y - row, x - place) * np.exp(-((away / abs(reach)) ** 4)) * np.sign(reach)
    angle = np.arctan2(-np.gradient(stream, axis=1), np.gradient(stream, axis=0)).astype(np.float32)
    band = np.sin(stream / 6.5 + spin + 0.5 * canvas.noise(40, stretch=3))
    scene = gradient(band, [(-1, "#16265c"), (-0.2, "#2b4f9e"), (0.5, "#5b8fc9"), (1, "#a9cfd8")])
    scene = mix(
        scene,
        gradient(band, [(-1, "#3a6ea8"), (1, "#e9e3a5")]),
        np.exp(-(((y - 236 - 12 * np.sin(x / 60)) / 17) ** 2)) * 0.8,
    )
    for place, row, radius in stars:
        away = np.hypot(x - place, y - row)
        rings = 0.5 + 0.5 * np.cos(away / radius * 5)
        halo = np.exp(-((away / (radius * 2.3)) ** 2))
        scene = mix(scene, gradient(rings, [(0, "#7fb0a8"), (0.5, "#e8d873"), (1, "#fff3b0")]), halo)
        angle = np.where(halo > 0.25, np.arctan2(y - row, x - place) + np.pi / 2, angle).astype(np.float32)
    ridge = 318 - 34 * smooth(220, 640, x) - 12 * np.sin(x / 52) - 9 * np.sin(x / 23 + 1)
    hills = smooth(0, 4, y - ridge)
    roll = np.sin((y - ridge) / 9 + canvas.noise(60))
    scene = mix(scene, gradient(roll, [(-1, "#14204a"), (0.3, "#28508a"), (1, "#4f86a8")]), hills)
    fields = smooth(0, 5, y - 392 - 10 * np.sin(x / 70))
    scene = mix(
        scene,
        gradient(np.sin(x / 26 + y / 14 + canvas.noise(50)), [(-1, "#16324a"), (0.2, "#2f6a5a"), (1, "#8a9a4a")]),
        fields,
    )
    slope = np.arctan(np.gradient(ridge, axis=1) * canvas.scale)
    angle = np.where(hills > 0.5, slope + 0.2 * np.sin(y / 30), angle).astype(np.float32)
    dabs(canvas, scene, angle, finest=6, jitter=0.04, bend=3)
    for place, row, radius in stars:
        for turn in np.linspace(0, np.pi, 5):
            canvas.stroke(place, row, turn, radius * 1.9, radius * 0.8, "#fff6c4" if radius < 30 else "#f7b733")
    canvas.stroke(568, 82, 1.2, 40, 30, "#ffd76a", bend=-6)
    for _ in range(46):  # the village: walls, roofs, lit windows
        px, py = canvas.rng.uniform(230, 625), canvas.rng.uniform(352, 408)
        wall = canvas.rng.uniform(13, 24)
        canvas.stroke(px, py, np.pi / 2, wall, wall * 1.1, ("#3b5f8a", "#5f7f9a", "#2c4470")[canvas.rng.integers(3)])
        for side in (-1, 1):
            canvas.stroke(
                px + side * wall * 0.3,
                py - wall * 0.55,
                side * 0.6,
                wall,
                wall * 0.36,
                ("#1f2f5c", "#6a4a58", "#24507a")[canvas.rng.integers(3)],
            )
        if canvas.rng.random() < 0.6:
            canvas.stroke(px, py + 2, np.pi / 2, wall * 0.4, wall * 0.3, "#ffc94a")
    canvas.stroke(420, 352, np.pi / 2, 56, 12, "#54749a")
    canvas.stroke(420, 306, np.pi / 2, 62, 6.5, "#1d2c58")
    for rank in np.linspace(0, 1, 900):  # the cypress: flames from root to tip
        row = 520 - 500 * rank
        half = 62 * (1 - rank) ** 0.75 * (1 + 0.3 * np.sin(rank * 16)) * smooth(-0.12, 0.12, np.float32(rank)) + 2
        offset = canvas.rng.uniform(-1, 1)
        lean = -np.pi / 2 + 0.5 * offset + 0.35 * np.sin(rank * 11)
        color = ("#0d1a1c", "#142c26", "#1e4030", "#3a5a34", "#5a4a2c")[min(int(abs(canvas.rng.normal(0, 1.7))), 4)]
        canvas.stroke(128 + 9 * np.sin(rank * 7) + offset * half, row, lean, 46 - 16 * rank, 7, color, bend=4 * offset)
    canvas.weave()
    return canvas.finish()


PAINTINGS: dict[str, Painting] = {"cypress_night": cypress_night}
