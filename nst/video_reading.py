"""Read films: upright RGB frames with their times, one after another, whatever the codec."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nst.animations import ANIMATION_SUFFIXES, animation_frames
from nst.errors import UserError

FILM_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm")
UNSPECIFIED = 2  # "unknown" in the three tables of colour properties of ITU-T H.273
FULL_RANGE = 2  # of AVColorRange: 8-bit values use 0 to 255
RESTART = Fraction(1, 10)  # seconds that a clock is set back by, from which on it has started again


@dataclass(frozen=True)
class Colors:
    """How a film's numbers mean colours, as its stream says (numbers of ITU-T H.273, and FFmpeg's colour range)."""

    colorspace: int = UNSPECIFIED
    color_range: int = 0
    color_primaries: int = UNSPECIFIED
    color_trc: int = UNSPECIFIED


@dataclass(frozen=True)
class Film:
    """What a film is, besides its frames.

    Attributes:
        width, height: of an upright frame, in pixels.
        time_base: unit of all times, in seconds.
        rate: frames a second, on average.
        duration: in seconds; ``None`` where the file does not say.
        pixel_aspect: width of a pixel over its height, upright.
        colors: of the stream.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    duration: float | None
    pixel_aspect: Fraction
    colors: Colors


@dataclass(frozen=True)
class Frame:
    """``picture`` is ``(1, 3, H, W)`` uint8 RGB; ``time`` and ``duration`` count in the film's time base."""

    picture: Tensor
    time: int
    duration: int


def require_extra(module: str) -> ModuleType:
    """A module of the extra ``video``.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f'films need {module}, which is not installed: pip install "nst[video]".') from None


def is_animation(path: str | Path) -> bool:
    """Whether this is the name of a GIF or WebP file."""
    return Path(path).suffix.lower() in ANIMATION_SUFFIXES


def read_film(path: str | Path) -> Film:
    """What the film in a file is.

    Raises:
        UserError: missing, of unknown format, damaged, or without pictures.
    """
    path = Path(path)
    if is_animation(path):
        width, height, rate, duration = _animation_properties(path)
        return Film(path, width, height, Fraction(1, 1000), rate, duration, Fraction(1), Colors())
    with open_film(path) as container:
        stream = container.streams.video[0]
        first = next(_decoded(container), None)
        if first is None:
            raise UserError(f"cannot read {path}: none of its frames can be decoded; fetch or export it again.")
        context = stream.codec_context
        colors = Colors(context.colorspace, context.color_range, context.color_primaries, context.color_trc)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        seconds = None
        if stream.duration is not None:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            seconds = container.duration / 1e6
            if "matroska" in container.format.name:  # says when it ends
                seconds -= (container.start_time or 0) / 1e6
        width, height, aspect = first.width, first.height, stream.sample_aspect_ratio or Fraction(1)
        if _quarter_turns(first) % 2:
            width, height, aspect = height, width, 1 / aspect
        return Film(path, width, height, stream.time_base, rate, seconds, aspect, colors)


def read_frames(film: Film) -> Iterator[Frame]:
    """The frames of a film in the order of their times; few are in memory at once.

    Damaged frames are passed over.
    """
    if is_animation(film.path):
        time = 0
        for pixels, milliseconds in animation_frames(film.path):
            yield Frame(_batch(pixels), time, milliseconds)
            time += milliseconds
        return
    usual = max(round(1 / (film.rate * film.time_base)), 1)
    with open_film(film.path) as container:
        container.streams.video[0].thread_type = "AUTO"
        previous = None
        for decoded in _decoded(container):
            time = decoded.pts
            if time is None:  # raw streams have no times
                time = 0 if previous is None else previous + usual
            if previous is not None and time <= previous:
                continue  # a damaged file's: times must rise
            yield Frame(_batch(_upright(decoded, film)), time, decoded.duration or usual)
            previous = time


def open_film(path: Path) -> Any:
    """An open ``av`` container with at least one stream of pictures.

    Raises:
        UserError: there is no such file, or it is no film.
    """
    av = require_extra("av")
    if not path.is_file():
        raise UserError(f"cannot read {path}: no such file; check the path.")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise UserError(f"cannot read {path}: no film ({error.strerror}); fetch or export it again.") from None
    if not container.streams.video:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise UserError(f"cannot read {path}: it has no pictures, only {kinds}; give a film.")
    return container


def read_packets(container: Any) -> Iterator[Any]:
    """Packets of a film's pictures and of all its sound, as far as it can be read, on a clock that does not start again."""
    av = require_extra("av")
    packets = container.demux(container.streams.video[0], *container.streams.audio)
    may_restart = container.format.flags & av.format.Flags.ts_discont.value
    with suppress(av.error.FFmpegError):
        yield from _on_one_clock(packets) if may_restart else packets


def _on_one_clock(packets: Iterator[Any]) -> Iterator[Any]:
    """Recordings that were put one behind the other (``cat a.ts b.ts``) each start their clock again: it is moved on to
    where the part before ended, by as much for the sound as for the pictures, so that they stay together."""
    starts: list[Fraction] = []  # by what each further part is moved on; its first stream decides
    parts: Counter[int] = Counter()  # which one a stream has come to
    shifts: dict[int, Fraction] = {}
    ends: dict[int, Fraction] = {}
    for packet in packets:
        if packet.dts is not None:
            stream, time, shift = packet.stream.index, packet.dts * packet.time_base, shifts.get(packet.stream.index, 0)
            back = ends.get(stream, time) - time
            if back - shift > RESTART:
                if parts[stream] == len(starts):
                    starts.append(max(ends.values()) - time)
                parts[stream], shift = len(starts), max(starts[-1], back)
                shifts[stream] = shift
            packet.dts += round(shift / packet.time_base)
            if packet.pts is not None:
                packet.pts += round(shift / packet.time_base)
            ends[stream] = (packet.dts + (packet.duration or 1)) * packet.time_base
        yield packet


def decode(packet: Any) -> list[Any]:
    """The frames of an ``av`` packet; none if it is damaged."""
    try:
        return list(packet.decode())
    except require_extra("av").error.FFmpegError:
        return []


def _decoded(container: Any) -> Iterator[Any]:
    for packet in read_packets(container):
        if packet.stream.type == "video":
            yield from decode(packet)


def _quarter_turns(frame: Any) -> int:
    """Counterclockwise quarter turns that bring a frame upright."""
    return round(frame.rotation / 90) % 4


def _upright(frame: Any, film: Film) -> np.ndarray:
    """``(H, W, 3)`` uint8 RGB of the film's size, to which frames are scaled that have another, as in joined recordings."""
    turns = _quarter_turns(frame)
    width, height = (film.height, film.width) if turns % 2 else (film.width, film.height)
    pixels = frame.reformat(width, height, format="rgb24", dst_color_range=FULL_RANGE).to_ndarray()
    return np.rot90(pixels, turns)


def _batch(pixels: np.ndarray) -> Tensor:
    """``(H, W, 3)`` → ``(1, 3, H, W)``, a view in channels-last memory."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]


def _animation_properties(path: Path) -> tuple[int, int, Fraction, float]:
    """Width, height, rate and duration of an animation; decodes it once to add up the times."""
    count, milliseconds, shape = 0, 0, (0, 0, 3)
    for pixels, duration in animation_frames(path):
        count, milliseconds, shape = count + 1, milliseconds + duration, pixels.shape
    return shape[1], shape[0], Fraction(1000 * count, milliseconds), milliseconds / 1000
