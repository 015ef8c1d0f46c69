"""What stands where on the web page: components from top to bottom, as a telephone shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from nst.images import find_images, limit_longer_side, read_image
from nst.page_privacy import files_only
from nst.painter import BRUSHES
from nst.samples import SAMPLES

TITLE = "nst: photographs in the manner of paintings"
EXAMPLES = {
    "astronaut, starry": ("astronaut.jpg", "impressionism/cypress_night.jpg"),
    "coffee, great wave": ("coffee.jpg", "ukiyo_e/great_wave.jpg"),
    "cat, circles": ("chelsea.jpg", "abstract/circles_in_squares.jpg"),
    "rocket, lighthouse": ("rocket.jpg", "pointillism/lighthouse.jpg"),
}
CANVAS = 512  # longer side of the picture under the brush
COLORS = {"of the painting": "none", "of the photograph": "luminance", "the painting recoloured first": "histogram"}
ELSEWHERE = {"the photograph": False, "all styles, mixed": True}
THUMBNAIL = 160  # pixels
# gradio's own columns of thumbnails and its margins are too wide for a telephone.
STYLESHEET = """
.gradio-container {max-width: 1180px !important; margin: 0 auto !important; padding: 0 !important}
.gradio-container .fillable {padding: 12px !important}
#heading h1 {font-size: 1.5rem; font-weight: 700; margin: 0}
.samples .grid-container {
  grid-template-columns: repeat(6, minmax(0, 1fr)) !important;
  grid-template-rows: none !important;
  grid-auto-rows: auto !important;
}
.samples .thumbnail-item {min-width: 0; width: 100%; height: auto; aspect-ratio: 1}
#status p {margin: 0; min-height: 1.5em; overflow-wrap: anywhere}
#status .error {color: var(--error-text-color, #b91c1c); font-weight: 600}
"""


@dataclass(frozen=True)
class Components:
    """What can be set, pressed and shown; ``strokes`` is the brush's layer, remembered on the server."""

    photograph: Any
    styles: list[Any]
    weights: list[Any]
    canvas: Any
    strokes: Any
    between: Any
    model: Any
    style_size: Any
    color: Any
    button: Any
    status: Any
    result: Any
    alpha: Any
    download: Any
    examples: Any
    galleries: list[Any]
    samples: list[Path]


def lay_out(models: list[str]) -> Components:
    """Every component, inside the ``gradio.Blocks`` that is open.

    Args:
        models: names to choose from; the first is chosen.
    """
    samples = find_images(SAMPLES / "style") if SAMPLES.is_dir() else []
    gr.HTML("<h1>A photograph in the manner of a painting</h1>", elem_id="heading")
    photograph = _upload("Photograph", ["upload", "webcam", "clipboard"], height=230, name="photograph")
    styles = [
        _upload(f"Painting {number} ({color} brush)", ["upload", "clipboard"], height=180, name=f"style{number}")
        for number, color in enumerate(BRUSHES, start=1)
    ]
    examples = _examples(photograph, styles[0]) if samples else None
    thumbnails = [limit_longer_side(read_image(path), THUMBNAIL) for path in samples]
    weights, galleries = [], []
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            photograph.render()
            with gr.Tabs():
                for number, style in enumerate(styles, start=1):
                    with gr.Tab(f"Style {number}", elem_id=f"tab{number}", render_children=True):
                        style.render()
                        if samples:
                            galleries.append(_gallery(thumbnails, f"samples{number}"))
                        weights.append(gr.Slider(0, 1, 1, step=0.05, label="Weight in a mix"))
            with gr.Accordion("Brush: which style goes where", open=False, elem_id="brush"):
                gr.HTML("Red paints style 1, blue style 2, yellow style 3.")
                canvas = _canvas()
                between = gr.Radio(list(ELSEWHERE), value=next(iter(ELSEWHERE)), label="Elsewhere", elem_id="elsewhere")
            with gr.Accordion("Model, size of strokes, colours", open=False, elem_id="more"):
                model = gr.Radio(models, value=models[0], label="Model", elem_id="model")
                hint = "pixels; smaller gives finer strokes"
                style_size = gr.Slider(64, 1024, 512, step=32, label="Style size", info=hint)
                color = gr.Radio(list(COLORS), value=next(iter(COLORS)), label="Colours", elem_id="colors")
            button = gr.Button("Paint", variant="primary", elem_id="paint")
        with gr.Column(min_width=300):
            status = gr.HTML("<p>Drop a photograph and a painting, or take an example.</p>", elem_id="status")
            result = gr.ImageSlider(
                label="Photograph | painted",
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                elem_id="result",
            )
            hint = "0 is the photograph, 1 the full style"
            alpha = gr.Slider(0, 1, 1, step=0.02, label="Alpha", info=hint, elem_id="alpha")
            download = gr.DownloadButton("Download", interactive=False, elem_id="download")
    return Components(
        photograph=photograph,
        styles=styles,
        weights=weights,
        canvas=canvas,
        strokes=gr.State(None),
        between=between,
        model=model,
        style_size=style_size,
        color=color,
        button=button,
        status=status,
        result=result,
        alpha=alpha,
        download=download,
        examples=examples,
        galleries=galleries,
        samples=samples,
    )


def _upload(label: str, sources: list[Any], height: int, name: str) -> Any:
    """A place to drop a picture, to be rendered where it belongs."""
    return files_only(
        gr.Image(label=label, sources=sources, height=height, elem_id=name, type="filepath", buttons=[], render=False)
    )


def _examples(photograph: Any, style: Any) -> Any:
    pairs = [[str(SAMPLES / "content" / first), str(SAMPLES / "style" / second)] for first, second in EXAMPLES.values()]
    return gr.Examples(pairs, [photograph, style], example_labels=list(EXAMPLES), elem_id="examples")


def _gallery(thumbnails: list[Any], name: str) -> Any:
    """Thumbnails to take a style from."""
    return gr.Gallery(
        thumbnails,
        show_label=False,
        columns=6,
        height=150,
        allow_preview=False,
        object_fit="cover",
        buttons=[],
        interactive=False,
        format="jpeg",
        elem_id=name,
        elem_classes="samples",
    )


def _canvas() -> Any:
    """The photograph under a brush; no other tool of gradio's editor."""
    colors: list[Any] = [f"rgb{color}" for color in BRUSHES.values()]
    return files_only(
        gr.ImageEditor(
            show_label=False,
            type="numpy",
            image_mode="RGBA",
            sources=(),
            transforms=(),
            layers=False,
            buttons=[],
            brush=gr.Brush(default_size=40, colors=colors, color_mode="fixed"),
            canvas_size=(CANVAS, CANVAS * 2 // 3),
            elem_id="canvas",
        )
    )
