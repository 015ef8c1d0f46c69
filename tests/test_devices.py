"""Tensors are made where the computation is: checked on a GPU that only exists in name (torch's fake tensors)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from nst.base_network import BaseNetwork, Region
from nst.color import match_colors
from nst.encoder_contract import Encoder
from nst.lightning_module import StyleTransferModule
from nst.losses import StyleTransferLoss
from nst.metrics import metrics_device
from nst.networks import build
from nst.statistics import widest_float
from nst.tiling import render

GPU = "cuda:0"
LAYERS = {"relu1_1": 1.0, "relu2_1": 1.0}
FAST = {"widths": {2: 8, 4: 8, 8: 8}, "blocks": {4: 1, 8: 1}, "hidden": 8}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time in which tensors have a size, a type and a device, and no values."""
    monkeypatch.setattr(Encoder, "fingerprint", lambda self: "")  # which is made of values
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()):
        yield


@pytest.fixture(params=["multiscale", "fast"])
def network(request: pytest.FixtureRequest, tiny_config: dict[str, Any]) -> BaseNetwork:
    if request.param == "multiscale":
        return build(tiny_config)
    return build({"architecture": "fast", "style_encoder": tiny_config["style_encoder"], **FAST})


@pytest.fixture
def loss() -> StyleTransferLoss:
    terms = ("content", "style", "moment", "balanced", "histogram", "central_moments", "identity_features")
    pixels = {
        "total_variation": {"weight": 1},
        "laplacian": {"weight": 1, "poolings": {4: 1}},
        "identity": {"weight": 1},
        "identity_structure": {"weight": 1},
    }
    layers = {name: {"weight": 1, "layers": LAYERS} for name in terms}
    return StyleTransferLoss(network={"weights": "random"}, spectrum={"weight": 1}, **layers, **pixels)


def moved(module: nn.Module) -> None:
    """What ``module.to(GPU)`` would do."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                part._parameters[name] = nn.Parameter(torch.empty_like(parameter, device=GPU), parameter.requires_grad)
        for name, buffer in list(part._buffers.items()):
            if buffer is not None:
                part._buffers[name] = torch.empty_like(buffer, device=GPU)


def test_a_training_step_stays_on_the_gpu(network: BaseNetwork, loss: StyleTransferLoss, gpu: None) -> None:
    moved(network)
    moved(loss)
    module = StyleTransferModule(network, loss, partial(torch.optim.Adam, lr=1e-3))
    batch = {name: torch.empty(2, 3, 32, 40, device=GPU) for name in ("content", "style")}
    output, values = module.stylize_and_measure(batch, styles_per_content=2)
    assert output.device == values.total.device == torch.device(GPU)


@pytest.mark.parametrize("where", ["cpu", GPU])
def test_pictures_are_painted_on_the_gpu_and_come_back(network: BaseNetwork, gpu: None, where: str) -> None:
    moved(network)
    region = Region(network.encode_style(torch.empty(1, 3, 32, 40, device=GPU)))
    for tile in ("off", 64):
        picture = torch.empty(1, 3, 96, 160, device=where)
        assert render(network, picture, [region], 1.0, tile, nullcontext).device == torch.device(where)


@pytest.mark.parametrize(("style", "content"), [("cpu", GPU), (GPU, "cpu")])
def test_a_style_takes_the_colours_of_a_content_on_another_device(gpu: None, style: str, content: str) -> None:
    matched = match_colors(torch.empty(1, 3, 8, 8, device=style), torch.empty(1, 3, 9, 7, device=content))
    assert matched.device == torch.device(style)


def test_a_device_without_float64_is_given_none() -> None:
    assert widest_float(torch.device("mps")) == torch.float32 and widest_float(torch.device(GPU)) == torch.float64
    assert metrics_device(torch.device("mps")) == torch.device("cpu")
    assert metrics_device(torch.device(GPU)) == torch.device(GPU)
