"""Signed distances, in units and negative inside, of the shapes that cubist and abstract pictures are made of."""

from __future__ import annotations

import numpy as np

from painting.canvas import Array


def box(x: Array, y: Array, half_width: float | Array, half_height: float) -> Array:
    """An upright rectangle about the origin; ``half_width`` may vary from place to place."""
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def polygon(x: Array, y: Array, *corners: tuple[float, float]) -> Array:
    """A convex polygon, its corners clockwise on the picture."""
    inside = np.full_like(x, -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside = np.maximum(inside, ((y - y0) * (x0 - x1) + (x - x0) * (y1 - y0)) / np.hypot(x1 - x0, y1 - y0))
    return inside


def turned(x: Array, y: Array, center: tuple[float, float], angle: float | Array) -> tuple[Array, Array]:
    """Coordinates about ``center``, along ``angle`` and across it."""
    dx, dy = x - center[0], y - center[1]
    return dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
