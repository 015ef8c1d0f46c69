"""Pointillism: unmixed colours set side by side in dots, so that the eye blends them at a distance."""

from __future__ import annotations

import numpy as np
from PIL import Image

from painting.canvas import Array, Canvas, Painting, gradient, mix, rgb, smooth

# What Seurat's circle would squeeze from the tube: every dot is one of these, lightened with white.
TUBES = (
    "#f4c91d",
    "#f08a24",
    "#e2492f",
    "#c93468",
    "#7a3f9a",
    "#2f3f9f",
    "#2277c4",
    "#1f9a8a",
    "#3a8f3c",
    "#a3c13a",
    "#fbf3dc",
    "#2a2350",
)


def _dots(canvas: Canvas, scene: Array, radius: float, coverage: float = 1.0, contrast: float = 0.5) -> None:
    """Set dots on a jittered grid; what one dot misses of the scene's colour, its neighbours along the row make up for.

    This is error diffusion with a palette of pigments: any patch averages to the scene, no dot matches it.
    """
    step = radius * 1.75 / coverage**0.5
    tubes = np.array([rgb(code) for code in TUBES])
    palette = np.concatenate([tubes, 0.55 * tubes + 0.45, 0.8 * tubes + 0.2])
    dots: list[tuple[float, float, Array]] = []
    for line, y in enumerate(np.arange(step / 2, canvas.height + step, step * 0.87)):
        xs = np.arange(-step, canvas.width + step, step) + (line % 2) * step / 2
        wanted = scene[canvas.pixel(xs, np.full_like(xs, y))]
        debt = np.zeros(3)
        for x, color in zip(xs, wanted, strict=True):
            aim = color + debt + canvas.rng.normal(0, 0.05, 3)
            chosen = palette[np.argmin(((palette - aim) ** 2).sum(axis=1))]
            blend = (1 - contrast) * color + contrast * chosen
            debt = np.clip(0.8 * (debt + color - blend), -0.35, 0.35)
            dots.append(
                (
                    x + canvas.rng.normal(0, radius * 0.25),
                    y + canvas.rng.normal(0, radius * 0.25),
                    blend.astype(np.float32),
                )
            )
    for index in canvas.rng.permutation(len(dots)):
        x, y, color = dots[index]
        span = 2 * radius * canvas.rng.uniform(0.8, 1.25)
        canvas.stroke(x, y, canvas.rng.uniform(0, np.pi), span * 1.25, span, color, opacity=0.95)


def _spot(canvas: Canvas, x: float, y: float, width: float, height: float) -> Array:
    """An ellipse with a soft rim, (H, W) in [0, 1]; ``width`` and ``height`` are its half axes."""
    return smooth(1.08, 0.85, np.hypot((canvas.x - x) / width, (canvas.y - y) / height))


def _paint(canvas: Canvas, scene: Array) -> Image.Image:
    """An even under-painting, broad dots near the colour of the scene, then pure ones."""
    canvas.brush_scene(scene, 0.6 * canvas.noise(80), 30, 16, coverage=2.5, jitter=0.04)
    _dots(canvas, scene, 4.6, contrast=0.5)
    _dots(canvas, scene, 3.1, coverage=0.7, contrast=0.75)
    canvas.weave(0.2)
    return canvas.finish()


def _tree(
    scene: Array, canvas: Canvas, x: float, foot: float, top: float, span: float, colors: list[tuple[float, str]]
) -> Array:
    """A round tree lit from the left: trunk, then a crown of noisy outline."""
    bumps = canvas.noise(span * 0.3, 2)
    trunk = (
        smooth(span * 0.1, span * 0.07, np.abs(canvas.x - x - 4 * np.sin(canvas.y / 30)))
        * (canvas.y < foot)
        * (canvas.y > top + span)
    )
    scene = mix(scene, "#4b3350", trunk)
    away = np.hypot((canvas.x - x) / span, (canvas.y - top - span * 0.8) / (span * 0.85)) + 0.09 * bumps
    light = (canvas.x - x) / span * -0.5 - (canvas.y - top - span * 0.8) / span * 0.5 + 0.3 * bumps
    return mix(scene, gradient(light, colors), smooth(1.04, 0.94, away))


def river_bank(size: int) -> Image.Image:
    """A summer afternoon on a meadow by the river: trees, sails, strollers with parasols."""
    canvas = Canvas(size, seed=1884, ground="#e9dcb8")
    x, y = canvas.x, canvas.y
    scene = gradient(y, [(0, "#8fc4e8"), (110, "#dcebe6"), (165, "#f8e7c4")])
    far = 150 - 16 * smooth(200, 640, x) - 5 * canvas.noise(30, 2)
    scene = mix(scene, gradient(y, [(130, "#7fa0b8"), (172, "#8fb48a")]), smooth(0, 3, y - far))
    water = gradient(y, [(172, "#bfe0ea"), (250, "#5fa6d6"), (330, "#3f7fc4")])
    water = mix(water, "#f8f0d8", smooth(0.55, 1, np.sin(y / 2.6 + canvas.noise(60, stretch=4))) * 0.5)
    scene = mix(scene, water, smooth(171, 173, y))
    for place, row, span in ((200, 196, 26), (300, 182, 16), (128, 214, 34)):  # sails and their reflections
        up = (row - y) / (span * 2.1)
        sail = smooth(0.06, 0, np.abs((x - place) / span + 0.3 * up - 0.1) - 0.5 * (1 - up)) * (up > 0) * (up < 1)
        scene = mix(scene, "#fffaf0", sail)
        scene = mix(scene, "#7a3f5a", _spot(canvas, place, row + 3, span * 0.75, 4))
        scene = mix(scene, "#f4efe0", 0.6 * _spot(canvas, place, row + span, span * 0.4, span * 0.8) * (y > row + 4))
    shore = 250 + 190 * smooth(430, -60, x) - 42 * smooth(330, 640, x) + 4 * canvas.noise(40)
    meadow = gradient(
        0.5 * canvas.noise(60, 2) + (y - 300) / 160, [(-1, "#c9d65a"), (0, "#9fc446"), (1, "#6fa63e"), (2, "#3f7a3a")]
    )
    scene = mix(scene, meadow, smooth(0, 4, y - shore))
    shade = smooth(1.06, 0.94, np.hypot((x - 480) / 230, (y - 440) / 62) + 0.18 * canvas.noise(50))
    scene = mix(scene, gradient(y, [(360, "#2f6a5a"), (512, "#274a6e")]), 0.9 * shade * smooth(0, 4, y - shore))
    leaves = [(-0.6, "#1f3f5a"), (-0.1, "#2f7a4a"), (0.3, "#7fb83f"), (0.7, "#e6dc5a")]
    scene = _tree(scene, canvas, 404, 306, 52, 88, leaves)
    scene = _tree(scene, canvas, 590, 440, -50, 142, leaves)
    for place, foot, tall, dress, parasol in (
        (196, 486, 150, "#8a2f5a", "#e2492f"),
        (262, 472, 140, "#2a2f5f", ""),
        (396, 372, 86, "#c4584a", "#f6d24a"),
        (452, 352, 74, "#3f5fae", "#fbf3dc"),
        (330, 330, 60, "#5a3f7a", "#e98a2f"),
        (120, 500, 66, "#f2ead6", ""),
    ):
        up = (foot - y) / tall
        outline = np.interp(up, [0, 0.45, 0.55, 0.8, 0.82, 1], [0.19, 0.1, 0.062, 0.085, 0.02, 0])
        skirt = np.abs((x - place) / tall + 0.02 * np.sin(up * 9)) - outline
        scene = mix(scene, "#27506a", 0.85 * _spot(canvas, place + tall * 0.4, foot, tall * 0.42, tall * 0.055))
        lit = mix(rgb(dress) * 0.62, rgb(dress) * 0.75 + 0.25, smooth(0.09, -0.09, (x - place) / tall))
        scene = mix(scene, lit, smooth(0.012, -0.012, skirt) * (up > 0) * (up < 0.84))
        scene = mix(scene, "#f0c8a0", _spot(canvas, place, foot - tall * 0.87, tall * 0.06, tall * 0.06))
        scene = mix(scene, "#3a2348", _spot(canvas, place, foot - tall * 0.93, tall * 0.09, tall * 0.035))
        if parasol:
            handle = place - tall * 0.1
            pole = smooth(0.015, 0.008, np.abs(x - handle) / tall) * (up > 0.5) * (up < 1)
            scene = mix(scene, "#3a2348", pole)
            ribs = 0.12 * np.sin(18 * np.arctan2(y - foot + tall * 1.3, x - handle))
            dome = _spot(canvas, handle, foot - tall * 0.98, tall * 0.3, tall * 0.24) * (y < foot - tall * 0.97)
            scene = mix(scene, 0.95 * rgb(parasol) + ribs[..., None], dome)
    return _paint(canvas, np.clip(scene, 0, 1))


def lighthouse(size: int) -> Image.Image:
    """A harbour mole with its lighthouse at dusk, lamps trailing over still water."""
    canvas = Canvas(size, seed=1886, ground="#d8c8c0")
    x, y, horizon = canvas.x, canvas.y, 320
    mirror = np.where(y > horizon, 2 * horizon - y + 5 * np.sin(y / 3.2 + canvas.noise(40, stretch=4)), y)
    scene = gradient(
        mirror,
        [(0, "#27408f"), (110, "#5b6fc0"), (190, "#b58fc4"), (250, "#f2a08a"), (300, "#fbd06a"), (320, "#fde9a0")],
    )
    streaks = smooth(0.3, 1.6, canvas.noise(46, 2, stretch=5) + 0.3)
    scene = mix(
        scene, gradient(mirror, [(0, "#6a6fc4"), (200, "#f4a9a0"), (300, "#fff0b8")]), streaks * 0.75 * (y < horizon)
    )
    sun = np.hypot(x - 190, mirror - 286)
    scene = mix(scene, "#fff0a0", np.exp(-sun / 55) * 0.9)
    scene = mix(scene, "#ff7a2f", smooth(27, 24, sun))
    coast = horizon - 7 - 9 * smooth(300, 0, x) - 6 * canvas.noise(30, 2) * smooth(500, 300, x)
    scene = mix(scene, "#6a5aa8", smooth(0, 2, mirror - coast) * (x < 480))
    mole = smooth(0, 3, mirror - 296) * smooth(300, 312, x + 0.7 * (mirror - 296))
    scene = mix(scene, gradient(x, [(300, "#e8b890"), (420, "#a98aa8"), (640, "#4f5f9a")]), mole)
    tower = 470 + 0 * x
    half = np.interp(mirror, [88, 120, 296], [15, 17, 31])
    side = (x - tower) / half
    body = smooth(1.03, 0.97, np.abs(side)) * (mirror > 120) * (mirror < 300)
    bands = smooth(-0.15, 0.15, np.sin((mirror - 120) / 176 * 5 * np.pi + 0.25 * side**2))
    scene = mix(
        scene,
        mix(
            gradient(side, [(-1, "#fff6e0"), (0.2, "#d8c0d8"), (1, "#5a62b0")]),
            gradient(side, [(-1, "#ff8a4a"), (0.1, "#d03a44"), (1, "#5f2a6a")]),
            bands,
        ),
        body,
    )
    gallery = smooth(1.05, 0.95, np.maximum(np.abs(x - tower) / 24, np.abs(mirror - 117) / 4.5))
    lamp = smooth(1.05, 0.9, np.maximum(np.abs(x - tower) / 12, np.abs(mirror - 100) / 13))
    roof = smooth(0.05, 0, np.abs(x - tower) / 18 - (mirror - 66) / 22) * (mirror > 66) * (mirror < 88)
    scene = mix(mix(mix(scene, "#2f2a6a", gallery), "#fff3a0", lamp), "#b02a44", roof)
    glow = np.exp(-np.hypot(x - tower, (mirror - 100) * 1.4) / 46)
    beam = smooth(0.16, 0.02, np.abs((mirror - 100) / (np.abs(x - tower) + 1) + 0.12)) * np.exp(
        -np.abs(x - tower) / 260
    )
    scene = mix(scene, "#fff2b0", np.clip(0.65 * glow + 0.5 * beam * (x < tower), 0, 1) * (1 - body) * (1 - lamp))
    for place in (560, 606, 340, 392):
        post = smooth(2.2, 1.4, np.abs(x - place)) * (mirror > 262) * (mirror < 300)
        halo = np.exp(-np.hypot(x - place, mirror - 258) / 9)
        scene = mix(mix(scene, "#3a2f6a", post), "#ffd75a", np.clip(1.3 * halo, 0, 1))
    for place, foot, tall in ((96, 317, 190), (262, 316, 110)):  # fishing boats under sail
        up = (foot - mirror) / tall
        main = smooth(0.02, 0, np.abs((x - place) / tall - 0.17 * (1 - up)) - 0.17 * (1 - up)) * (up > 0.045) * (up < 1)
        fore = smooth(0.02, 0, np.abs((x - place) / tall + 0.15 * (0.8 - up)) - 0.13 * (0.8 - up))
        fore *= (up > 0.05) * (up < 0.8)
        scene = mix(scene, gradient((x - place) / tall, [(0, "#e2602f"), (0.3, "#8a2f5a")]), main)
        scene = mix(scene, gradient((x - place) / tall, [(-0.2, "#f8c85a"), (0, "#e08a3a")]), fore)
        hull = np.abs((x - place - tall * 0.05) / tall) - np.interp(up, [-0.02, 0.06], [0.2, 0.28])
        scene = mix(scene, "#2a2350", smooth(0.02, 0, hull) * (up > -0.02) * (up < 0.06))
    ripples = smooth(-0.8, 0.6, np.sin(y / 4.2 + canvas.noise(50, stretch=5)))
    scene = mix(scene, "#2f5fae", (y > horizon) * (0.22 + 0.4 * smooth(horizon, 512, y)) * ripples)
    return _paint(canvas, np.clip(scene, 0, 1))


def orchard(size: int) -> Image.Image:
    """Blossoming fruit trees on a slope, a village and blue hills beyond."""
    canvas = Canvas(size, seed=1893, ground="#efe0c0")
    x, y = canvas.x, canvas.y
    scene = gradient(y, [(0, "#4f9fdf"), (90, "#a9d6ee"), (160, "#fbeecb")])
    scene = mix(scene, "#fffaf0", smooth(0.4, 1.4, canvas.noise(70, 3, stretch=2)) * 0.9)
    for height, swing, color, light in ((128, 26, "#6f7fc8", "#b8a8e0"), (172, 16, "#4a8a9a", "#9fc8a0")):
        ridge = height - swing * np.sin(x / 74 + height) - 0.5 * swing * np.sin(x / 31 + 2 * height)
        scene = mix(scene, mix(rgb(color), rgb(light), smooth(-0.6, 1, canvas.noise(40, 2))), smooth(0, 3, y - ridge))
    ground = gradient(
        0.5 * canvas.noise(30, 2, stretch=3) + np.sin(np.maximum(y - 190, 0) ** 0.5 * 3.2 + x / 150),
        [(-1, "#2f8a5a"), (0, "#86bf48"), (0.9, "#d9dc55"), (1.6, "#f6e58a")],
    )
    scene = mix(scene, ground, smooth(0, 3, y - 192 - 10 * np.sin(x / 110)))
    for _ in range(15):
        place, row, wall = canvas.rng.uniform(330, 560), canvas.rng.uniform(168, 190), canvas.rng.uniform(9, 15)
        house = smooth(1.08, 0.95, np.maximum(np.abs(x - place) / wall, np.abs(y - row) / (wall * 0.75)))
        roof = smooth(0.1, 0, np.abs(x - place) / (wall * 1.25) - (y - row + wall * 1.5) / (wall * 0.8))
        roof *= (y > row - wall * 1.5) * (y < row - wall * 0.6)
        scene = mix(scene, gradient((x - place) / wall, [(-1, "#fff3da"), (1, "#b8a0c8")]), house)
        scene = mix(scene, "#e0603a", roof)
    road = 250 + 0.9 * (y - 200) * np.sin(y / 60) - 0.3 * (y - 200)
    scene = mix(
        scene,
        gradient(x - road, [(-60, "#fde8c8"), (60, "#d8a8c0")]),
        smooth(1.05, 0.9, np.abs(x - road) / (3 + (y - 196) * 0.17)) * (y > 200),
    )
    blossom = (
        [(-0.5, "#7a3f9a"), (0, "#e0709a"), (0.35, "#fbc4cf"), (0.7, "#fff6ee")],
        [(-0.5, "#4a5fae"), (0, "#c8a8d8"), (0.35, "#fdf0e4"), (0.7, "#ffffff")],
    )
    rows = sorted((canvas.rng.uniform(222, 480), canvas.rng.uniform(-10, 650)) for _ in range(34))
    for number, (row, place) in enumerate(rows):
        span = 9 + (row - 190) * 0.19
        if abs(place - 250 - (row - 200) * (0.9 * np.sin(row / 60) - 0.3)) < span * 1.2:  # on the road
            continue
        shadow = np.hypot((x - place - span * 0.5) / span, (y - row - span * 0.1) / (span * 0.26))
        scene = mix(scene, "#2a5f8a", smooth(1.1, 0.7, shadow) * 0.8)
        scene = _tree(scene, canvas, place, row, row - span * 2.3, span, blossom[number % 2])
    return _paint(canvas, np.clip(scene, 0, 1))


PAINTINGS: dict[str, Painting] = {"river_bank": river_bank, "lighthouse": lighthouse, "orchard": orchard}
