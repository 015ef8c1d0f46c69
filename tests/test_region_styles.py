"""mask=: each region of the content takes the style of its own region of the style picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from PIL import Image, ImageFilter, ImageOps

from nst import Stylizer, UserError
from nst.batch import stylize
from nst.encoders import VGG19
from nst.images import read_image, to_tensor
from nst.networks import build
from nst.region_styles import matched_regions, soft_masks
from nst.statistics import Statistics, gram_matrix
from nst.style_code import StyleCode

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "data" / "samples"
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def halves(width: int, height: int, first: tuple[int, int, int], second: tuple[int, int, int]) -> Image.Image:
    """A label image: ``first`` above, ``second`` below."""
    picture = Image.new("RGB", (width, height), first)
    picture.paste(second, (0, height // 2, width, height))
    return picture


def remember(seen: list[tuple[int, float]]):
    """An ``encode`` that notes the width of the picture and the mask's mean height, and gives that as a code."""

    def encode(picture: torch.Tensor, mask: torch.Tensor | None) -> StyleCode:
        inside = torch.ones(1, 1, *picture.shape[2:]) if mask is None else mask
        rows = torch.linspace(0, 1, picture.shape[2])[:, None]
        height = float((inside[0, 0] * rows).sum() / inside.sum())
        seen.append((picture.shape[3], height))
        value = torch.full((1, 1), height)
        return StyleCode(("relu1_1",), (Statistics(value, value),))

    return encode


def heights(regions: list) -> list[float]:
    return [float(region.style.statistics[0].mean) for region in regions]


def test_label_images_match_by_colour_wherever_it_is_and_each_region_is_encoded_once() -> None:
    seen: list[tuple[int, float]] = []
    style = torch.rand(1, 3, 80, 60)
    labels = [halves(30, 40, RED, BLUE), halves(20, 30, BLUE, RED)]
    regions = matched_regions(torch.rand(1, 3, 40, 50), [style], labels, remember(seen))
    red = max(regions, key=lambda region: float(region.mask[..., 0, 0]))
    assert np.allclose(sorted(heights(regions)), [0.25, 0.75], atol=0.02) and len(seen) == 2
    assert float(red.style.statistics[0].mean) > 0.7  # red lies above in the content and below in the style


def test_a_colour_of_no_style_takes_the_whole_style_and_one_of_two_styles_their_mixture() -> None:
    seen: list[tuple[int, float]] = []
    styles = [torch.rand(1, 3, 60, 60), torch.rand(1, 3, 60, 90)]
    labels = [halves(60, 60, RED, GREEN), halves(60, 60, RED, BLUE), halves(90, 60, BLUE, RED)]
    regions = matched_regions(torch.rand(1, 3, 60, 60), styles, labels, remember(seen))
    # Red: half of the first style's upper half (0.25) and half of the second one's lower (0.75). Green: both styles whole.
    assert np.allclose(heights(regions), [0.5, 0.5], atol=0.02)
    assert sorted((width, round(height, 1)) for width, height in seen) == [(60, 0.2), (60, 0.5), (90, 0.5), (90, 0.8)]


def test_found_regions_are_matched_by_their_look() -> None:
    def scene(sky: float, ground: float) -> torch.Tensor:
        picture = torch.full((1, 3, 64, 96), sky)
        picture[:, :, 40:] = ground
        return picture

    regions = matched_regions(scene(0.9, 0.2), [scene(0.8, 0.1)], "segment", remember([]))
    by_place = {
        float(region.mask[..., 0, 0]) > 0.5: height for region, height in zip(regions, heights(regions), strict=True)
    }
    assert by_place[True] < 0.4 < 0.7 < by_place[False]


def test_masks_are_soft_sum_to_one_and_lie_where_the_labels_are() -> None:
    labels = torch.zeros(10, 20, dtype=torch.int64)
    labels[:, 10:] = 1
    labels[:5, :5] = 2
    masks = soft_masks(labels, 3, (201, 399))
    total = torch.stack(masks).sum(dim=0)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)
    assert [mask.shape for mask in masks] == 3 * [(1, 1, 201, 399)]
    assert float(masks[2][0, 0, 20, 20]) == 1 and float(masks[1][0, 0, 100, 390]) == 1
    row = masks[1][0, 0, 150]
    assert (row.diff() >= -1e-6).all() and ((row > 0.05) & (row < 0.95)).sum() >= 4  # a slope, no step


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer.from_pretrained("vgg19", precision="float32", device="cpu")


@pytest.fixture(scope="module")
def scene() -> dict[str, object]:
    """A photograph and a painting, and where they have been divided by hand."""
    content = read_image(SAMPLES / "content" / "rocket.jpg").convert("RGB").resize((192, 128))
    style = read_image(SAMPLES / "style" / "impressionism" / "sunset_on_water.jpg").convert("RGB").resize((200, 160))
    return {"content": content, "style": style, "mask": [halves(192, 128, RED, BLUE), halves(200, 160, BLUE, RED)]}


@pytest.fixture(scope="module")
def painted(stylizer: Stylizer, scene: dict[str, object]) -> Image.Image:
    return stylizer(**scene)


def region_grams(picture: Image.Image, vgg: VGG19) -> list[list[torch.Tensor]]:
    """Gram matrices over positions of the upper and of the lower half, at relu1_1 … relu5_1."""
    features = vgg.features(to_tensor(picture)[None], [f"relu{i}_1" for i in range(1, 6)])
    halved = [(level[:, :, : level.shape[2] // 2], level[:, :, level.shape[2] // 2 :]) for level in features.values()]
    return [[gram_matrix(pair[half].contiguous()) / pair[half][0, 0].numel() for pair in halved] for half in (0, 1)]


@torch.inference_mode()
def test_regions_come_nearer_to_their_style_regions_than_with_labels_exchanged_or_the_whole_style(
    stylizer: Stylizer, scene: dict[str, object], painted: Image.Image, raw_vgg: VGG19
) -> None:
    exchanged = [halves(192, 128, RED, BLUE), halves(200, 160, RED, BLUE)]
    upper, lower = region_grams(scene["style"], raw_vgg)  # type: ignore[arg-type]

    def distances(picture: Image.Image) -> list[float]:
        """Relative Gram distance of the upper and of the lower half; the label images turn the painting round."""
        return [
            float(np.mean([float((a - b).square().sum() / b.square().sum()) for a, b in zip(*pair, strict=True)]))
            for pair in zip(region_grams(picture, raw_vgg), (lower, upper), strict=True)
        ]

    masked = distances(painted)
    for ours, other in zip(masked, distances(stylizer(**{**scene, "mask": exchanged})), strict=True):
        assert ours < 0.8 * other
    assert sum(masked) < 0.9 * sum(distances(stylizer(scene["content"], scene["style"])))


# Eight photographs and paintings, two of each photograph.
PAIRS = [
    ("rocket", "impressionism/sunset_on_water"),
    ("rocket", "ukiyo_e/great_wave"),
    ("coffee", "cubism/guitar"),
    ("coffee", "impressionism/cypress_night"),
    ("astronaut", "pointillism/lighthouse"),
    ("astronaut", "chinese_ink/mountains_in_mist"),
    ("chelsea", "ukiyo_e/red_mountain"),
    ("chelsea", "cubism/houses_on_a_hill"),
]


def light_part(picture: Image.Image) -> torch.Tensor:
    """Where a picture is light by Otsu's threshold, ``(H, W)`` bool; blurred, so that it is made of areas, not of specks."""
    filters = pytest.importorskip("skimage.filters")
    blurred = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(8)))
    return torch.from_numpy(blurred > filters.threshold_otsu(blurred))


def label_image(first: torch.Tensor) -> Image.Image:
    return Image.fromarray(np.where(first[..., None].numpy(), np.uint8(RED), np.uint8(BLUE)))


@torch.inference_mode()
def grams_inside(picture: Image.Image, inside: torch.Tensor, vgg: VGG19) -> list[torch.Tensor]:
    """Gram matrices over the positions that lie in a region, at relu1_1 … relu5_1."""
    grams = []
    for level in vgg.features(to_tensor(picture)[None], [f"relu{i}_1" for i in range(1, 6)]).values():
        share = F.adaptive_avg_pool2d(inside[None, None].float(), level.shape[2:])
        flat = level[0][:, share[0, 0] > 0.5]
        grams.append(flat @ flat.T / flat.shape[1])
    return grams


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=" in ".join)
def test_label_images_bring_every_pair_s_regions_nearer_to_their_style(
    pair: tuple[str, str], stylizer: Stylizer, raw_vgg: VGG19
) -> None:
    """The measure of docs/masks.md. The light part takes the style's dark one: what no style as a whole does by itself."""
    content = read_image(SAMPLES / "content" / f"{pair[0]}.jpg").convert("RGB")
    style = read_image(SAMPLES / "style" / f"{pair[1]}.jpg").convert("RGB")
    content, style = (ImageOps.fit(one, (256, 256), Image.Resampling.LANCZOS) for one in (content, style))
    light, dark = light_part(content), ~light_part(style)
    distances = []  # of the light and of the dark region
    for painted in (stylizer(content, style, mask=[label_image(light), label_image(dark)]), stylizer(content, style)):
        each = []
        for inside, target in ((light, dark), (~light, ~dark)):
            found, wanted = grams_inside(painted, inside, raw_vgg), grams_inside(style, target, raw_vgg)
            pairs = zip(found, wanted, strict=True)
            each.append(float(np.mean([float((a - b).square().sum() / b.square().sum()) for a, b in pairs])))
        distances.append(each)
    ratios = [masked / whole for masked, whole in zip(*distances, strict=True)]
    assert max(ratios) < 1, ratios
    assert sum(distances[0]) < 0.9 * sum(distances[1])


@pytest.mark.slow
def test_tiles_show_no_difference(stylizer: Stylizer, scene: dict[str, object], painted: Image.Image) -> None:
    whole, tiled = (np.asarray(picture, dtype=float) for picture in (painted, stylizer(**scene, tile=112)))
    assert -10 * np.log10(((whole - tiled) ** 2).mean() / 255**2 + 1e-12) > 40


@pytest.mark.parametrize("tile", ["off", 64])
def test_the_fast_network_paints_regions_too(tile: str | int) -> None:
    encoder = {"name": "vgg19", "layers": ["relu1_1", "relu2_1"]}
    widths, blocks = {2: 8, 4: 12, 8: 16}, {4: 1, 8: 1}
    network = build({"architecture": "fast", "style_encoder": encoder, "widths": widths, "blocks": blocks, "hidden": 8})
    torch.nn.init.normal_(network.predictor.last.weight)  # type: ignore[union-attr,arg-type]
    fast = Stylizer(network, device="cpu", precision="float32")
    content, style = torch.rand(1, 3, 128, 136), torch.rand(1, 3, 64, 72)
    style[:, :, 32:] *= 0.2
    painted = fast(content, style, mask=[halves(136, 128, RED, BLUE), halves(72, 64, RED, BLUE)], tile=tile)
    parts = [
        fast.network.encode_style(style, F.pad(torch.ones(1, 1, 32, 72), pad)) for pad in ((0, 0, 0, 32), (0, 0, 32, 0))
    ]
    upper, lower = torch.zeros(1, 1, 128, 136), torch.zeros(1, 1, 128, 136)
    upper[:, :, :64], lower[:, :, 64:] = 1, 1
    expected = fast(content, parts, masks=[upper, lower], tile=tile)
    away = torch.ones(128, dtype=torch.bool)
    away[40:88] = False  # near the border the masks differ in softness
    assert torch.allclose(painted[:, :, away], expected[:, :, away], atol=0.02)
    assert not torch.allclose(painted[:, :, away], fast(content, style)[:, :, away], atol=0.05)


def test_mistakes_are_named(stylizer: Stylizer, scene: dict[str, object]) -> None:
    content, style, mask = scene["content"], scene["style"], scene["mask"]
    for options, message in (
        ({"mask": "segmnt"}, "mask must be segment or 2 label images.*found 'segmnt'"),
        ({"mask": mask[:1]}, "found 1 label images"),  # type: ignore[index]
        ({"mask": mask, "weights": [1.0]}, "neither weights nor masks"),
        ({"mask": [halves(9, 9, RED, RED), halves(9, 9, BLUE, BLUE)]}, "no colour in common"),
        ({"mask": mask, "style": StyleCode((), ())}, "give a picture, not a style code"),
        ({"mask": mask, "content": torch.rand(2, 3, 32, 32)}, "one content picture: found a batch of 2"),
    ):
        with pytest.raises(UserError, match=message):
            stylizer(**{"content": content, "style": style} | options)  # type: ignore[arg-type]


def test_the_script_takes_label_images(scene: dict[str, object], painted: Image.Image, tmp_path: Path) -> None:
    names = ("content", "style", "labels_c", "labels_s")
    for name, picture in zip(names, (scene["content"], scene["style"], *scene["mask"]), strict=True):  # type: ignore[misc]
        picture.save(tmp_path / f"{name}.png")
    keys = [
        f"content={tmp_path}/content.png",
        f"style={tmp_path}/style.png",
        f"output={tmp_path}/out.png",
        "device=cpu",
    ]
    keys += [f"mask=[{tmp_path}/labels_c.png,{tmp_path}/labels_s.png]", "precision=float32"]
    with initialize_config_dir(str(ROOT / "configs" / "inference"), version_base="1.3"):
        stylize(compose("stylize", keys))
    assert np.array_equal(Image.open(tmp_path / "out.png"), painted)
    with initialize_config_dir(str(ROOT / "configs" / "inference"), version_base="1.3"):
        film = compose("stylize", ["content=clip.mp4", "output=out.mp4", "mask=segment"])
    with pytest.raises(UserError, match="mask belongs to one picture"):
        stylize(film)
