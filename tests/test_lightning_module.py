"""The training module: one pass of the loss network serves all, and gives what separate passes give."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import pytest
import torch

from nst.base_network import BaseNetwork, Region
from nst.lightning_module import StyleTransferModule
from nst.losses import StyleTransferLoss
from nst.networks import build
from nst.tiling import render

LAYERS = ["relu1_1", "relu2_1", "relu3_1"]
ENCODER = {"name": "vgg19", "layers": LAYERS}


def multiscale(**content: Any) -> BaseNetwork:
    config = {"architecture": "multiscale", "content_encoder": ENCODER | content, "style_encoder": ENCODER}
    return build(config | {"fusion": {"layers": LAYERS}, "decoder": {"widths": {4: 16, 2: 8, 1: 8}, "depth": 1}})


def fast() -> BaseNetwork:
    widths, blocks = {2: 8, 4: 8, 8: 8}, {4: 1, 8: 1}
    return build({"architecture": "fast", "style_encoder": ENCODER, "widths": widths, "blocks": blocks, "hidden": 8})


def module_of(network: BaseNetwork, **options: Any) -> StyleTransferModule:
    loss = StyleTransferLoss(
        content={"weight": 1, "layers": {"relu3_1": 1}, "target": "adain"},
        style={"weight": 2, "layers": {"relu1_1": 1, "relu2_1": 1}},
        moment={"weight": 3, "layers": {"relu3_1": 1}},
        total_variation={"weight": 0.5},
        identity={"weight": 4},
    )
    torch.manual_seed(0)
    for module in network.own_modules():
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    return StyleTransferModule(network, loss, partial(torch.optim.Adam, lr=1e-3), **options)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    content, style = torch.rand(2, 2, 3, 48, 56, generator=torch.Generator().manual_seed(1))
    return {"content": content, "style": style}


@pytest.mark.parametrize("make", [multiscale, fast])
def test_sharing_the_loss_network_s_pass_changes_nothing(make: Any, batch: dict[str, torch.Tensor]) -> None:
    module = module_of(make())
    assert module.network.style_encoder in module._shared
    module.network.border = 0  # the pass that is shared has none
    shared_output, shared = module.stylize_and_measure(batch)
    module._shared = []
    output, separate = module.stylize_and_measure(batch)
    assert torch.allclose(shared_output, output, atol=1e-5)
    for name, value in separate.raw.items():
        assert float(shared.raw[name]) == pytest.approx(float(value), rel=1e-4), name


def test_crops_of_any_size_can_be_painted_while_the_pass_is_shared(batch: dict[str, torch.Tensor]) -> None:
    config = dict(multiscale().config)
    module = module_of(build(config | {"recolor": False}))
    assert module.network.content_encoder in module._shared
    batch = {name: pictures[..., :46, :49] for name, pictures in batch.items()}
    output, values = module.stylize_and_measure(batch)
    assert output.shape == batch["content"].shape and torch.isfinite(values.total)


@pytest.mark.parametrize("make", [multiscale, fast])
def test_several_styles_a_content_are_the_mean_of_their_pairs(make: Any, batch: dict[str, torch.Tensor]) -> None:
    module = module_of(make())
    _, both = module.stylize_and_measure(batch, styles_per_content=2)
    swapped = {"content": batch["content"], "style": batch["style"].flip(0)}
    pairs = [module.stylize_and_measure(each)[1] for each in (batch, swapped)]
    for name in ("content", "style", "moment", "total_variation"):
        mean = sum(float(values.raw[name]) for values in pairs) / 2
        assert float(both.raw[name]) == pytest.approx(mean, rel=1e-4), name


@pytest.mark.parametrize("make", [lambda: multiscale(trainable_from="conv3_1"), fast])
def test_a_network_of_its_own_encoder_is_trained_on_what_it_paints_when_used(
    make: Any, batch: dict[str, torch.Tensor]
) -> None:
    module = module_of(make())
    batch = {name: pictures[..., :48] for name, pictures in batch.items()}  # fits the strides with a border
    output, _ = module.stylize_and_measure(batch)
    for picture, style, painted in zip(batch["content"], batch["style"], output, strict=True):
        regions = [Region(module.network.encode_style(style[None]))]
        used = render(module.network, picture[None], regions, 1.0, "off", contextlib.nullcontext)
        assert torch.allclose(used[0], painted.clamp(0, 1), atol=1e-4)


def test_an_encoder_that_is_trained_or_differs_is_not_shared() -> None:
    trained = module_of(multiscale(trainable_from="conv3_1"))
    assert trained._shared == [trained.network.style_encoder]
    padded = module_of(multiscale(padding="reflect"))
    assert padded._shared == [padded.network.style_encoder]


def test_the_identity_term_reconstructs_content_at_alpha_zero_and_both_kinds_in_their_own_manner(
    batch: dict[str, torch.Tensor],
) -> None:
    module = module_of(fast(), identity_samples=1)
    network, first = module.network, {name: pictures[:1] for name, pictures in batch.items()}
    results = [
        network(first["content"], first["style"], alpha=0.0),
        network(first["content"], network.encode_style(first["content"]), alpha=1.0),
        network(first["style"], network.encode_style(first["style"]), alpha=1.0),
    ]
    originals = torch.cat([first["content"], first["content"], first["style"]])
    error = (torch.cat(results) - originals).flatten(1).square().sum(1) / originals.flatten(1).square().sum(1)
    _, values = module.stylize_and_measure(batch)
    assert float(values.raw["identity"]) == pytest.approx(float(error.mean()), rel=1e-4)


@pytest.mark.parametrize(("unfreeze_at", "moves"), [(0, True), (1, False)])
def test_encoder_layers_that_wait_have_gradients_for_ddp_and_do_not_move(
    batch: dict[str, torch.Tensor], unfreeze_at: int, moves: bool
) -> None:
    module = module_of(multiscale(trainable_from="conv3_1"), unfreeze_at=unfreeze_at)
    weight = module.network.content_encoder.convolutions["conv3_1"].weight  # type: ignore[union-attr,index]
    before, optimizer = weight.detach().clone(), module.configure_optimizers()
    _, values = module.stylize_and_measure(batch)
    values.total.backward()
    assert weight.grad is not None
    module.on_before_optimizer_step(optimizer)
    optimizer.step()
    assert torch.equal(weight, before) != moves


def test_only_what_is_to_be_trained_gets_a_gradient_and_the_loss_network_stays(batch: dict[str, torch.Tensor]) -> None:
    module = module_of(multiscale(trainable_from="conv3_1"))
    before = {name: tensor.clone() for name, tensor in module.loss.network.state_dict().items()}
    optimizer = module.configure_optimizers()
    assert [len(group["params"]) for group in optimizer.param_groups][1] == 2  # weight and bias of conv3_1
    _, values = module.stylize_and_measure(batch)
    values.total.backward()
    optimizer.step()
    moved = {name for name, parameter in module.named_parameters() if parameter.grad is not None}
    encoders = {name for name in moved if "convolutions" in name}
    assert encoders == {f"network.content_encoder.convolutions.conv3_1.{part}" for part in ("weight", "bias")}
    assert moved - encoders == {name for name, _ in module.named_parameters() if "fusion" in name or "decoder" in name}
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.loss.network.state_dict().items())
