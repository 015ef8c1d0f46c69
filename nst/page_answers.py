"""What the web page answers to a click, a slider, a stroke or a dropped file."""

from __future__ import annotations

import html
import uuid
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from nst.errors import UserError
from nst.images import limit_longer_side, write_image
from nst.page_layout import CANVAS, COLORS, ELSEWHERE, Components
from nst.painter import STYLES, Order, Painter


class Answers:
    """Functions from components' values to components' values; a mistake is shown as its one line.

    Args:
        painter: what paints.
        folder: where results are written.
        live_seconds: a model that was quicker than this the last time follows controls while they move.
    """

    def __init__(self, painter: Painter, folder: Path, live_seconds: float) -> None:
        self.painter = painter
        self.folder = folder
        self.live_seconds = live_seconds

    def paint(self, *values: Any) -> tuple[Any, Any, Any]:
        """Status, (photograph, result) and download for the values of :func:`orders`."""
        order = as_order(*values)
        try:
            painting = self.painter.paint(order)
        except UserError as error:
            return line(error), gr.skip(), gr.skip()
        before = self._write(painting.photograph, "photograph")
        after = self._write(painting.picture, f"{Path(order.photograph or '').stem}-painted")
        size = f"{painting.picture.width} × {painting.picture.height} pixels"
        status = line(f"{painting.seconds:.2f} s with {order.model}, {size}")
        return status, (before, after), gr.DownloadButton(value=after, interactive=True)

    def follow(self, *values: Any) -> tuple[Any, Any, Any]:
        """Paint while a control moves, where that is quick and there is something to paint."""
        order = as_order(*values)
        if not order.complete or self.painter.seconds.get(order.model, float("inf")) > self.live_seconds:
            return gr.skip(), gr.skip(), gr.skip()
        return self.paint(*values)

    def receive(self, path: str | None) -> tuple[Any, Any, Any, Any]:
        """Photograph, canvas, strokes and status for a new photograph: it lies under the brush, or is refused at once."""
        try:
            picture = None if path is None else limit_longer_side(self.painter.read(path), CANVAS)
        except UserError as error:
            return None, None, None, line(error)
        return gr.skip(), picture, None, gr.skip()

    def check(self, path: str | None) -> tuple[Any, Any]:
        """Painting and status for a new painting: refused at once where it cannot be read."""
        try:
            if path is not None:
                self.painter.read(path)
        except UserError as error:
            return None, line(error)
        return gr.skip(), gr.skip()

    def _write(self, picture: Image.Image, name: str) -> str:
        """A file of its own for each result: JPEG, or PNG where the picture has transparent places."""
        suffix = ".png" if picture.mode == "RGBA" else ".jpg"
        return str(write_image(picture, self.folder / uuid.uuid4().hex / f"{name}{suffix}"))


def as_order(*values: Any) -> Order:
    """The values of :func:`orders` as the painter takes them."""
    photograph, styles, weights = values[0], values[1 : 1 + STYLES], values[1 + STYLES : 1 + 2 * STYLES]
    model, alpha, style_size, color, strokes, between = values[1 + 2 * STYLES :]
    return Order(photograph, styles, weights, model, alpha, style_size, COLORS[color], strokes, ELSEWHERE[between])


def orders(at: Components) -> list[Any]:
    """The components whose values make an order."""
    return [at.photograph, *at.styles, *at.weights, at.model, at.alpha, at.style_size, at.color, at.strokes, at.between]


def line(text: str | UserError) -> str:
    """A line for the status; a mistake stands out and is read aloud by screen readers."""
    attributes = ' class="error" role="alert"' if isinstance(text, UserError) else ""
    return f"<p{attributes}>{html.escape(str(text))}</p>"


def last_layer(value: dict[str, Any] | None) -> np.ndarray | None:
    """The brush's strokes in what gradio's editor sends, ``(H, W, 4)`` uint8; ``None`` before the first."""
    return value["layers"][-1] if value and value["layers"] else None


def connect(at: Components, answers: Answers) -> None:
    """Every event of the page, inside the ``gradio.Blocks`` that is open."""
    inputs, outputs = orders(at), [at.status, at.result, at.download]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    one_at_a_time: dict[str, Any] = {"concurrency_id": "painting", "concurrency_limit": 1, "api_visibility": "private"}
    at.button.click(answers.paint, inputs, outputs, show_progress_on=at.result, **one_at_a_time)
    if at.examples is not None:
        at.examples.load_input_event.then(answers.paint, inputs, outputs, show_progress_on=at.result, **one_at_a_time)

    live: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden", **one_at_a_time}
    moved = [at.alpha.input, at.style_size.release, at.color.input, at.between.input]
    gr.on([*moved, *(weight.release for weight in at.weights)], answers.follow, inputs, outputs, **live)
    brushed = at.canvas.input(last_layer, at.canvas, at.strokes, trigger_mode="always_last", **quiet)
    brushed.then(answers.follow, inputs, outputs, **live)

    at.photograph.change(answers.receive, at.photograph, [at.photograph, at.canvas, at.strokes, at.status], **quiet)
    for style in at.styles:
        style.input(answers.check, style, [style, at.status], **quiet)
    for gallery, style in zip(at.galleries, at.styles, strict=False):
        gallery.select(_taken_from(at.samples), None, style, **quiet)


def _taken_from(samples: list[Path]) -> Any:
    def taken(event: gr.SelectData) -> str:
        return str(samples[event.index])

    return taken
