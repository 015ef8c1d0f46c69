"""Write films: pieces that survive an interruption, and the finished file with the source's sound."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nst.animations import indexed, set_last_webp_duration
from nst.errors import UserError
from nst.video_reading import UNSPECIFIED, Film, is_animation, open_film, require_extra
from nst.video_sound import Sound, sound_as_it_is, sound_coded_anew
from nst.whole_file import written_whole

log = logging.getLogger(__name__)
FORMATS = {
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".webm": "webm",
    ".gif": "gif",
    ".webp": "webp",
}
# Matrices of H.273 by the numbers that FFmpeg's scaler has for them.
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
BT601 = 5  # the matrix of what does not say
SHORTEST_GIF_FRAME = Fraction(2, 100)  # seconds; browsers slow down shorter ones


@dataclass(frozen=True)
class Encoding:
    """How the pictures of a film are encoded.

    Attributes:
        output: the finished file, whose suffix decides.
        film: the source, whose times, colours and shape of pixels are kept.
        crf: constant rate factor of x264: 0 (lossless) to 51.
    """

    output: Path
    film: Film
    crf: int = 18

    def codec(self) -> tuple[str, dict[str, str]]:
        """The encoder's name and options."""
        available = require_extra("av").codecs_available
        if is_animation(self.output):  # encoded only when all is there
            return "ffv1", {}
        if self.output.suffix.lower() == ".webm":
            crf = str(round(self.crf * 63 / 51))  # VP9's scale ends at 63
            return "libvpx-vp9", {"crf": crf, "b": "0", "cpu-used": "4", "row-mt": "1"}
        if "libx264" in available:
            # Without B-frames a packet's time is its frame's, and pieces can be joined.
            return "libx264", {"crf": str(self.crf), "preset": "fast", "bf": "0"}
        return "mpeg4", {"qscale": "2", "bf": "0"}


def check_output(path: Path, content: str | Path, others: Iterable[object] = ()) -> None:
    """Raises UserError unless a film can be written under this name, which is not to be that of its content, nor one of the
    others that are files: styles and masks."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"cannot write {path}: a film needs one of {' '.join(FORMATS)}.")
    if path.is_dir():
        raise UserError(f"cannot write {path}: a folder of that name is in the way; choose another name.")
    for one in (content, *others):
        if isinstance(one, str | Path) and path.exists() and Path(one).exists() and path.samefile(one):
            kind = "content" if one is content else "style or mask"
            raise UserError(f"output would replace its {kind} {one}: choose another output.")


class Piece:
    """A file with some consecutive frames."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.path, self.encoding = path, encoding
        self._container = require_extra("av").open(str(path), "w", format="nut")
        self._stream: Any = None

    def write(self, picture: Tensor, time: int, duration: int) -> None:
        """Append a ``(1, 3, H, W)`` uint8 RGB picture; times are in the film's time base."""
        av, film = require_extra("av"), self.encoding.film
        height, width = picture.shape[2:]
        if self._stream is None:
            self._stream = self._start(width, height)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[0].permute(1, 2, 0).numpy()))
        if not is_animation(self.encoding.output):
            matrix = MATRICES.get(film.colors.colorspace, BT601)
            frame = frame.reformat(
                format=self._stream.codec_context.pix_fmt,
                dst_colorspace=matrix,
                dst_color_range=film.colors.color_range or None,
            )
        frame.time_base, frame.pts, frame.duration = film.time_base, time, duration
        self._container.mux(self._stream.encode(frame))

    def _start(self, width: int, height: int) -> Any:
        film = self.encoding.film
        name, options = self.encoding.codec()
        stream = self._container.add_stream(name, rate=film.rate, options=options)
        stream.width, stream.height = width, height
        context = stream.codec_context
        context.time_base = film.time_base
        if name == "ffv1":
            context.pix_fmt = "bgr0"
            return stream
        # Half as many colours as pixels, as films have it, needs even sides.
        context.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        context.sample_aspect_ratio = film.pixel_aspect
        for name, value in vars(film.colors).items():
            setattr(context, name, value)
        if film.colors.colorspace not in (UNSPECIFIED, *MATRICES):  # RGB and others: what is written is none of them
            context.colorspace = BT601
        return stream

    def close(self) -> None:
        """End the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()


def join(pieces: Sequence[Path], end: int, encoding: Encoding) -> Path:
    """Make the finished film of its pieces: films with the source's sound, GIF and WebP without.

    Nothing is encoded again, save sound that the container does not take and the frames of animations. Damaged sound is
    left out; if none of it can be carried over, a warning says so. The file appears under its name only when complete.

    Args:
        pieces: in order.
        end: when the last frame ends, in the film's time base.
        encoding: as the pieces were encoded.

    Raises:
        UserError: the file cannot be written.
    """
    output = encoding.output
    with telling(output), written_whole(output) as partial:
        if is_animation(output):
            _encode_animation(pieces, end * encoding.film.time_base, partial, FORMATS[output.suffix.lower()])
        elif is_animation(encoding.film.path):
            _join_film(pieces, end, encoding, partial)
        else:
            _join_with_sound(pieces, end, encoding, partial)
    return output


@contextmanager
def telling(output: Path) -> Iterator[None]:
    """What goes wrong in writing leaves as one UserError."""
    try:
        yield
    except (OSError, require_extra("av").error.FFmpegError) as error:
        reason = error.strerror or error
        raise UserError(f"cannot write {output}: {reason}; check the folder and the disk, or set max_size.") from error


def _join_with_sound(pieces: Sequence[Path], end: int, encoding: Encoding, path: Path) -> None:
    """The film with the source's sound as it is; if that cannot be, with it coded anew; if neither can, without it."""
    for sound in (sound_as_it_is, sound_coded_anew):
        try:
            return _join_film(pieces, end, encoding, path, sound)
        except (require_extra("av").error.FFmpegError, ValueError) as error:  # PyAV raises both
            if isinstance(error, OSError):  # of the disk
                raise
            reason = getattr(error, "strerror", error)
    _join_film(pieces, end, encoding, path)
    log.warning("%s is without sound: %s's cannot be carried over (%s)", encoding.output, encoding.film.path, reason)


def _join_film(pieces: Sequence[Path], end: int, encoding: Encoding, path: Path, sound: Sound | None = None) -> None:
    av, film = require_extra("av"), encoding.film
    name = FORMATS[encoding.output.suffix.lower()]
    options = {"movflags": "+faststart"} if name in ("mp4", "mov") else {}  # browsers can start before the end
    with ExitStack() as open_files:
        out = open_files.enter_context(av.open(str(path), "w", format=name, options=options))
        first = open_files.enter_context(av.open(str(pieces[0])))
        video = out.add_stream_from_template(first.streams.video[0])
        video.time_base, video.codec_context.framerate = film.time_base, film.rate
        sources = [_lasting(_pictures(pieces, video), end * film.time_base)]
        if sound is not None:
            source = open_files.enter_context(open_film(film.path))
            if source.streams.audio:
                sources.append(sound(source, out))
        for packet in heapq.merge(*sources, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)


def _pictures(pieces: Sequence[Path], stream: Any) -> Iterator[Any]:
    """The pieces' packets, as those of another stream."""
    av = require_extra("av")
    for path in pieces:
        with av.open(str(path)) as piece:
            for packet in piece.demux(piece.streams.video[0]):
                if packet.dts is not None:  # that would be the end
                    packet.stream = stream
                    yield packet


def _lasting(packets: Iterator[Any], end: Fraction) -> Iterator[Any]:
    """The packets, each as long as until the next, the last until ``end`` (in seconds)."""
    waiting = next(packets)
    for packet in packets:
        waiting.duration = round(packet.dts * packet.time_base / waiting.time_base) - waiting.dts
        yield waiting
        waiting = packet
    waiting.duration = max(round(end / waiting.time_base) - waiting.dts, 1)
    yield waiting


def _encode_animation(pieces: Sequence[Path], end: Fraction, path: Path, name: str) -> None:
    av = require_extra("av")
    with av.open(str(path), "w", format=name, options={"loop": "0"}) as out:
        unit, codec = (Fraction(1, 100), "gif") if name == "gif" else (Fraction(1, 1000), "libwebp_anim")
        stream = out.add_stream(codec, rate=25, options={} if name == "gif" else {"quality": "90"})
        with av.open(str(pieces[0])) as piece:
            stream.width, stream.height = piece.streams.video[0].width, piece.streams.video[0].height
        stream.codec_context.pix_fmt = "pal8" if name == "gif" else "bgra"
        stream.codec_context.time_base = unit
        times: list[Fraction] = []

        def packets() -> Iterator[Any]:
            for frame in _frames(pieces):
                time = frame.pts * frame.time_base
                if name == "gif" and times and time - times[-1] < SHORTEST_GIF_FRAME:
                    continue
                times.append(time)
                if name == "gif":
                    frame = av.VideoFrame.from_ndarray(indexed(frame.to_ndarray(format="rgb24")), format="pal8")
                else:
                    frame = frame.reformat(format="bgra")
                frame.time_base, frame.pts = unit, round((time - times[0]) / unit)
                yield from stream.encode(frame)
            yield from stream.encode()

        out.start_encoding()
        for packet in _lasting(packets(), end - _start(pieces[0])):
            out.mux(packet)
    if name == "webp":
        set_last_webp_duration(path, round(1000 * (end - times[-1])))


def _start(piece: Path) -> Fraction:
    first = next(_frames([piece]))
    return first.pts * first.time_base


def _frames(pieces: Sequence[Path]) -> Iterator[Any]:
    av = require_extra("av")
    for path in pieces:
        with av.open(str(path)) as piece:
            yield from piece.decode(video=0)
