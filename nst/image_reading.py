"""Read picture files: told by content, checked before decoding, every failure one line."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

# Importing a plugin registers its format; only these are tried, so that no file can start, say, Ghostscript.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from nst.errors import UserError
from nst.image_modes import on_white, to_srgb
from nst.image_shapes import shorter_side_size

_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")


def read_image(path: str | Path, *, first_frame: bool = False, max_pixels: int | None = None) -> Image.Image:
    """Read a picture file of any size and kind: JPEG, PNG, WebP, TIFF, BMP or GIF, told by content, not by suffix.

    Args:
        path: the file.
        first_frame: take the first frame of an animation, or the first page of a TIFF, instead of refusing it.
        max_pixels: the most pixels (width times height) to decode, against files made to fill the memory; default:
            ``PIL.Image.MAX_IMAGE_PIXELS``, 89 million unless changed.

    Returns:
        The picture as :func:`nst.images.to_srgb` leaves it: 8-bit sRGB, upright, of mode "RGB", or "RGBA" where at
        least one pixel is not opaque.

    Raises:
        UserError: missing, no file, no permission, empty, of unknown format, damaged, cut off, animated or too large.
    """
    return _read(Path(path), to_srgb, first_frame, max_pixels)


def read_reduced(path: str | Path, shorter_side: int) -> Image.Image:
    """Read a picture at a small size, for training: faster than reading all of it, as JPEG decodes straight to 1/2 ... 1/8.

    Args:
        path: the file.
        shorter_side: the shorter side of the result in pixels, at least 1; smaller pictures are enlarged.

    Returns:
        Mode "RGB", 8-bit sRGB, upright, on white where it was transparent.

    Raises:
        UserError: as :func:`read_image`, and a size below 1 or a picture too elongated for it.
    """

    def reduce(image: Image.Image) -> Image.Image:
        shorter_side_size(image.size, shorter_side)  # refuses what cannot be resized before any work
        # Twice the size leaves the antialiasing to Lanczos: JPEG's own reduction alone would be rougher.
        image.draft(None, (2 * shorter_side, 2 * shorter_side))
        picture = on_white(to_srgb(image))
        size = shorter_side_size(picture.size, shorter_side)
        return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)

    return _read(Path(path), reduce, first_frame=False, max_pixels=None)


def _read(
    path: Path, convert: Callable[[Image.Image], Image.Image], first_frame: bool, max_pixels: int | None
) -> Image.Image:
    """Open, check and decode a file; whatever goes wrong leaves as one UserError that names it."""
    try:
        with _open_file(path) as file:
            image = _identify(file)
            _check(image, first_frame, max_pixels)
            return convert(image)
    except UserError as error:
        raise UserError(f"cannot read {path}: {error}") from error
    except MemoryError as error:
        raise UserError(f"cannot read {path}: not enough memory to decode it; give a smaller picture") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files, AttributeError included
        reason = str(error) or type(error).__name__
        raise UserError(
            f"cannot read {path}: the picture is damaged or cut off ({reason}); fetch or export it again"
        ) from error


def _open_file(path: Path) -> IO[bytes]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
            raise UserError(f"it is {kind}, not a picture; name a picture file")
        if status.st_size == 0:
            raise UserError("the file is empty (0 bytes); fetch or export it again")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise UserError("no such file; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise UserError(f"{getattr(error, 'strerror', error)}; check the path and its permissions") from error


def _identify(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open by content, as PIL.Image.open does, but without its pixel limit: that one is global, and could not be raised
    for one picture without lowering the guard of other threads. :func:`_check` takes its place."""
    prefix = file.read(16)
    for name in _READABLE:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is True:  # a string would say what Pillow was built without
            file.seek(0)
            return factory(file, "")
    raise UserError(f"no picture of a known format (it begins with {prefix!r}); give {', '.join(_READABLE)}")


def _check(image: ImageFile.ImageFile, first_frame: bool, max_pixels: int | None) -> None:
    pixels = image.width * image.height
    limit = Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels
    if limit is not None and pixels > limit:
        raise UserError(
            f"{image.width} x {image.height} = {pixels} pixels are over the limit of {limit};"
            f" set max_pixels={pixels} if you trust the file"
        )
    # An MPO is a JPEG with further views of the same scene, such as a depth map: no animation.
    if not first_frame and image.format != "MPO" and getattr(image, "is_animated", False):
        raise UserError(
            f"it is animated or has several pages ({getattr(image, 'n_frames', 'several')} frames);"
            " give a still picture, or set first_frame=True"
        )
