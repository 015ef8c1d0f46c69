"""Picture files of every kind that people have, made in memory, with the pixels that they hold."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
GREY = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = (np.arange(35).reshape(5, 7) * 7).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
BITS = RNG.integers(0, 2, (5, 7)).astype(bool)
DEEP = np.linspace(0, 65535, 35).reshape(5, 7).astype(np.uint16)
INDICES = (np.arange(35) % 4).reshape(5, 7).astype(np.uint8)
PALETTE = np.array([[255, 0, 0], [0, 200, 0], [0, 0, 150], [90, 80, 70]], dtype=np.uint8)


def gray(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def smooth(height: int, width: int) -> np.ndarray:
    """A soft picture that survives lossy formats: (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([40 + 150 * x / width, 40 + 150 * y / height, np.full((height, width), 120)]).astype(np.uint8)


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def paletted(**info: object) -> Image.Image:
    image = Image.fromarray(INDICES)
    image.putpalette(PALETTE.tobytes())
    image.info.update(info)
    return image


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def deep_png(color_type: int, pixels: np.ndarray, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads but does not write."""
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def deep_tiff(pixels: np.ndarray) -> bytes:
    """An uncompressed little-endian RGB TIFF of 16 bits a channel: header, one directory, the three depths, pixels."""
    height, width = pixels.shape[:2]
    tags = [(256, width), (257, height), (258, None), (259, 1), (262, 2), (273, None), (277, 3), (278, height)]
    depths_at = 8 + 2 + 12 * (len(tags) + 1) + 4
    values = {258: depths_at, 273: depths_at + 6}
    entries = [struct.pack("<HHII", tag, 3, 3 if tag == 258 else 1, values.get(tag, value)) for tag, value in tags]
    entries.append(struct.pack("<HHII", 279, 4, 1, pixels.size * 2))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    return b"II*\0\x08\0\0\0" + directory + struct.pack("<HHH", 16, 16, 16) + pixels.astype("<u2").tobytes()


DEEP_RGB = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
NEUTRAL = Image.new("L", (3, 1), 128)  # a chroma of nought in 8-bit LAB
INK = np.dstack([255 - RGB, np.zeros((5, 7), np.uint8)])
DARK_INK = np.dstack([255 - RGB, GREY])
SMOOTH = smooth(40, 56)
WITH_HOLE = np.where(INDICES == 2, 0, 255).astype(np.uint8)
ALPHAS = np.array([255, 128, 0, 7], dtype=np.uint8)

# name: (bytes of the file, expected pixels, greatest difference)
Case = tuple[Callable[[], bytes], np.ndarray, int]
CORPUS: dict[str, Case] = {
    "PNG 1": (lambda: encoded(Image.fromarray(BITS), "PNG"), gray(BITS * 255), 0),
    "PNG L": (lambda: encoded(Image.fromarray(GREY), "PNG"), gray(GREY), 0),
    "PNG L transparent": (
        lambda: encoded(Image.fromarray(GREY), "PNG", transparency=14),
        np.dstack([gray(GREY), np.where(GREY == 14, 0, 255)]),
        0,
    ),
    "PNG LA": (
        lambda: encoded(Image.fromarray(np.dstack([GREY, ALPHA])), "PNG"),
        np.dstack([gray(GREY), ALPHA]),
        0,
    ),
    "PNG I;16": (lambda: encoded(Image.fromarray(DEEP), "PNG"), gray(np.rint(DEEP / 257)), 0),
    "PNG I;16 transparent": (
        lambda: deep_png(0, DEEP, (b"tRNS", struct.pack(">H", DEEP[2, 3]))),
        np.dstack([gray(np.rint(DEEP / 257)), np.where(DEEP[2, 3] == DEEP, 0, 255)]),
        0,
    ),
    "PNG RGB of 16 bits": (lambda: deep_png(2, DEEP_RGB), np.rint(DEEP_RGB / 257), 1),
    "PNG LA of 16 bits": (
        lambda: deep_png(4, np.dstack([DEEP, DEEP[::-1]])),
        np.dstack([gray(np.rint(DEEP / 257)), np.rint(DEEP[::-1] / 257)]),
        1,
    ),
    "PNG P": (lambda: encoded(paletted(), "PNG"), PALETTE[INDICES], 0),
    "PNG P with one transparent colour": (
        lambda: encoded(paletted(transparency=2), "PNG"),
        np.dstack([PALETTE[INDICES], WITH_HOLE]),
        0,
    ),
    "PNG P with alphas": (
        lambda: encoded(paletted(transparency=ALPHAS.tobytes()), "PNG"),
        np.dstack([PALETTE[INDICES], ALPHAS[INDICES]]),
        0,
    ),
    "PNG RGB": (lambda: encoded(Image.fromarray(RGB), "PNG"), RGB, 0),
    "PNG RGB transparent": (
        lambda: encoded(Image.fromarray(RGB), "PNG", transparency=tuple(int(v) for v in RGB[1, 2])),
        np.dstack([RGB, np.where((RGB[1, 2] == RGB).all(axis=2), 0, 255)]),
        0,
    ),
    "PNG RGBA": (lambda: encoded(Image.fromarray(RGBA), "PNG"), RGBA, 0),
    "PNG RGBA opaque": (lambda: encoded(Image.fromarray(RGB).convert("RGBA"), "PNG"), RGB, 0),
    "PNG broken EXIF": (lambda: encoded(Image.fromarray(RGB), "PNG", exif=b"Exif\0\0MM\0*broken"), RGB, 0),
    "PNG broken profile": (lambda: encoded(Image.fromarray(RGB), "PNG", icc_profile=b"no profile"), RGB, 0),
    "TIFF 1": (lambda: encoded(Image.fromarray(BITS), "TIFF"), gray(BITS * 255), 0),
    "TIFF 1 group4": (
        lambda: encoded(Image.fromarray(BITS), "TIFF", compression="group4"),
        gray(BITS * 255),
        0,
    ),
    "TIFF L": (lambda: encoded(Image.fromarray(GREY), "TIFF"), gray(GREY), 0),
    "TIFF LA": (
        lambda: encoded(Image.fromarray(np.dstack([GREY, ALPHA])), "TIFF"),
        np.dstack([gray(GREY), ALPHA]),
        0,
    ),
    "TIFF I;16": (lambda: encoded(Image.fromarray(DEEP), "TIFF"), gray(np.rint(DEEP / 257)), 0),
    "TIFF RGB of 16 bits": (lambda: deep_tiff(DEEP_RGB), np.rint(DEEP_RGB / 257), 1),
    "TIFF I;16B": (lambda: encoded(Image.fromarray(DEEP.astype(">u2")), "TIFF"), gray(np.rint(DEEP / 257)), 0),
    "TIFF I": (
        lambda: encoded(Image.fromarray(DEEP.astype(np.int32) * 32768), "TIFF"),
        gray(np.rint(DEEP / 257)),
        1,
    ),
    "TIFF F of 1": (
        lambda: encoded(Image.fromarray((DEEP / 65535).astype(np.float32)), "TIFF"),
        gray(np.rint(DEEP / 257)),
        1,
    ),
    "TIFF F of 255": (lambda: encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), gray(GREY), 0),
    "TIFF P": (lambda: encoded(paletted(), "TIFF"), PALETTE[INDICES], 0),
    "TIFF RGB lzw": (lambda: encoded(Image.fromarray(RGB), "TIFF", compression="tiff_lzw"), RGB, 0),
    "TIFF RGBA": (lambda: encoded(Image.fromarray(RGBA), "TIFF"), RGBA, 0),
    "TIFF CMYK": (lambda: encoded(Image.fromarray(INK, "CMYK"), "TIFF"), RGB, 0),
    "TIFF CMYK with black": (
        lambda: encoded(Image.fromarray(DARK_INK, "CMYK"), "TIFF"),
        RGB * ((255 - GREY) / 255)[..., None],
        1,
    ),
    "TIFF LAB grey": (
        # CIE L* 0, 50 and 100 are sRGB 0, 119 and 255; both chromas are nought.
        lambda: encoded(
            Image.merge("LAB", [Image.fromarray(np.array([[0, 127, 255]], np.uint8))] + [NEUTRAL] * 2), "TIFF"
        ),
        gray(np.array([[0, 119, 255]])),
        2,
    ),
    "BMP 1": (lambda: encoded(Image.fromarray(BITS), "BMP"), gray(BITS * 255), 0),
    "BMP L": (lambda: encoded(Image.fromarray(GREY), "BMP"), gray(GREY), 0),
    "BMP P": (lambda: encoded(paletted(), "BMP"), PALETTE[INDICES], 0),
    "BMP RGB": (lambda: encoded(Image.fromarray(RGB), "BMP"), RGB, 0),
    "GIF 1": (lambda: encoded(Image.fromarray(BITS), "GIF"), gray(BITS * 255), 0),
    "GIF L": (lambda: encoded(Image.fromarray(GREY), "GIF"), gray(GREY), 0),
    "GIF P": (lambda: encoded(paletted(), "GIF"), PALETTE[INDICES], 0),
    "GIF P transparent": (
        lambda: encoded(paletted(transparency=2), "GIF"),
        np.dstack([PALETTE[INDICES], WITH_HOLE]),
        0,
    ),
    "WebP RGB": (lambda: encoded(Image.fromarray(RGB), "WEBP", lossless=True), RGB, 0),
    "WebP RGBA": (lambda: encoded(Image.fromarray(RGBA), "WEBP", lossless=True, exact=True), RGBA, 0),
    "WebP L": (lambda: encoded(Image.fromarray(GREY), "WEBP", lossless=True), gray(GREY), 0),
    "JPEG L": (lambda: encoded(Image.fromarray(SMOOTH[..., 0]), "JPEG"), gray(SMOOTH[..., 0]), 4),
    "JPEG RGB": (lambda: encoded(Image.fromarray(SMOOTH), "JPEG"), SMOOTH, 8),
    "JPEG progressive": (lambda: encoded(Image.fromarray(SMOOTH), "JPEG", progressive=True), SMOOTH, 8),
    "JPEG CMYK, inverted as Adobe's": (
        lambda: encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95),
        SMOOTH,
        8,
    ),
    "MPO, a JPEG with a second view": (
        lambda: encoded(Image.fromarray(SMOOTH), "MPO", save_all=True, append_images=[Image.fromarray(255 - SMOOTH)]),
        SMOOTH,
        8,
    ),
    "1 pixel": (lambda: encoded(Image.fromarray(RGB[:1, :1]), "PNG"), RGB[:1, :1], 0),
    "1 pixel high": (lambda: encoded(Image.fromarray(RGB[:1]), "PNG"), RGB[:1], 0),
    "3 x 5000": (lambda: encoded(Image.fromarray(smooth(5000, 3)), "PNG"), smooth(5000, 3), 0),
}


UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: a[::-1, ::-1],
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}
