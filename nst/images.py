"""Pictures: import every function on them from here. This module finds and writes the files.

With its parts ``image_reading``, ``image_modes`` and ``image_shapes`` it is the only place that knows PIL. Inside the
package a picture is 8-bit sRGB, upright, of mode "RGB" or "RGBA".
"""

from __future__ import annotations

import glob
import os
import struct
from pathlib import Path
from typing import Any

from PIL import Image

from nst.errors import UserError
from nst.image_modes import merge_alpha, on_white, split_alpha, spread_colors, to_srgb
from nst.image_reading import read_image, read_reduced
from nst.image_shapes import (
    check_array,
    crop,
    from_array,
    limit_longer_side,
    pad_to_multiple,
    require_side,
    resize_shorter_side,
    to_image,
    to_tensor,
)
from nst.whole_file import written_whole

__all__ = [
    "IMAGE_SUFFIXES",
    "check_array",
    "check_output",
    "crop",
    "find_images",
    "from_array",
    "limit_longer_side",
    "merge_alpha",
    "on_white",
    "pad_to_multiple",
    "read_image",
    "read_reduced",
    "require_side",
    "resize_shorter_side",
    "split_alpha",
    "spread_colors",
    "to_image",
    "to_srgb",
    "to_tensor",
    "write_image",
]

_FORMATS = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jfif": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_WITHOUT_ALPHA = ("JPEG", "BMP")

IMAGE_SUFFIXES = tuple(_FORMATS)


def find_images(where: str | Path, *, recursive: bool = True, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """List picture files.

    Args:
        where: a file (taken whatever its suffix), a folder, or a glob such as ``"photos/**/*.jpg"``.
        recursive: look into the folders of a folder, symbolic links included; a glob says so itself with ``**``.
        suffixes: what names in folders and globs must end in (in either case).

    Returns:
        At least one path, sorted. From folders and globs no names that begin with a dot.

    Raises:
        UserError: no such file or folder, or no picture in it.
    """
    if str(where) == "":
        raise UserError("the name of a picture, folder or glob is empty; give one, or leave it out")
    path = Path(where)
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        if not os.access(path, os.R_OK | os.X_OK):
            raise UserError(f"no permission to list the folder {path}; check its permissions")
        files, nothing = _files_below(path, recursive), f"no picture in the folder {path}"
    elif glob.has_magic(str(where)):
        matches = [Path(match) for match in glob.glob(str(where), recursive=True)]
        files, nothing = [match for match in matches if match.is_file()], f"no picture matches {where}"
    else:
        raise UserError(f"no such file or folder: {path}; check the path")
    found = sorted(file for file in files if file.suffix.lower() in suffixes and not file.name.startswith("."))
    if not found:
        raise UserError(f"{nothing} ({len(files)} other files); give files named {' '.join(suffixes)}")
    return found


def check_output(path: str | Path, quality: int = 95) -> str:
    """Refuse what :func:`write_image` would refuse whatever the picture: to be called before the work.

    Returns:
        The format that the suffix names, as Pillow calls it.

    Raises:
        UserError: an unknown suffix, a quality out of range, or a folder in the way.
    """
    path = Path(path)
    name = _FORMATS.get(path.suffix.lower())
    if name is None:
        raise UserError(f"cannot write {path}: unknown suffix {path.suffix!r}; use one of {' '.join(IMAGE_SUFFIXES)}")
    if not (isinstance(quality, int) and 1 <= quality <= 100):
        raise UserError(f"cannot write {path} with quality={quality}: give a whole number from 1 to 100")
    if os.path.isdir(path):
        raise UserError(f"cannot write {path}: a folder of that name is in the way; choose another name")
    return name


def write_image(image: Image.Image, path: str | Path, *, quality: int = 95) -> Path:
    """Write a picture file in the format that the suffix names, all of it or nothing.

    Written is the picture as :func:`to_srgb` makes it: 8-bit sRGB, upright, without EXIF, ICC profile or text. JPEG (no
    chroma subsampling) and WebP lose detail according to ``quality``, GIF keeps 256 colours, the others are exact. JPEG
    and BMP know no transparency and get the picture on white. Missing folders are made. The file appears under its name
    only when complete; what stood there before stays until then.

    Args:
        image: a picture of any mode.
        path: the file; its suffix is one of ``IMAGE_SUFFIXES``.
        quality: 1 to 100, for JPEG and WebP.

    Returns:
        The path.

    Raises:
        UserError: an unknown suffix, a quality out of range, a folder in the way, no permission, a full disk, or a
            picture larger than the format allows.
    """
    path, name = Path(path), check_output(path, quality)
    picture = to_srgb(image)
    if name in _WITHOUT_ALPHA:
        picture = on_white(picture)
    try:
        _save(picture, path, name, quality)
    except (OSError, ValueError, OverflowError, struct.error) as error:
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.strerror}; check the folder, its permissions and the disk"
        else:  # of Pillow's making: mostly a side beyond what the format can count
            reason = f"{picture.width} x {picture.height} pixels do not go into {name} ({error}); try .png"
        raise UserError(f"cannot write {path}: {reason}") from error
    return path


def _save(picture: Image.Image, path: Path, name: str, quality: int) -> None:
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality},
        "TIFF": {"compression": "tiff_lzw"},
    }
    with written_whole(path) as partial, open(partial, "xb") as file:
        picture.save(file, name, **options.get(name, {}))


def _files_below(folder: Path, recursive: bool) -> list[Path]:
    """The files of a folder and of those below, symbolic links too; each real folder once, as links can form rings."""
    files, seen = [], {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True):
        files += [Path(root, name) for name in names]
        below, folders[:] = sorted(folders) if recursive else [], []
        for name in below:
            real = os.path.realpath(os.path.join(root, name))
            if real not in seen:
                seen.add(real)
                folders.append(name)
    return files
