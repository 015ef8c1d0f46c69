"""Impressionism: scenes dissolved into dabs of colour that follow water, leaf and wind, laid from broad to small."""

from __future__ import annotations

import numpy as np
from PIL import Image

from painting.canvas import Array, Canvas, Painting, gradient, mix, rgb, smooth


def dabs(
    canvas: Canvas, scene: Array, angle: Array, finest: float = 6, jitter: float = 0.05, bend: float = 2.0
) -> None:
    """Three passes over a scene: a loose under-painting, the body of it, and dabs where the scene has edges."""
    canvas.brush_scene(scene, angle, 80, 26, coverage=3.0, jitter=jitter, wobble=0.3, bend=2 * bend)
    canvas.brush_scene(scene, angle, 36, 10, coverage=2.4, jitter=jitter, bend=bend)
    tone = scene.mean(axis=-1)
    steps = np.abs(np.gradient(tone, axis=0)) + np.abs(np.gradient(tone, axis=1))
    detail = np.clip(steps * canvas.scale * 30, 0, 1) * 0.75 + 0.25
    canvas.brush_scene(scene, angle, 19, finest, coverage=2.2, jitter=jitter, where=detail, bend=bend / 2)


def touches(
    canvas: Canvas, color: str, amount: Array, angle: Array, length: float, width: float, coverage: float
) -> None:
    """Scatter dabs of one colour where ``amount`` (H, W) in [0, 1] is high."""
    plain = np.tile(rgb(color), (*amount.shape, 1))
    canvas.brush_scene(plain, angle, length, width, coverage=coverage, where=amount, jitter=0.05, bend=1)


def sunset_on_water(size: int) -> Image.Image:
    """A low sun over a harbour; its light breaks on the ripples."""
    canvas = Canvas(size, seed=1872, ground="#7d6a86")
    x, y, horizon = canvas.x, canvas.y, 218
    clouds = smooth(-0.2, 1.4, canvas.noise(110, 3, stretch=3))
    distance = np.hypot(x - 400, (y - 150) * 1.1)
    sky = gradient(y, [(0, "#3f6290"), (70, "#7c8fb0"), (130, "#e0a98f"), (185, "#f6b45e"), (218, "#ef8a4a")])
    sky = mix(sky, gradient(y, [(0, "#8e7fa8"), (120, "#f0a28b"), (215, "#ffd37a")]), clouds * 0.85)
    sky = mix(sky, "#ffd98a", np.exp(-distance / 70) * 0.9)
    water = gradient(y, [(horizon, "#c98a72"), (270, "#5f86a0"), (380, "#2f5f86"), (512, "#1c3c63")])
    ripple = np.sin(y * 0.32 - 0.0003 * y * y + 1.6 * canvas.noise(60, 2, stretch=4))
    water = mix(water, "#8fb7bb", smooth(0.4, 1, ripple) * 0.55)
    path = np.exp(-(((x - 400 + 7 * canvas.noise(16, stretch=3)) / (12 + (y - horizon) * 0.16)) ** 2))
    water = mix(water, "#ff9a3c", path * smooth(-0.5, 0.5, ripple))
    scene = mix(sky, water, smooth(horizon - 1, horizon + 1, y))
    shore = horizon - 10 - 26 * smooth(300, 40, x) - 10 * smooth(520, 640, x) - 4 * canvas.noise(24, 2)
    hills = smooth(0, 3, y - shore) * smooth(horizon + 3, horizon, y)
    scene = mix(scene, mix("#3f4f80", "#a2707c", smooth(0, 640, x)), hills)
    angle = np.where(y < horizon, 0.5 * np.sin(x / 90 + y / 60), 0.06 * canvas.noise(60)).astype(np.float32)
    dabs(canvas, scene, angle)
    touches(canvas, "#ffb347", (path > 0.4) * (y > horizon) * smooth(0, 0.7, ripple) * 0.7, angle, 24, 5, 1.4)
    for turn in np.linspace(0, np.pi, 7):
        canvas.stroke(400, 150, turn, 56, 30, "#f9531c", bend=6)
    canvas.stroke(396, 145, 0.3, 34, 18, "#ff7d3a")
    for place, mast in ((78, 112), (138, 86), (196, 64), (574, 60)):  # ships at anchor: hull, mast, yard, reflection
        canvas.stroke(place, horizon - 2, 0.02, 52, 11, "#2c3760")
        canvas.stroke(place + 2, horizon - mast / 2, np.pi / 2, mast, 3.4, "#39416a")
        canvas.stroke(place + 2, horizon - mast * 0.7, 0.1, mast * 0.4, 3, "#39416a")
        for fold in range(7):
            row = horizon + 8 + fold * mast / 9
            canvas.stroke(place + canvas.rng.normal(0, 4), row, 0, 30 - 3 * fold, 4, "#37476f", opacity=0.7)
    for place, row, span in ((236, 372, 92), (476, 296, 44)):  # rowing boats
        for fold in range(9):
            width = span * (0.9 - 0.08 * fold)
            offset = canvas.rng.normal(0, span * 0.06)
            canvas.stroke(
                place + offset, row + span * (0.10 + 0.07 * fold), 0, width, span * 0.07, "#17264a", opacity=0.75
            )
        canvas.stroke(place, row, 0, span * 1.15, span * 0.17, "#141c38", bend=span * 0.06)
        for seat, tall in ((0.12, 0.38), (-0.2, 0.26)):  # one stands at the oar, one sits
            canvas.stroke(place + span * seat, row - span * tall * 0.5, 1.4, span * tall * 1.1, span * 0.15, "#161d3a")
            canvas.stroke(place + span * (seat + 0.03), row - span * tall, 0.4, span * 0.11, span * 0.1, "#3a2a38")
        canvas.stroke(place + span * 0.42, row - span * 0.1, 2.6, span * 0.9, span * 0.035, "#141c38")
    canvas.weave()
    return canvas.finish()


def poplars(size: int) -> Image.Image:
    """A row of poplars in autumn along a river, doubled by the water."""
    canvas = Canvas(size, seed=1891, ground="#b58a6a")
    x, y, bank = canvas.x, canvas.y, 372
    mirrored = y > bank + 8
    depth = np.where(mirrored, 2 * (bank + 8) - y + 6 * np.sin(y * 0.5 + canvas.noise(30, stretch=4)), y)
    scene = gradient(depth, [(0, "#5d9fd0"), (150, "#a4cbe0"), (270, "#f3d9c0"), (330, "#f6c7a2"), (372, "#d9a58f")])
    scene = mix(scene, "#fff1da", smooth(0.5, 1.6, canvas.noise(90, 3, stretch=2.5)) * 0.9 * (depth < 330))
    far = bank - 42 - 12 * canvas.noise(60, 2)
    scene = mix(scene, mix("#7b86b6", "#a3a37c", smooth(330, 372, depth)), smooth(0, 5, depth - far))
    angle = np.full_like(x, 0.5) + 0.25 * canvas.noise(120)
    leaves = canvas.noise(22, 2)
    light: Array = np.zeros_like(x)
    for place, top, span in (
        (60, 70, 30),
        (142, -20, 37),
        (236, 40, 30),
        (318, 92, 26),
        (388, 128, 22),
        (447, 158, 19),
        (497, 182, 16),
        (540, 202, 14),
        (577, 219, 12),
    ):
        center = place + 5 * np.sin(depth / 70 + place)
        share = np.clip((depth - top) / (bank - top - 30), 0, 1)
        half = span * np.maximum(np.sin(np.pi * share**0.8), 0) ** 0.6 * (1 + 0.22 * leaves)
        crown = smooth(1.08, 0.9, np.abs(x - center) / (half + 1e-3)) * (depth > top) * (depth < bank - 12)
        lit = smooth(0.9, -0.9, (x - center) / (span + 1e-3) + 0.5 * leaves)
        color = gradient(lit, [(0, "#45507e"), (0.3, "#7a6a3c"), (0.62, "#d9922b"), (1, "#ffd25e")])
        trunk = smooth(3.2, 2, np.abs(x - center) * 20 / span) * (depth > bank - 60) * (depth < bank)
        scene = mix(mix(scene, "#5b4a63", trunk), color, crown)
        light = np.maximum(light, crown * lit)
        angle = np.where(crown > 0.4, np.pi / 2 + 0.5 * np.sign(x - center), angle).astype(np.float32)
    grass = gradient(x, [(0, "#7f9a4a"), (300, "#c2b455"), (640, "#b99a63")])
    scene = mix(scene, grass, smooth(bank - 9, bank - 5, y) * smooth(bank + 10, bank + 5, y))
    scene = mix(scene, mix(scene, "#3f6f93", 0.3), mirrored.astype(np.float32))
    angle = np.where(mirrored, 0.05 * canvas.noise(50), angle).astype(np.float32)
    dabs(canvas, scene, angle)
    touches(canvas, "#ffdf7a", light * smooth(0.2, 1.2, leaves) * ~mirrored, angle, 15, 6, 1.6)
    touches(canvas, "#e0602c", light * smooth(0.3, -0.9, leaves) * ~mirrored * 0.6, angle, 14, 6, 1.2)
    ripples = smooth(0.75, 1, np.sin(y * 0.42 + 1.5 * canvas.noise(70, stretch=4))) * mirrored
    touches(canvas, "#b4cfe0", ripples * 0.5, angle, 30, 4, 0.9)
    canvas.weave()
    return canvas.finish()


def water_lilies(size: int) -> Image.Image:
    """A pond seen from above: hanging willows in the water, islands of pads, pink and white flowers."""
    canvas = Canvas(size, seed=1906, ground="#3c5a6b")
    x, y = canvas.x, canvas.y
    clouds = smooth(-0.5, 1.5, canvas.noise(120, 2, stretch=0.6) + 1.0 * np.sin((x - 120) / 120))
    scene = gradient(y, [(0, "#2b5a56"), (180, "#3f7486"), (360, "#4a62a0"), (512, "#39447f")])
    scene = mix(scene, gradient(y, [(0, "#8fbf9f"), (200, "#a9c4e0"), (512, "#b59ad0")]), clouds * 0.8)
    willow = smooth(0.2, 1.3, canvas.noise(26, 2, stretch=0.35) + 1.1 * smooth(330, 60, x) - y / 330)
    scene = mix(scene, gradient(canvas.noise(16), [(-1, "#173c38"), (0.3, "#2f6a45"), (1.2, "#8fae4d")]), willow * 0.85)
    angle = np.where(willow > 0.35, np.pi / 2 + 0.1 * canvas.noise(50), 0.25 * canvas.noise(90)).astype(np.float32)
    dabs(canvas, scene, angle, finest=6)
    islands = (
        (150, 150, 92),
        (430, 92, 74),
        (545, 215, 96),
        (300, 262, 112),
        (96, 352, 110),
        (470, 392, 150),
        (235, 470, 120),
    )
    for place, row, span in islands:
        flat = 0.26 + row / 2600  # the pond is seen at a steeper angle near by
        for _ in range(int(span * 0.34)):
            turn, away = canvas.rng.uniform(0, 2 * np.pi), span * canvas.rng.random() ** 0.6
            px, py = place + away * np.cos(turn), row + away * flat * np.sin(turn)
            pad = 16 + row / 17 * canvas.rng.uniform(0.7, 1.2)
            canvas.stroke(px, py + pad * 0.2, 0, pad * 1.3, pad * flat * 2, "#1d3b4a", opacity=0.8)
            green = ("#3f8a5a", "#6fae6a", "#8cc08a", "#4f9a86", "#b7c66a")[canvas.rng.integers(5)]
            for side in (-1, 0, 1):
                shade = rgb(green) + canvas.rng.normal(0, 0.06, 3).astype(np.float32) - 0.05 * side
                drift, rise = canvas.rng.normal(0, pad * 0.1), side * pad * flat * 0.42
                canvas.stroke(
                    px + drift,
                    py + rise,
                    0.15 * canvas.rng.normal(),
                    pad * (1.25 - 0.3 * side**2),
                    pad * flat * 0.8,
                    shade,
                )
            canvas.stroke(px - 3, py - pad * flat * 0.6, 0.1, pad * 0.7, 3, "#d3e4b4", bend=2, opacity=0.7)
    for place, row, span in islands:
        for _ in range(4):
            px = place + canvas.rng.normal(0, span * 0.45)
            py = row + canvas.rng.normal(0, span * 0.12)
            bloom = 7 + row / 42
            outer, inner = (("#e77fa6", "#ffd7e2"), ("#f4ead8", "#ffffff"), ("#c94f7c", "#f6a9bf"))[
                canvas.rng.integers(3)
            ]
            for petal in np.linspace(-1.25, 1.25, 7):
                tip = -np.pi / 2 + petal
                canvas.stroke(
                    px + bloom * np.cos(tip) * 0.6,
                    py + bloom * np.sin(tip) * 0.5,
                    tip,
                    bloom * 1.4,
                    bloom * 0.55,
                    outer,
                )
            for petal in (-0.6, 0, 0.6):
                tip = -np.pi / 2 + petal
                canvas.stroke(
                    px + bloom * np.cos(tip) * 0.35, py + bloom * np.sin(tip) * 0.2, tip, bloom, bloom * 0.4, inner
                )
            canvas.stroke(px, py + bloom * 0.1, 0, bloom * 0.7, bloom * 0.35, "#f7c948")
    canvas.weave()
    return canvas.finish()


PAINTINGS: dict[str, Painting] = {"sunset_on_water": sunset_on_water, "poplars": poplars, "water_lilies": water_lilies}
