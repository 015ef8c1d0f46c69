"""stylize_video: films in, films out, a frame at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nst.base_network import Region
from nst.color import check_preserve_color, keep_content_chroma
from nst.errors import UserError
from nst.fusion import Alpha, alpha_per_level
from nst.optical_flow import choose_flow
from nst.pictures import Picture, as_list, to_mask, to_size
from nst.steady import SteadyPainter, check_steady
from nst.style_code import StyleCode
from nst.stylizer import Style, Stylizer
from nst.tiling import Tile
from nst.video_pieces import FilmInTheMaking
from nst.video_reading import Film, read_film, read_frames
from nst.video_writing import Encoding, check_output

SCHEDULES = ("linear",)
Progress = Callable[[int, int | None], None]


def stylize_video(
    stylizer: Stylizer,
    content: str | Path,
    style: Style | Sequence[Style],
    output: str | Path,
    alpha: Alpha = 1.0,
    *,
    weights: Sequence[float] | None = None,
    schedule: str | None = None,
    masks: Sequence[Picture] | None = None,
    style_size: int | None = 512,
    size: int | None = None,
    max_size: int | None = None,
    preserve_color: str = "none",
    steady: str = "flow",
    crf: int = 18,
    tile: Tile = "auto",
    max_pixels: int | None = None,
    first_frame: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Paint a film in the manner of a style. Frames are streamed: memory does not grow with the film's length.

    Kept are the frames' number, times and size, the sound (its packets are copied), shape of pixels, colour range and
    matrix. A rotation that the film asks its player for is applied to the frames. Sound that cannot be carried over is left
    out, with a warning.

    Finished pieces of the film are kept in the hidden folder ``.NAME.parts`` beside the output until all is done: the same
    call after an interruption goes on from there, and gives the same film.

    Args:
        content: a film, or an animated GIF or WebP.
        style, alpha, weights, masks, style_size, size, max_size, tile: see :class:`nst.stylizer.Stylizer`.
        output: .mp4, .mov, .mkv, .webm, .gif or .webp; not the content itself.
        schedule: ``linear`` goes from the first style to the last in the course of the film, instead of mixing them.
        preserve_color: ``none`` or ``luminance``.
        steady: ``flow`` averages the content's statistics over time and carries the previous frame along the optical flow,
            ``statistics`` does only the first, ``off`` paints each frame alone. See :mod:`nst.steady`.
        crf: constant rate factor of x264, 0 (lossless) to 51.
        max_pixels, first_frame: of pictures of styles and masks, see :class:`nst.stylizer.Stylizer`.
        progress: told after each frame how many are done and, if that is known, of how many.

    Returns:
        The output's path.

    Raises:
        UserError: a file that is no film or cannot be written, values that do not fit each other, or the extra ``video``
            is not installed.
    """
    output = Path(output)
    masks = None if masks is None else as_list(masks)
    check_output(output, content, [*as_list(style), *(masks or ())])
    check_steady(steady)
    check_preserve_color(preserve_color)
    if isinstance(alpha, Tensor):
        if alpha.numel() != 1:
            raise UserError(
                f"a film takes 1 alpha, or one a fusion level as a list: found a tensor of {alpha.numel()}."
            )
        alpha = alpha.item()
    alpha_per_level(alpha, stylizer.network.levels)
    if preserve_color == "histogram":
        raise UserError("preserve_color=histogram would follow each frame's colours: for films use luminance.")
    if not 0 <= crf <= 51:
        raise UserError(f"crf must lie between 0 (lossless) and 51: found {crf}.")
    film = read_film(content)
    reading: Any = {"max_pixels": max_pixels, "first_frame": first_frame}
    codes = [stylizer.encode_style(one, style_size=style_size, **reading) for one in as_list(style)]
    _check_schedule(schedule, codes, weights, masks, film)
    flow = choose_flow(stylizer.device) if steady == "flow" else None
    painter = SteadyPainter(stylizer.network, stylizer.autocast, flow, steady != "off")
    options = [alpha, weights, schedule, size, max_size, preserve_color, steady, crf, tile]
    drawn = [to_mask(mask, (film.height, film.width), **reading) for mask in masks or ()]
    job = _fingerprint(stylizer, film, codes, drawn, options)

    constant: list[Region] | None = None
    total = round(film.duration * film.rate) if film.duration else None
    start = previous = None
    with FilmInTheMaking(Encoding(output, film, crf), painter, job) as work:
        for index, frame in enumerate(read_frames(film)):
            start = frame.time if start is None else start
            if index >= work.done:
                picture = to_size(frame.picture, size, max_size)
                if schedule is not None:
                    assert film.duration
                    passed = float((frame.time - start) * film.time_base)
                    regions = [Region(code_at(codes, passed / film.duration))]
                else:
                    constant = constant or stylizer.regions(codes, weights, masks, picture, **reading)
                    regions = constant
                seconds = 0.0 if previous is None else float((frame.time - previous) * film.time_base)
                painted = painter(picture, regions, seconds, alpha, tile)
                if preserve_color == "luminance":
                    painted = keep_content_chroma(painted, picture)
                work.write(painted, frame.time, frame.duration)
            previous = frame.time
            if progress is not None:
                progress(index + 1, total)
        return work.finish()


def code_at(codes: Sequence[StyleCode], progress: float) -> StyleCode:
    """The style at a part of the way, from 0 to 1, from the first code over those between to the last."""
    position = min(max(progress, 0.0), 1.0) * (len(codes) - 1)
    before = min(int(position), len(codes) - 2)
    return codes[before].lerp(codes[before + 1], position - before)


def _check_schedule(
    schedule: str | None,
    codes: Sequence[StyleCode],
    weights: Sequence[float] | None,
    masks: Sequence[Picture] | None,
    film: Film,
) -> None:
    if schedule is None:
        return
    if schedule not in SCHEDULES:
        raise UserError(f"unknown schedule {schedule!r}: choose from {', '.join(SCHEDULES)}.")
    if len(codes) < 2 or weights is not None or masks is not None:
        raise UserError("schedule needs several styles, and neither weights nor masks: style=[a.jpg,b.jpg].")
    if film.duration is None:
        raise UserError(f"{film.path} does not say how long it is, which schedule needs: convert it to .mp4 first.")


def _fingerprint(
    stylizer: Stylizer, film: Film, codes: Sequence[StyleCode], masks: Sequence[Tensor], options: Any
) -> str:
    """Tells jobs apart: by the source file, the model, the styles, the masks and every option."""
    digest = hashlib.sha256(json.dumps(options, default=str).encode())
    status = film.path.stat()
    digest.update(f"{film.path.resolve()} {status.st_size} {status.st_mtime_ns} {stylizer.dtype}".encode())
    tensors = list(stylizer.network.own_state_dict().values())
    tensors += [value for code in codes for pair in (*code.statistics, code.colors or ()) for value in pair]
    for tensor in tensors:
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    for mask in masks:
        digest.update(mask.cpu().numpy().tobytes())
    return digest.hexdigest()
