"""Stylizer: kinds of input, and control; what equals what is in test_control.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst import StyleCode, Stylizer, UserError

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
PHOTOGRAPH = SAMPLES / "content" / "astronaut.jpg"
WAVE = SAMPLES / "style" / "ukiyo_e" / "great_wave.jpg"
NIGHT = SAMPLES / "style" / "impressionism" / "cypress_night.jpg"


def psnr(a: object, b: object) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures."""
    error = (np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) ** 2
    return float(-10 * np.log10(error.mean() / 255**2 + 1e-12))


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer.from_pretrained("vgg19", precision="float32", device="cpu")


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.open(PHOTOGRAPH).convert("RGB").resize((150, 110))


@pytest.fixture(scope="module")
def wave(stylizer: Stylizer) -> StyleCode:
    return stylizer.encode_style(WAVE, style_size=256)


@pytest.fixture(scope="module")
def night(stylizer: Stylizer) -> StyleCode:
    return stylizer.encode_style(NIGHT, style_size=256)


def test_every_kind_of_input_gives_the_same_picture_as_the_same_kind(
    stylizer: Stylizer, photograph: Image.Image, wave: StyleCode, tmp_path: Path
) -> None:
    photograph.save(tmp_path / "photograph.png")
    array = np.asarray(photograph)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255
    from_pil = stylizer(photograph, wave)
    assert isinstance(from_pil, Image.Image) and from_pil.size == photograph.size

    assert np.array_equal(stylizer(tmp_path / "photograph.png", wave), from_pil)
    from_array = stylizer(array, wave)
    assert from_array.dtype == np.uint8 and np.array_equal(from_array, from_pil)
    from_floats = stylizer(array.astype(np.float32) / 255, wave)
    assert from_floats.dtype == np.float32 and psnr(from_floats * 255, from_pil) > 55
    from_tensor = stylizer(torch.cat([tensor, tensor]), wave)
    assert from_tensor.shape == (2, 3, 110, 150) and from_tensor.dtype == torch.float32
    assert psnr(from_tensor[1].permute(1, 2, 0) * 255, from_pil) > 55


def test_an_encoded_style_does_what_its_picture_does(
    stylizer: Stylizer, photograph: Image.Image, tmp_path: Path
) -> None:
    code = stylizer.encode_style(WAVE)
    file = code.save(tmp_path / "wave.style.safetensors")
    expected = stylizer(photograph, WAVE)
    for style in (code, file, str(file), Image.open(WAVE)):
        assert np.array_equal(stylizer(photograph, style), expected)


def test_alpha_zero_reconstructs_the_content(stylizer: Stylizer, wave: StyleCode) -> None:
    for path in sorted((SAMPLES / "content").glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((320, 320))
        assert psnr(stylizer(picture, wave, alpha=0.0), picture) > 20


def test_more_alpha_moves_further_from_the_content(
    stylizer: Stylizer, photograph: Image.Image, night: StyleCode
) -> None:
    distances = [-psnr(stylizer(photograph, night, alpha=alpha), photograph) for alpha in (0.0, 0.5, 1.0)]
    assert distances == sorted(distances)
    assert np.array_equal(stylizer(photograph, night, alpha=[0.5] * 4), stylizer(photograph, night, alpha=0.5))


def test_a_picture_in_its_own_manner_stays_nearly_the_same(stylizer: Stylizer) -> None:
    photograph = Image.open(PHOTOGRAPH).convert("RGB").resize((320, 320))
    assert psnr(stylizer(photograph, photograph), photograph) > 20


def test_no_style_where_no_mask_is(stylizer: Stylizer, photograph: Image.Image, night: StyleCode) -> None:
    zeros = Image.new("L", photograph.size, 0)
    masked = stylizer(photograph, [night], masks=[zeros])
    assert psnr(masked, stylizer(photograph, night, alpha=0.0)) > 60


@pytest.mark.parametrize("size", [(150, 110), (33, 47), (16, 16), (5, 200), (2, 3)])
def test_the_result_has_the_content_s_size(stylizer: Stylizer, wave: StyleCode, size: tuple[int, int]) -> None:
    noise = Image.effect_noise(size, 80).convert("RGB")
    assert stylizer(noise, wave).size == size


def test_size_and_max_size_set_the_result_s_sides(stylizer: Stylizer, photograph: Image.Image, wave: StyleCode) -> None:
    assert stylizer(photograph, wave, size=55).size == (75, 55)
    assert stylizer(photograph, wave, max_size=75).size == (75, 55)
    assert stylizer(photograph, wave, max_size=1000).size == photograph.size


def test_transparency_is_put_back(stylizer: Stylizer, photograph: Image.Image, wave: StyleCode) -> None:
    matte = Image.linear_gradient("L").resize(photograph.size)
    cut_out = photograph.copy()
    cut_out.putalpha(matte)
    result = stylizer(cut_out, wave)
    assert result.mode == "RGBA" and np.array_equal(result.getchannel("A"), matte)


def test_what_is_hidden_under_transparent_pixels_changes_nothing(stylizer: Stylizer, photograph: Image.Image) -> None:
    """Neither of a content nor of a style, as a picture or as an array of bytes or floats."""
    visible = np.zeros((*photograph.size[::-1], 1), dtype=bool)
    visible[20:-20, 30:-30] = True
    pixels = np.asarray(photograph)
    black, bright = (
        np.concatenate([np.where(visible, pixels, hidden), visible * 255], axis=2).astype(np.uint8)
        for hidden in (0, [255, 0, 200])
    )
    for kind in (Image.fromarray, np.asarray, lambda array: array.astype(np.float32) / 255):
        for options in ({}, {"size": 40, "preserve_color": "histogram"}):
            results = [np.asarray(stylizer(kind(one), photograph, **options)) for one in (black, bright)]
            assert results[0].shape[2] == 4 and np.array_equal(*results)
        results = [np.asarray(stylizer(photograph, kind(one))) for one in (black, bright)]
        assert np.array_equal(*results)


def test_luminance_keeps_the_photograph_s_chroma(stylizer: Stylizer, photograph: Image.Image, night: StyleCode) -> None:
    kept = np.asarray(stylizer(photograph, night, alpha=0.5, preserve_color="luminance"), float)
    chroma = np.array([[0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    inside = (kept > 1).all(-1) & (kept < 254).all(-1)  # where nothing was clipped
    assert inside.mean() > 0.3
    difference = (kept - np.asarray(photograph, float))[inside] @ chroma.T
    assert np.abs(difference).max() < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 2}, "alpha must lie between 0"),
        ({"alpha": [1, 1]}, "alpha needs one value or 4"),
        ({"preserve_color": "purple"}, "unknown preserve_color"),
        ({"size": 0}, "size must be at least"),
        ({"tile": 3}, "tile must be"),
        ({"masks": []}, "masks need one a style"),
        ({"weights": [1, 2]}, "one weight a style"),
        ({"preserve_color": "histogram"}, "give a picture"),
        ({"content": np.zeros((4, 4, 7), np.uint8)}, "array"),
        ({"content": torch.full((1, 3, 20, 20), 255.0)}, "divide 8-bit values by 255"),
        ({"content": torch.full((1, 3, 20, 20), float("nan"))}, "must be in"),
        ({"content": torch.zeros(3, 20, 20)}, "must be"),
        ({"content": Image.new("RGB", (1, 1))}, "1×1"),
        ({"style": Image.new("RGB", (9, 40))}, "9×40"),
        ({"style": Image.new("RGB", (90, 40)), "style_size": 0}, "style_size must be at least 16"),
        ({"alpha": "half"}, "alpha must be a number"),
        ({"alpha": None}, "alpha must be a number"),
        ({"alpha": ["a", "b", "c", "d"]}, "alpha must be a number"),
        ({"weights": ["a"]}, "a list of numbers"),
        ({"weights": 0.5}, "a list of numbers"),
        ({"content": torch.zeros(0, 3, 20, 20)}, "must be"),
        ({"content": torch.zeros(2, 3, 20, 20), "alpha": torch.ones(3)}, "takes 1 or 2 alphas: found 3"),
        ({"content": torch.zeros(2, 3, 20, 20), "style": torch.zeros(3, 3, 20, 20)}, "takes 1 or 2 styles: found 3"),
        ({"content": torch.zeros(2, 3, 20, 20), "preserve_color": "histogram"}, "the colours of one content"),
        ({"masks": [torch.zeros(2, 1, 20, 20)]}, "a mask tensor must be"),
    ],
)
def test_a_mistake_is_named(
    stylizer: Stylizer, photograph: Image.Image, wave: StyleCode, options: dict[str, object], message: str
) -> None:
    arguments = {"content": photograph, "style": wave} | options
    with pytest.raises(UserError, match=message):
        stylizer(**arguments)  # type: ignore[arg-type]


def test_limits_of_picture_files_hold_for_masks_too(
    stylizer: Stylizer, photograph: Image.Image, wave: StyleCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, animated = tmp_path / "large.png", tmp_path / "animated.gif"
    Image.linear_gradient("L").save(large)
    frames = [Image.new("L", (30, 20), level) for level in (255, 0)]
    frames[0].save(animated, save_all=True, append_images=frames[1:])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    style = Image.effect_noise((40, 30), 90).convert("RGB")
    for options in ({"masks": [large]}, {"mask": [large, large]}):
        with pytest.raises(UserError, match="set max_pixels"):
            stylizer(photograph, style, **options)
        stylizer(photograph, style, max_pixels=10**5, **options)
    with pytest.raises(UserError, match="first_frame"):
        stylizer(photograph, wave, masks=[animated])
    whole = stylizer(photograph, wave, masks=[animated], first_frame=True)
    assert psnr(whole, stylizer(photograph, wave)) > 60


@pytest.mark.parametrize("name", ["vgg19", "fast"])
def test_batches_of_alphas_styles_and_masks_go_together(name: str) -> None:
    stylizer = Stylizer.from_pretrained(name, precision="float32", device="cpu")
    contents, styles = torch.rand(2, 2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    left = torch.zeros(1, 1, 48, 64)
    left[..., :32] = 1
    alpha = torch.tensor([0.2, 0.9], dtype=torch.float64)
    given = [
        ([styles], [left], alpha),
        ([styles, styles[:1]], [left, 1 - left], 1.0),
        ([styles[:1], styles], [left, 1 - left], alpha),
    ]
    for codes, masks, degree in given:
        together = stylizer(contents, codes, degree, masks=masks)
        for index in range(2):
            own = [code[index : index + 1] if len(code) == 2 else code for code in codes]
            alone = stylizer(
                contents[index : index + 1],
                own,
                degree if isinstance(degree, float) else float(degree[index]),
                masks=masks,
            )
            assert torch.allclose(together[index : index + 1], alone, atol=1e-4)
    with pytest.raises(UserError, match="takes 1 or 1 styles"):
        stylizer(contents[:1], styles, preserve_color="histogram")


def test_a_batch_has_an_alpha_and_a_style_for_each(stylizer: Stylizer) -> None:
    content, styles = torch.rand(2, 2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    together = stylizer(content, styles, torch.tensor([0.25, 1.0]))
    for index, alpha in enumerate((np.float32(0.25), 1)):
        alone = stylizer(content[index : index + 1], styles[index : index + 1], alpha)
        assert (together[index] - alone[0]).abs().max() < 2e-2  # bfloat16, where the processor computes in it


def test_a_style_code_of_another_encoder_is_refused(
    stylizer: Stylizer, photograph: Image.Image, wave: StyleCode
) -> None:
    foreign = StyleCode(wave.layers, wave.statistics, "vgg19-random-raw")
    with pytest.raises(UserError, match="vgg19-random-raw"):
        stylizer(photograph, foreign)


def test_an_unknown_precision_is_refused(stylizer: Stylizer) -> None:
    with pytest.raises(UserError, match="unknown precision"):
        Stylizer(stylizer.network, precision="float8")


def test_arrays_come_back_as_they_were_given(stylizer: Stylizer, photograph: Image.Image, wave: StyleCode) -> None:
    array = np.asarray(photograph)
    opaque = np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])
    painted = stylizer(opaque, wave)
    assert painted.shape == opaque.shape and (painted[..., 3] == 255).all()
    painted[0] = 0  # somebody's own array, to be written into
    floats = stylizer(array.astype(np.float32) / 255, wave)
    assert floats.dtype == np.float32 and not np.array_equal(np.rint(floats * 255), floats * 255)  # no 8-bit steps
    half = stylizer(opaque.astype(np.float16) / 255, wave, size=60)
    assert half.dtype == np.float16 and half.shape == (60, 82, 4) and (half[..., 3] == 1).all()


def test_a_painted_tensor_can_go_on_into_a_training(
    stylizer: Stylizer, photograph: Image.Image, wave: StyleCode
) -> None:
    batch = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].float() / 255
    painted = stylizer(batch, wave)
    assert painted.view(1, -1).shape[1] == batch.numel()
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (painted * weight).mean().backward()
    assert weight.grad is not None and torch.allclose(weight.grad.sum(), painted.mean(), atol=1e-5)
    painted.mul_(2)


def test_a_boolean_mask_and_a_mask_with_a_matte_are_taken_as_they_look(
    stylizer: Stylizer, photograph: Image.Image, wave: StyleCode, night: StyleCode
) -> None:
    left = np.zeros((110, 150), bool)
    left[:, :75] = True
    matte = Image.new("RGBA", (150, 110), (255, 255, 255, 0))  # white everywhere, opaque on the left alone
    matte.paste((255, 255, 255, 255), (0, 0, 75, 110))
    expected = stylizer(photograph, [wave, night], masks=[left.astype(np.float32), 1 - left.astype(np.float32)])
    for mask in (left, torch.from_numpy(left), matte):
        assert psnr(stylizer(photograph, [wave, night], masks=[mask, ~left]), expected) > 60


def test_one_mask_needs_no_list(stylizer: Stylizer, photograph: Image.Image, wave: StyleCode, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 255).save(tmp_path / "mask.png")
    whole = stylizer(photograph, wave, masks=str(tmp_path / "mask.png"))
    assert psnr(whole, stylizer(photograph, wave)) > 60


def test_files_over_the_guard_and_animations_are_read_where_one_says_so(
    stylizer: Stylizer, photograph: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Image.open(NIGHT).convert("RGB").resize((64, 64))
    night.save(tmp_path / "style.gif", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    photograph.save(tmp_path / "photograph.png")
    with pytest.raises(UserError, match="first_frame=True"):
        stylizer(tmp_path / "photograph.png", tmp_path / "style.gif")
    stylizer(tmp_path / "photograph.png", tmp_path / "style.gif", first_frame=True)
    stylizer.encode_style(tmp_path / "style.gif", first_frame=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    night.save(tmp_path / "style.png")
    with pytest.raises(UserError, match="set max_pixels=4096"):
        stylizer(photograph, tmp_path / "style.png")
    stylizer(photograph, tmp_path / "style.png", max_pixels=4096)


def test_an_opened_picture_that_turns_out_damaged_is_named(stylizer: Stylizer, wave: StyleCode, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 80).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    with Image.open(tmp_path / "half.png") as opened, pytest.raises(UserError, match="content picture is damaged"):
        stylizer(opened, wave)


def test_numpy_s_numbers_are_alphas(stylizer: Stylizer, photograph: Image.Image, wave: StyleCode) -> None:
    expected = stylizer(photograph, wave, 0.5)
    for alpha in (np.float64(0.5), np.array(0.5), np.full(4, 0.5)):
        assert np.array_equal(stylizer(photograph, wave, alpha), expected)
