"""stylize(cfg) of a film."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nst.animations import is_animated
from nst.errors import UserError
from nst.pictures import as_list
from nst.stylizer import Stylizer
from nst.video import stylize_video
from nst.video_reading import FILM_SUFFIXES
from nst.video_writing import FORMATS, check_output

OPTIONS = (
    "weights",
    "schedule",
    "masks",
    "style_size",
    "size",
    "max_size",
    "preserve_color",
    "steady",
    "crf",
    "tile",
    "max_pixels",
    "first_frame",
)


def is_film(content: str, output: str | None, first_frame: bool) -> bool:
    """Whether ``content`` is to be stylized as a film.

    Files are told by their suffix. A GIF or WebP of several frames is a film where the output can be one, too; otherwise it
    is left to those who read pictures, who refuse it or take its first frame.
    """
    if Path(content).suffix.lower() in FILM_SUFFIXES:
        return True
    into_film = output is None or Path(output).suffix.lower() in FORMATS
    return into_film and not first_frame and is_animated(content)


def stylize_film(cfg: DictConfig, content: str, styles: Sequence[str]) -> Path:
    """Stylize one film as ``configs/inference/stylize.yaml`` says, and print a line at the end.

    Raises:
        UserError: see :func:`nst.video.stylize_video`.
    """
    from nst.batch import is_out_of_memory  # late: it imports this module

    suffix = Path(content).suffix.lower()
    output = Path(cfg.output or Path(cfg.output_dir, "stylized" + (suffix if suffix in FORMATS else ".mp4")))
    check_output(output, content, [*styles, *as_list(cfg.masks)])  # before the model is loaded
    stylizer = Stylizer.from_checkpoint(cfg.ckpt, device=cfg.device, precision=cfg.precision)
    settings: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    options = {name: settings[name] for name in OPTIONS}
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("frames"), TimeRemainingColumn())
    start, frames = time.perf_counter(), 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=None)

        def progress(done: int, total: int | None) -> None:
            nonlocal frames
            frames = done
            bar.update(task, completed=done, total=total)

        try:
            stylize_video(stylizer, content, list(styles), output, settings["alpha"], **options, progress=progress)
        except Exception as error:
            if is_out_of_memory(error):
                raise UserError("not enough memory: set a smaller tile (tile=512) or max_size.") from error
            raise
    seconds = time.perf_counter() - start
    print(f"{output}  {frames} frames  {seconds:.1f} s  {frames / seconds:.1f} frames/s", flush=True)
    return output
