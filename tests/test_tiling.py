"""Tiles: they cover a picture, and give what the whole picture gives."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst import Stylizer, UserError
from nst.networks import Region, StyleTransferNetwork, build
from nst.tiling import parts, render, tile_side

SAMPLES = Path(__file__).parent.parent / "data" / "samples"


def test_parts_cover_every_pixel_once_and_look_at_their_margin() -> None:
    cover = np.zeros((96, 200), int)
    for part in parts(96, 200, side=40, margin=19, multiple=8):
        cover[part.inner_slices] += 1
        top, left, bottom, right = part.outer
        assert top == max(part.top - 24, 0) and right == min(part.right + 24, 200)
        assert left % 8 == 0 and bottom <= 96
        values = np.arange(96 * 200).reshape(96, 200)
        assert np.array_equal(values[part.outer_slices][part.within()], values[part.inner_slices])
    assert (cover == 1).all()


def test_parts_are_alike_in_size() -> None:
    for height, width in ((2080, 2080), (1096, 8032), (1024, 1032)):
        areas = [(part.bottom - part.top) * (part.right - part.left) for part in parts(height, width, 1024, 37, 8)]
        assert len(areas) == -(-height // 1024) * -(-width // 1024)
        assert min(areas) > 0.85 * max(areas)


def test_auto_cuts_only_large_pictures() -> None:
    assert tile_side("auto", 1080, 1920) == 1920
    assert tile_side("auto", 6000, 8000) == 1024
    assert tile_side("off", 6000, 8000) == 8000
    for wrong in ("some", 63, True):
        with pytest.raises(UserError, match="tile must be"):
            tile_side(wrong, 100, 100)


def test_a_picture_is_cut_for_its_own_size_and_not_for_its_border(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network("nearest")
    style = network.encode_style(torch.rand(1, 3, 64, 64))
    seen: list[tuple[int, ...]] = []
    encode = network.encode_content
    monkeypatch.setattr(network, "border", 8)
    monkeypatch.setattr(network, "encode_content", lambda piece: seen.append(piece.shape[2:]) or encode(piece))
    monkeypatch.setattr("nst.tiling.AUTO_WHOLE", 100 * 100)
    monkeypatch.setattr("nst.tiling.AUTO_TILE", 64)
    for side, pieces in ((100, 1), (101, 2 * 4)):
        seen.clear()
        render(network, torch.rand(1, 3, side, side), [Region(style)], 1.0, "auto", contextlib.nullcontext)
        assert len(seen) == pieces


def random_network(upsampling: str) -> StyleTransferNetwork:
    layers = ["relu1_1", "relu2_1", "relu3_1"]
    encoder = {"name": "vgg19", "layers": layers, "weights": "random", "normalized": False}
    decoder = {"widths": {4: 12, 2: 8, 1: 8}, "depth": 2, "upsampling": upsampling}
    torch.manual_seed(0)
    network = build(
        {
            "architecture": "multiscale",
            "content_encoder": encoder,
            "style_encoder": encoder,
            "fusion": {"layers": layers},
            "decoder": decoder,
        }
    )
    torch.nn.init.normal_(network.decoder.to_picture.weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "pixelshuffle"])
@torch.no_grad()
def test_the_margin_is_as_far_as_the_network_looks(upsampling: str) -> None:
    network = random_network(upsampling)
    generator = torch.Generator().manual_seed(1)
    picture, style = torch.rand(2, 1, 3, 200, 232, generator=generator)
    regions = [Region(network.encode_style(style))]
    whole = render(network, picture, regions, 1.0, "off", contextlib.nullcontext)
    tiled = render(network, picture, regions, 1.0, 64, contextlib.nullcontext)
    spread = float(whole.std())
    assert spread > 1e-3  # else nothing is compared
    assert float((whole - tiled).abs().max()) < 1e-3 * spread


def test_tiled_equals_whole_for_one_style_a_mix_and_masks() -> None:
    stylizer = Stylizer.from_pretrained("vgg19", device="cpu")
    photograph = Image.open(SAMPLES / "content" / "coffee.jpg").convert("RGB").resize((420, 300))
    codes = [
        stylizer.encode_style(SAMPLES / "style" / name) for name in ("cubism/guitar.jpg", "ukiyo_e/great_wave.jpg")
    ]
    gradient = Image.linear_gradient("L")
    masks = [gradient, gradient.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    for options in ({"style": codes[0]}, {"style": codes, "weights": [1, 2]}, {"style": codes, "masks": masks}):
        whole = np.asarray(stylizer(photograph, tile="off", **options), float)
        tiled = np.asarray(stylizer(photograph, tile=128, **options), float)
        assert -10 * np.log10(((whole - tiled) ** 2).mean() / 255**2 + 1e-12) > 40
