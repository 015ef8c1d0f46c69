"""What equals what, for both bundled models: mixes, masks, precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst import StyleCode, Stylizer

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
PHOTOGRAPH = SAMPLES / "content" / "astronaut.jpg"
STYLES = [SAMPLES / "style" / name for name in ("ukiyo_e/great_wave.jpg", "impressionism/cypress_night.jpg")]


def psnr(a: object, b: object) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures."""
    error = (np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) ** 2
    return float(-10 * np.log10(error.mean() / 255**2 + 1e-12))


@pytest.fixture(scope="module", params=["fast", "vgg19"])
def stylizer(request: pytest.FixtureRequest) -> Stylizer:
    return Stylizer.from_pretrained(request.param, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def codes(stylizer: Stylizer) -> list[StyleCode]:
    return [stylizer.encode_style(style, style_size=192) for style in STYLES]


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.open(PHOTOGRAPH).convert("RGB").resize((136, 104))


def test_all_weight_on_one_style_is_that_style(
    stylizer: Stylizer, codes: list[StyleCode], photograph: Image.Image
) -> None:
    alone = stylizer(photograph, codes[0])
    assert np.array_equal(stylizer(photograph, codes, weights=[1, 0]), alone)
    assert psnr(stylizer(photograph, codes, weights=[0, 1]), alone) < 30


def test_a_mix_is_linear_in_the_statistics(codes: list[StyleCode]) -> None:
    mixed = StyleCode.mix(codes, [3, 1])
    for found, one, other in zip(mixed.statistics, codes[0].statistics, codes[1].statistics, strict=True):
        for part, a, b in zip(found, one, other, strict=True):
            assert torch.allclose(part, 0.75 * a + 0.25 * b, rtol=1e-5, atol=1e-6)
            assert not torch.allclose(a, b, rtol=0.01)
    nested = StyleCode.mix([StyleCode.mix(codes, [1, 1]), codes[0]], [1, 1])
    for a, b in zip(nested.statistics, mixed.statistics, strict=True):
        assert torch.allclose(a.mean, b.mean, rtol=1e-5) and torch.allclose(a.std, b.std, rtol=1e-5)


def test_a_mask_of_ones_equals_no_mask(stylizer: Stylizer, codes: list[StyleCode], photograph: Image.Image) -> None:
    masked = stylizer(photograph, codes[:1], masks=[np.ones((7, 5), np.float32)])
    assert psnr(masked, stylizer(photograph, codes[0])) > 60


def test_each_half_takes_its_own_style_as_if_it_were_alone(stylizer: Stylizer, codes: list[StyleCode]) -> None:
    photograph = Image.open(PHOTOGRAPH).convert("RGB").resize((512, 160))
    left = np.zeros((160, 512), np.float32)
    left[:, :256] = 1
    both = np.asarray(stylizer(photograph, codes, masks=[left, 1 - left]))
    # Away from the border, and from where the cut-out pictures end.
    for code, start, inside in ((codes[0], 0, slice(0, 140)), (codes[1], 256, slice(372, 512))):
        alone = np.asarray(stylizer(photograph.crop((start, 0, start + 256, 160)), code))
        assert psnr(both[:, inside], alone[:, inside.start - start : inside.stop - start]) > 30


def test_bfloat16_stays_within_45_decibels_of_float32(
    stylizer: Stylizer, codes: list[StyleCode], photograph: Image.Image
) -> None:
    half = Stylizer(stylizer.network, precision="bfloat16", device="cpu")
    assert psnr(half(photograph, codes[0]), stylizer(photograph, codes[0])) > 45


@pytest.mark.slow
def test_tiles_of_384_equal_the_whole_picture_of_1024(stylizer: Stylizer, codes: list[StyleCode]) -> None:
    photograph = Image.open(SAMPLES / "content" / "coffee.jpg").convert("RGB").resize((1024, 1024))
    default = Stylizer(stylizer.network, device="cpu")
    gradient = Image.linear_gradient("L")
    masks = [gradient, gradient.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    for options in ({"style": codes[0]}, {"style": codes, "weights": [1, 2]}, {"style": codes, "masks": masks}):
        whole = default(photograph, tile="off", **options)  # type: ignore[arg-type]
        assert psnr(default(photograph, tile=384, **options), whole) > 40  # type: ignore[arg-type]
