"""Animated GIF and WebP: read frame by frame, and what films need to be written as such."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from nst.errors import UserError
from nst.image_modes import on_white, to_srgb

ANIMATION_SUFFIXES = (".gif", ".webp")
UNSAID_DURATION = 100  # milliseconds: what browsers make of a frame of 0 or 10 ms


def is_animated(path: str | Path) -> bool:
    """Whether a file is a GIF or WebP of several frames; a file that cannot be read is not."""
    if Path(path).suffix.lower() not in ANIMATION_SUFFIXES:
        return False
    try:
        with Image.open(path, formats=("GIF", "WEBP")) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow raises nearly anything on damaged files; those who read pictures say what is wrong
        return False


def animation_frames(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    """``(H, W, 3)`` uint8 RGB frames, on white where they are transparent, and their durations in milliseconds.

    Raises:
        UserError: the file is missing, damaged or something else.
    """
    try:
        with Image.open(path, formats=("GIF", "WEBP")) as image:
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                frame = np.array(on_white(to_srgb(image)))  # decodes; a WebP knows the frame's duration only then
                duration = round(image.info.get("duration", 0))
                yield frame, duration if duration > 10 else UNSAID_DURATION
    except Exception as error:  # as in is_animated
        reason = str(error) or type(error).__name__
        raise UserError(f"cannot read {path}: no animation, or damaged ({reason}); export it again.") from error


def indexed(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A frame in 256 colours of its own: ``(H, W)`` indices and a ``(256, 4)`` ARGB palette, both uint8."""
    picture = Image.fromarray(pixels).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    colors = np.array(picture.getpalette(), dtype=np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 4), dtype=np.uint8)
    palette[:, 0] = 255
    palette[: len(colors), 1:] = colors
    return np.array(picture), palette


def set_last_webp_duration(path: Path, milliseconds: int) -> None:
    """Write the duration of an animated WebP's last frame into the file: encoders guess it from the others.

    Chunks of the format: four letters, size (32 bits, little-endian), content, padding to an even size; in a frame's chunk
    ``ANMF`` the duration is the 24 bits from byte 12 on (RFC 9649, section 2.7.1.2).
    """
    with path.open("r+b") as file:
        file.seek(12)  # after "RIFF", size, "WEBP"
        last = None
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"ANMF":
                last = file.tell()
            file.seek(size + size % 2, 1)
        if last is not None:
            file.seek(last + 12)
            file.write(struct.pack("<I", milliseconds)[:3])
