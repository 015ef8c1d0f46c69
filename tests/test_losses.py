"""The weighted sum of loss terms, and what is told of a wrong config."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nst.encoders import VGG19
from nst.errors import UserError
from nst.losses import (
    ContentTerm,
    LossFeatures,
    LossInputs,
    StyleTransferLoss,
    content_distance,
    gram_distance,
    total_variation,
)
from nst.networks import build

TERMS: dict[str, Any] = {
    "content": {"weight": 2.0, "layers": {"relu2_1": 1.0}},
    "style": {"weight": 3.0, "layers": {"relu1_1": 0.25, "relu2_1": 0.75}},
    "total_variation": {"weight": 0.5},
}


def inputs(loss: StyleTransferLoss, output: Tensor, content: Tensor, style: Tensor) -> LossInputs:
    def encode(pictures: Tensor) -> LossFeatures:
        return loss.wrap(loss.network.features(pictures, loss.layers))

    return LossInputs(output, encode(output), encode(content), encode(style))


def pictures(side: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    return torch.rand(2, 3, side, side), torch.rand(2, 3, side, side), torch.rand(2, 3, side + 8, side)


@pytest.mark.parametrize("reduction", ["sum", "mean", "relative"])
def test_the_total_is_alpha_content_plus_beta_style_plus_gamma_variation(reduction: str) -> None:
    loss = StyleTransferLoss(reduction, network={"weights": "random", "normalized": False}, **TERMS)
    output, content, style = pictures()
    found = loss(inputs(loss, output, content, style))

    def maps(layer: str) -> list[Tensor]:
        return [loss.network.features(picture, [layer])[layer].double() for picture in (output, content, style)]

    def grams(layer: str) -> list[Tensor]:
        return [x.flatten(2) @ x.flatten(2).transpose(1, 2) / x[0, 0].numel() for x in maps(layer)]

    f, p, _ = maps("relu2_1")
    expected = {
        "content": content_distance(f, p, reduction),
        "style": 0.25 * gram_distance(grams("relu1_1")[0], grams("relu1_1")[2], reduction)
        + 0.75 * gram_distance(grams("relu2_1")[0], grams("relu2_1")[2], reduction),
        "total_variation": total_variation(output.double(), reduction),
    }
    assert set(found.raw) == set(found.weighted) == set(expected)
    for name, value in expected.items():
        assert float(found.raw[name]) == pytest.approx(float(value), rel=1e-4)
        assert float(found.weighted[name]) == pytest.approx(TERMS[name]["weight"] * float(value), rel=1e-4)
    total = 2 * expected["content"] + 3 * expected["style"] + 0.5 * expected["total_variation"]
    assert float(found.total) == pytest.approx(float(total), rel=1e-4)


def test_terms_and_layers_of_weight_zero_are_absent() -> None:
    loss = StyleTransferLoss(
        network={"weights": "random"},
        content={"weight": 1.0, "layers": {"relu1_1": 1.0, "relu5_1": 0.0}},
        style={"weight": 0.0, "layers": {"relu4_1": 1.0}},
        moment=None,
    )
    assert loss.layers == ("relu1_1",)
    found = loss(inputs(loss, *pictures()))
    assert set(found.raw) == set(found.weighted) == {"content"}
    assert float(found.total) == float(found.weighted["content"])


@pytest.mark.parametrize("normalized", [False, True])
def test_the_loss_looks_at_original_or_at_normalised_activations(normalized: bool) -> None:
    loss = StyleTransferLoss("sum", normalized, **TERMS)
    encoder = VGG19(["relu1_1", "relu2_1"], normalized=normalized)
    plain = StyleTransferLoss("sum", normalized=True, network={"normalized": normalized}, **TERMS)
    output, content, style = pictures()
    found, expected = loss(inputs(loss, output, content, style)), plain(inputs(plain, output, content, style))
    for name in TERMS:
        assert float(found.raw[name]) == pytest.approx(float(expected.raw[name]), rel=1e-3)
    f, p = encoder(output)[1].double(), encoder(content)[1].double()
    assert float(found.raw["content"]) == pytest.approx(float(0.5 * (f - p).square().sum() / 2), rel=1e-3)


def test_moment_term_sums_its_layers() -> None:
    layers = {"relu1_1": 1.0, "relu2_1": 2.0}
    loss = StyleTransferLoss("mean", network={"weights": "random"}, moment={"weight": 10.0, "layers": layers})
    output, content, style = pictures()
    found, expected = loss(inputs(loss, output, content, style)), 0.0
    for layer, weight in layers.items():
        f, a = (loss.network.features(x, [layer])[layer].double().flatten(2).numpy() for x in (output, style))
        means = ((f.mean(axis=2) - a.mean(axis=2)) ** 2).mean(axis=1)
        stds = ((np.sqrt(f.var(axis=2) + 1e-5) - np.sqrt(a.var(axis=2) + 1e-5)) ** 2).mean(axis=1)
        expected += weight * float((means + stds).mean())
    assert float(found.raw["moment"]) == pytest.approx(expected, rel=1e-3)
    assert float(found.total) == pytest.approx(10 * expected, rel=1e-3)


def test_the_adain_target_is_content_with_the_statistics_of_the_style() -> None:
    x, style = torch.rand(1, 4, 8, 8), torch.rand(1, 4, 6, 6) * 3
    mean, std = x.mean(dim=(2, 3), keepdim=True), (x.var(dim=(2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    style_std = (style.var(dim=(2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    target = style_std * (x - mean) / std + style.mean(dim=(2, 3), keepdim=True)
    term = ContentTerm(1.0, {"relu1_1": 1.0}, target="adain")
    scales = {"relu1_1": torch.ones(4)}
    maps = [LossFeatures({"relu1_1": found}, scales) for found in (target, x, style)]
    assert float(term(LossInputs(target, *maps), "relative")) < 1e-8
    maps[0] = LossFeatures({"relu1_1": x}, scales)
    expected = content_distance(x, target, "mean")
    assert float(term(LossInputs(x, *maps), "mean")) == pytest.approx(float(expected), rel=1e-3)


def test_instance_normalised_content_leaves_the_palette_free() -> None:
    x = torch.rand(1, 4, 8, 8)
    recoloured = x * torch.tensor([0.5, 2, 3, 4]).view(1, 4, 1, 1) + 1
    maps = [LossFeatures({"relu1_1": found}, {"relu1_1": torch.ones(4)}) for found in (recoloured, x, x)]
    distances = [
        float(ContentTerm(1.0, {"relu1_1": 1.0}, instance_norm=norm)(LossInputs(x, *maps), "relative"))
        for norm in (True, False)
    ]
    assert distances[0] < 1e-4 < distances[1]


def test_the_identity_term_compares_pictures_stylized_with_themselves() -> None:
    loss = StyleTransferLoss("mean", network={"weights": "random"}, identity={"weight": 4.0})
    given = inputs(loss, *pictures())
    assert float(loss(given).total) == 0
    given.originals, given.reconstructions = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    assert float(loss(given).raw["identity"]) == pytest.approx(0.125)
    assert float(loss(given).total) == pytest.approx(0.5)


def test_the_identity_structure_is_what_ssim_misses_of_their_luma() -> None:
    skimage_metrics = pytest.importorskip("skimage.metrics")
    loss = StyleTransferLoss(network={"weights": "random"}, identity_structure={"weight": 2.0})
    given = inputs(loss, *pictures())
    assert float(loss(given).total) == 0
    given.originals = torch.rand(2, 3, 24, 20)
    given.reconstructions = (given.originals + 0.2 * torch.rand(2, 3, 24, 20)).requires_grad_()
    values = loss(given)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    similar = [
        skimage_metrics.structural_similarity(
            (found * weights).sum(0).numpy(), (wanted * weights).sum(0).numpy(), win_size=7, data_range=1.0
        )
        for found, wanted in zip(given.reconstructions.detach(), given.originals, strict=True)
    ]
    assert float(values.raw["identity_structure"]) == pytest.approx(1 - sum(similar) / 2, rel=1e-4)
    values.total.backward()
    assert given.reconstructions.grad is not None
    assert 0 < float(given.reconstructions.grad.abs().sum()) < float("inf")


def test_scales_multiply_the_features() -> None:
    x, scale = torch.rand(2, 4, 5, 6), torch.tensor([1.0, 2.0, 3.0, 0.5])
    found = LossFeatures({"relu1_1": x}, {"relu1_1": scale})
    scaled = x * scale.view(1, 4, 1, 1)
    flat = scaled.flatten(2)
    assert torch.allclose(found.map("relu1_1"), scaled)
    assert torch.allclose(found.gram("relu1_1"), flat @ flat.transpose(1, 2) / 30, atol=1e-5)
    assert torch.allclose(found.statistics("relu1_1").mean, flat.mean(dim=2), atol=1e-5)
    assert torch.allclose(found.statistics("relu1_1").std, flat.std(dim=2, correction=0), atol=1e-3)


def test_the_loss_network_never_changes_while_the_network_does(tiny_config: dict[str, Any]) -> None:
    tiny_config["content_encoder"]["trainable_from"] = "conv2_1"
    network = build(tiny_config)
    loss = StyleTransferLoss(network={"weights": "random"}, **TERMS)
    before = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
    learned = {name: tensor.clone() for name, tensor in network.named_parameters()}
    trained = [p for p in [*network.parameters(), *loss.parameters()] if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    content, style = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    for _ in range(2):
        optimizer.zero_grad()
        loss(inputs(loss, network(content, style), content, style)).total.backward()
        optimizer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.state_dict().items())
    changed = {name for name, tensor in network.named_parameters() if not torch.equal(tensor, learned[name])}
    frozen = {n for n in learned if n.startswith(("content_encoder.convolutions.conv1", "style_encoder."))}
    assert changed == set(learned) - frozen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "median"}, "unknown loss reduction 'median': choose from sum, mean, relative"),
        ({"gram": {"weight": 1.0}}, "unknown loss term 'gram': choose from content, style"),
        ({"style": {"weight": 1.0, "layers": {"relu9_1": 1.0}}}, "loss.network: unknown layer 'relu9_1' for vgg19"),
        ({"content": {"weight": 1.0, "layers": {"relu1_1": 1.0}, "target": "style"}}, "unknown content target 'style'"),
        ({"content": {"weight": 1.0}}, "loss term 'content' has a weight but no layers to look at: give loss.content"),
        ({"style": {"weight": 1.0, "layers": {}}}, "loss term 'style' has a weight but no layers"),
        ({"histogram": {"weight": 1.0, "layers": {"relu1_1": 0}}}, "loss term 'histogram' has a weight but no layers"),
        ({"identity_features": {"weight": 1.0}}, "loss term 'identity_features' has a weight but no layers"),
        ({"moment": {"weight": 1.0, "layers": ["relu1_1"]}}, "layers must say each one's share"),
        ({"style": {"weight": "much", "layers": {"relu1_1": 1.0}}}, "loss config does not fit: .*much"),
        ({"network": "vgg19", **TERMS}, "loss.network needs options, found 'vgg19'"),
        ({"style": {"weight": 1.0, "layers": {"relu1_1": 1.0}, "power": 2}}, "loss config does not fit: .*power"),
        ({"network": {"weights": "random", "depth": 3}, **TERMS}, "depth"),
        ({"content": 2.0}, "content"),
    ],
)
def test_unknown_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        StyleTransferLoss(**options)
