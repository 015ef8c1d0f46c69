"""From every kind of picture that Pillow can hold to 8-bit sRGB, and a picture apart from its matte."""

from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms

# EXIF orientation -> what sets the picture upright (CIPA DC-008, tag 0x0112); 1 needs nothing.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Mode of the picture -> the nearest of L, LA, RGB, RGBA and CMYK, without and with a transparent colour in its info.
_PLAIN_MODE = {"1": "L", "La": "LA", "P": "RGBA", "PA": "RGBA", "RGBa": "RGBA"}
_PLAIN_MODE |= {mode: mode for mode in ("L", "LA", "RGB", "RGBA", "CMYK")}
_TRANSPARENT_MODE = {"1": "LA", "L": "LA", "RGB": "RGBA"}

_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_srgb(image: Image.Image) -> Image.Image:
    """Bring a picture of any mode to 8-bit sRGB, upright, without metadata.

    The EXIF orientation is applied, and the colours go through the ICC profile (relative colorimetric with black point
    compensation); without a profile, or with a broken or unfitting one, they count as sRGB already, and CMYK takes
    Pillow's plain conversion. Greys of more than 8 bits are scaled, not clipped: 16-bit 65535 is white; of 32-bit
    integers beyond 65535 the brightest is white; a float picture's white is the first of 1, 255 and 65535 that its
    brightest pixel exceeds at most twofold (else the brightest pixel itself).

    Args:
        image: a picture of any mode.

    Returns:
        A new picture, mode "RGB", or "RGBA" where at least one pixel is not opaque; its ``info`` is empty.

    Raises:
        Exception: whatever Pillow raises where the pixels of a lazily opened file cannot be decoded.
    """
    image.load()  # first: PNG keeps EXIF behind the pixels, and TIFF is set upright by Pillow while loading
    plain = _grey_to_8_bits(image) if image.mode[0] in "IF" else image.convert(_plain_mode(image))
    if plain.mode in ("LA", "RGBA"):
        colors, matte = plain.convert(plain.mode[:-1]), plain.getchannel("A")
    else:
        colors, matte = plain, None
    rgb = _through_profile(colors, image.info.get("icc_profile"))
    if matte is not None and matte.getextrema() != (255, 255):
        rgb.putalpha(matte)
    transpose = _upright(image)
    if transpose is not None:
        rgb = rgb.transpose(transpose)
    rgb.info = {}
    return rgb


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Take a picture apart into its colours and its matte.

    Args:
        image: a picture of any mode; other than "RGB" and "RGBA" go through :func:`to_srgb` first.

    Returns:
        The colours (mode "RGB", under transparent pixels too) and the matte (mode "L", 255 is opaque), or None where
        the picture has none.
    """
    if image.mode not in ("RGB", "RGBA"):
        image = to_srgb(image)
    if image.mode == "RGB":
        return image, None
    return image.convert("RGB"), image.getchannel("A")


def merge_alpha(rgb: Image.Image, matte: Image.Image | None) -> Image.Image:
    """Give a picture a matte back: the inverse of :func:`split_alpha`.

    Args:
        rgb: the colours, mode "RGB".
        matte: mode "L" of any size (resized to the picture's), or None.

    Returns:
        A new picture of mode "RGBA", or ``rgb`` itself where there is no matte.
    """
    if matte is None:
        return rgb
    if matte.size != rgb.size:  # not Lanczos, whose ringing would leave a ghost of what was fully transparent
        matte = matte.resize(rgb.size, Image.Resampling.BILINEAR)
    merged = rgb.copy()
    merged.putalpha(matte)
    return merged


def spread_colors(image: Image.Image) -> Image.Image:
    """The colours of a picture, those of the visible places nearby under transparent ones: what lies hidden there is nobody's
    business, and a border between the two would be painted.

    Coarser and coarser pictures, the means of what is visible, fill what the finer ones leave.

    Args:
        image: mode "RGBA".

    Returns:
        Mode "RGB"; what is visible, if only a little, is unchanged.
    """
    rgb, matte = image.convert("RGB"), image.getchannel("A")
    if matte.getextrema()[0] or max(image.size) == 1:
        return rgb
    visible = rgb.copy()
    visible.putalpha(matte.point(lambda value: 255 if value else 0))  # of faint colours 8 bits would not keep the hue
    coarse = spread_colors(visible.reduce(2))  # Pillow's means are of what is visible
    rgb.paste(coarse.resize(image.size, Image.Resampling.BILINEAR), mask=matte.point(lambda value: 0 if value else 255))
    return rgb


def on_white(image: Image.Image) -> Image.Image:
    """Lay a picture on white paper: (W, H) "RGB" or "RGBA" in, the same size "RGB" out."""
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _plain_mode(image: Image.Image) -> str:
    if "transparency" in image.info and image.mode in _TRANSPARENT_MODE:
        return _TRANSPARENT_MODE[image.mode]
    return _PLAIN_MODE.get(image.mode, "RGB")


def _grey_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale the modes "I;16" (and its kin), "I" and "F" to "L", or "LA" with a transparent grey: Pillow would clip."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    if image.mode == "F":
        white = next((white for white in (1.0, 255.0, 65535.0) if brightest <= 2 * white), brightest)
    else:
        white = max(brightest, 65535.0)
    grey = Image.fromarray(np.rint(values.clip(0, white) * (255 / white)).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _through_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring "L", "RGB" or "CMYK" to sRGB through an ICC profile if it is sound and fits; plainly otherwise."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space.strip()
            fitting = image.convert("RGB") if image.mode == "L" and space == "RGB" else image
            if _PROFILE_SPACE[fitting.mode] == space:
                converted = ImageCms.profileToProfile(
                    fitting,
                    source,
                    ImageCms.createProfile("sRGB"),
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC,
                )
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile says nothing about the colours: they count as sRGB, as without one
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - on a broken block Pillow's parser raises nearly anything; the pixels are good
        return None
