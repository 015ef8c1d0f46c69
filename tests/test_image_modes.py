"""Colours of every mode and profile arrive in sRGB, checked against the arithmetic of the standards."""

from __future__ import annotations

import colorsys
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from nst.images import merge_alpha, split_alpha, spread_colors, to_srgb

RNG = np.random.default_rng(2)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
ALPHA = (np.arange(54).reshape(6, 9) * 4).astype(np.uint8)
GREY = np.linspace(0, 255, 54).reshape(6, 9).astype(np.uint8)

# Primaries as columns of XYZ, adapted to D50 (Bruce Lindbloom, "RGB/XYZ Matrices").
SRGB_D50 = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
ADOBE_D50 = [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197], [0.0194811, 0.0608902, 0.7448387]]
WHITE_D50 = (0.9642, 1.0, 0.8249)


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def icc_profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2.4 (specification ICC.1:2001-04): header, tag table, tags."""
    table, content = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4sI4s4s4s12s4s", 132 + 12 * len(tags) + len(content), bytes(4), 0x02400000, kind, space,
                         connection, struct.pack(">6H", 2020, 1, 1, 0, 0, 0), b"acsp")  # fmt: skip
    return (header + bytes(28) + fixed(*WHITE_D50)).ljust(128, b"\0") + table + content


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + fixed(*values)


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def rgb_profile() -> bytes:
    """The primaries of Adobe RGB (1998) with a gamma of 1.5."""
    tags = {b"wtpt": xyz(WHITE_D50)}
    for channel, column in zip("rgb", np.transpose(ADOBE_D50), strict=True):
        tags[f"{channel}XYZ".encode()] = xyz(tuple(column))
        tags[f"{channel}TRC".encode()] = gamma(1.5)
    return icc_profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile() -> bytes:
    return icc_profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": xyz(WHITE_D50), b"kTRC": gamma(1.8)})


def cmyk_profile() -> bytes:
    """A press whose cyan and magenta print as greys and whose yellow is invisible: L* = 100 (1 - c/4 - m/2)(1 - k)."""
    c, m, _, k = np.mgrid[0:2, 0:2, 0:2, 0:2]
    lightness = np.rint(255 * (1 - c / 4 - m / 2) * (1 - k)).astype(np.uint8)
    grid = np.stack([lightness, np.full_like(lightness, 128), np.full_like(lightness, 128)], axis=-1)
    ramp = bytes(range(256))
    matrix = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid.tobytes() + ramp * 3
    return icc_profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": xyz(WHITE_D50), b"A2B0": table})


def srgb_levels(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: linear light in [0, 1] to levels in [0, 255]."""
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(float)


def test_an_rgb_profile_is_applied() -> None:
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = rgb_profile()
    light = (RGB / 255.0) ** 1.5
    expected = srgb_levels(light @ np.transpose(ADOBE_D50) @ np.linalg.inv(np.transpose(SRGB_D50)))
    assert np.abs(levels(to_srgb(image)) - expected).max() <= 2
    assert np.abs(expected - RGB).max() > 40  # so that a profile ignored would be seen


def test_transparency_goes_around_the_profile() -> None:
    image = Image.fromarray(np.dstack([RGB, ALPHA]))
    image.info["icc_profile"] = rgb_profile()
    opaque = Image.fromarray(RGB)
    opaque.info["icc_profile"] = rgb_profile()
    converted = to_srgb(image)
    assert np.array_equal(np.asarray(converted)[..., :3], np.asarray(to_srgb(opaque)))
    assert np.array_equal(np.asarray(converted)[..., 3], ALPHA)


def test_a_grey_profile_is_applied_to_8_and_16_bits() -> None:
    assert np.abs(srgb_levels((GREY / 255.0) ** 1.8) - GREY).max() > 15  # ignoring it would be seen
    for image in (Image.fromarray(GREY), Image.fromarray(GREY.astype(np.uint16) * 257)):
        image.info["icc_profile"] = grey_profile()
        expected = np.repeat(srgb_levels((GREY / 255.0) ** 1.8)[..., None], 3, axis=2)
        assert np.abs(levels(to_srgb(image)) - expected).max() <= 2


def test_a_grey_picture_may_carry_an_rgb_profile() -> None:
    image = Image.fromarray(GREY)
    image.info["icc_profile"] = rgb_profile()
    expected = srgb_levels((GREY / 255.0) ** 1.5)  # neutral stays neutral: only the curves differ
    assert np.abs(levels(to_srgb(image)) - expected[..., None]).max() <= 2


def test_a_cmyk_profile_is_applied() -> None:
    ink = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [255, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255]]])
    image = Image.fromarray(ink.astype(np.uint8), "CMYK")
    image.info["icc_profile"] = cmyk_profile()
    lightness = np.array([100, 75, 50, 25, 100, 0])
    luminance = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)  # CIE 1976 L*
    expected = np.repeat(srgb_levels(luminance)[None, :, None], 3, axis=2)
    assert np.abs(levels(to_srgb(image)) - expected).max() <= 3


def test_the_srgb_profile_changes_nothing() -> None:
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(np.asarray(to_srgb(image)), RGB)


@pytest.mark.parametrize("profile", [b"garbage", rgb_profile()[:200], grey_profile(), cmyk_profile(), b"", "text", 7])
def test_a_broken_or_unfitting_profile_counts_as_srgb(profile: object) -> None:
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = profile
    assert np.array_equal(np.asarray(to_srgb(image)), RGB)


def test_ycbcr_is_converted() -> None:
    y, cb, cr = RGB[..., 0].astype(float), RGB[..., 1] - 128.0, RGB[..., 2] - 128.0
    # ITU-R BT.601 at full range, as the JFIF standard has it.
    expected = np.dstack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]).clip(0, 255)
    assert np.abs(levels(to_srgb(Image.fromarray(RGB, "YCbCr"))) - expected).max() <= 1.5


def test_hsv_is_converted() -> None:
    expected = [[[255 * v for v in colorsys.hsv_to_rgb(*(pixel / 255.0))] for pixel in row] for row in RGB]
    assert np.abs(levels(to_srgb(Image.fromarray(RGB, "HSV"))) - np.array(expected)).max() <= 3


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_colours_are_divided_again(mode: str) -> None:
    colors, alpha = (200, 90, 30), 128
    straight = Image.new("RGBA", (3, 2), (*colors, alpha))
    if mode == "La":
        straight = Image.new("LA", (3, 2), (colors[0], alpha))
    pixel = np.asarray(to_srgb(straight.convert(mode)))[0, 0].astype(int)
    expected = (200, 200, 200, 128) if mode == "La" else (*colors, alpha)
    assert np.abs(pixel - expected).max() <= 1


def test_other_modes_of_pillow_are_converted() -> None:
    palette = Image.fromarray(GREY).convert("P")
    with_matte = Image.merge("PA", [palette, Image.fromarray(ALPHA)])
    assert to_srgb(Image.fromarray(RGB).convert("RGBX")).tobytes() == Image.fromarray(RGB).tobytes()
    assert np.array_equal(np.asarray(to_srgb(with_matte))[..., 3], ALPHA)


@pytest.mark.parametrize(
    ("values", "white"),
    [
        ([0, 257, 32896, 65535], 65535),
        ([0, 100, 1000, 1200], 65535),  # a dark 16-bit picture stays dark
        ([0, 500_000, 1_100_000, 2_000_000], 2_000_000),
        ([-300, 0, 65535, 10], 65535),
    ],
)
def test_integers_are_scaled_and_not_clipped(values: list[int], white: int) -> None:
    expected = np.rint(np.clip(values, 0, None) * 255 / white)
    image = Image.fromarray(np.array([values], np.int32))
    assert image.mode == "I"
    assert np.asarray(to_srgb(image))[0, :, 1].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "white"),
    [
        ([0.0, 0.25, 1.0], 1),
        ([-0.04, 0.5, 1.03], 1),  # the overshoot of resampling is no reason to darken
        ([0.0, 100.0, 255.0], 255),
        ([0.0, 100.0, 60000.0], 65535),
        ([0.0, 1e6, 4e6], 4e6),
        ([0.0, float("nan"), 1.0], 1),
    ],
)
def test_floats_are_scaled_by_their_likely_white(values: list[float], white: float) -> None:
    expected = np.rint(np.clip(np.nan_to_num(values), 0, white) * 255 / white)
    image = Image.fromarray(np.array([values], np.float32))
    assert np.asarray(to_srgb(image))[0, :, 1].tolist() == expected.tolist()


def test_the_picture_given_is_left_as_it_was() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.fromarray(np.dstack([RGB, ALPHA]))
    image.info.update(exif=exif.tobytes(), icc_profile=rgb_profile())
    before = image.tobytes(), dict(image.info), image.size
    assert to_srgb(image).size == image.size[::-1]
    assert (image.tobytes(), dict(image.info), image.size) == before


def test_splitting_and_merging_alpha_are_inverse() -> None:
    rgba = np.dstack([RGB, ALPHA])
    colors, matte = split_alpha(Image.fromarray(rgba))
    assert colors.mode == "RGB"
    assert matte is not None
    assert np.array_equal(np.asarray(colors), RGB)  # under transparent pixels too
    assert np.array_equal(np.asarray(matte), ALPHA)
    assert np.array_equal(np.asarray(merge_alpha(colors, matte)), rgba)
    assert colors.mode == "RGB"


def test_an_opaque_picture_has_no_matte() -> None:
    image = Image.fromarray(RGB)
    assert split_alpha(image) == (image, None)
    assert merge_alpha(image, None) is image
    grey, matte = split_alpha(Image.fromarray(GREY))
    assert (grey.mode, matte) == ("RGB", None)


def test_a_matte_of_another_size_is_resized() -> None:
    matte = Image.new("L", (4, 2), 0)
    matte.paste(255, (2, 0, 4, 2))
    merged = np.asarray(merge_alpha(Image.new("RGB", (40, 30)), matte))
    assert merged.shape == (30, 40, 4)
    assert merged[:, :15, 3].max() == 0  # no ghost beyond the soft edge
    assert merged[:, 25:, 3].min() == 255


def test_colours_are_spread_under_what_is_transparent() -> None:
    """From the nearest visible places, smoothly; what is visible stays, and no hidden colour is left."""
    picture = Image.new("RGBA", (37, 21), (0, 255, 0, 0))
    picture.paste((200, 0, 0, 255), (0, 0, 6, 21))
    picture.paste((0, 0, 200, 90), (31, 0, 37, 21))
    spread = np.asarray(spread_colors(picture)).astype(int)
    assert (spread[:, :6] == (200, 0, 0)).all() and (spread[:, 31:] == (0, 0, 200)).all()
    assert (spread[:, 6:31, 1] <= 2).all()
    assert (spread[:, 7, 0] > 150).all() and (spread[:, 29, 2] > 150).all()
    assert (np.abs(np.diff(spread[10], axis=0)) < 60).all()
