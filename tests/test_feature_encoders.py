"""Encoders of other networks: what holds beside the contract (tests/test_encoder_contract.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import vgg16

from nst.encoders import build_encoder
from nst.errors import UserError
from nst.vgg_weights import TORCHVISION_MEAN, TORCHVISION_STD


class Sketch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True))
        self.parts = nn.Sequential(nn.Conv2d(6, 10, 4, stride=2, padding=1), nn.BatchNorm2d(10), nn.ReLU())
        self.head = nn.Linear(10, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.parts(self.edges(pictures)).mean(dim=(2, 3)))


class Branching(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures if pictures.mean() > 0 else -pictures


class NeedsArguments(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()


def not_a_module() -> None:
    raise AssertionError("a config must not run functions")


def sketch(layers: list[str], **options: Any) -> Any:
    return build_encoder(f"{__name__}.Sketch", layers=layers, **({"weights": "own", "normalized": False} | options))


def test_features_are_those_of_the_network_itself() -> None:
    encoder = sketch(["edges.0", "parts"], mean=[0.1, 0.2, 0.3], std=[1, 2, 3])
    convolution, parts = encoder.body.edges._modules["0"], encoder.body.parts._modules
    picture = torch.rand(2, 3, 12, 16)
    x = (picture - torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)) / torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1)
    before = convolution(x)  # the ReLU that follows works in place and would overwrite it
    after = parts["1"](parts["0"](before.relu())).relu()
    found = encoder(picture)
    assert torch.allclose(found[0], before, atol=1e-6) and bool((found[0] < 0).any())
    assert torch.allclose(found[1], after, atol=1e-6)


def test_batch_statistics_never_change() -> None:
    encoder = sketch(["parts"])
    encoder.train()
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    encoder(torch.rand(4, 3, 16, 16))
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())
    assert not any(module.training for module in encoder.body.modules())


def test_reflect_padding_reaches_every_convolution() -> None:
    encoder = sketch(["edges.0"], padding="reflect")
    picture = torch.rand(1, 3, 9, 9)
    convolution = encoder.body.edges._modules["0"]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (TORCHVISION_MEAN, TORCHVISION_STD))
    padded = F.pad((picture - mean) / std, (1, 1, 1, 1), mode="reflect")
    assert torch.allclose(encoder(picture)[0], F.conv2d(padded, convolution.weight, convolution.bias), atol=1e-6)
    assert not encoder.zero_padded


@pytest.mark.parametrize(
    ("trainable_from", "trained"),
    [
        (None, []),
        ("parts", ["parts.0.weight", "parts.0.bias", "parts.1.weight", "parts.1.bias"]),
        ("parts.1", ["parts.1.weight", "parts.1.bias"]),
    ],
)
def test_layers_are_trained_from_the_one_named_on(trainable_from: str | None, trained: list[str]) -> None:
    encoder = sketch(["edges", "parts"], trainable_from=trainable_from)
    assert [name for name, p in encoder.named_parameters() if p.requires_grad] == [f"body.{name}" for name in trained]
    assert len(encoder.trained_parameters()) == len(trained)


def test_only_what_no_file_gives_again_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "sketch.safetensors"
    save_file(Sketch().state_dict(), path)
    own, of_file = sketch(["parts"]), sketch(["parts"], weights=path)
    assert own.installed_state() == set()
    assert set(of_file.state_dict()) - of_file.installed_state() == {"mean_activation_parts"}
    tuned = sketch(["parts"], weights=path, trainable_from="parts.1")
    kept = set(tuned.state_dict()) - tuned.installed_state()
    assert kept == {"mean_activation_parts", "body.parts.1.weight", "body.parts.1.bias"}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_a_file_are_those_of_the_whole_network(tmp_path: Path, suffix: str) -> None:
    network = Sketch()
    path = tmp_path / f"sketch{suffix}"
    save_file(network.state_dict(), path) if suffix == ".safetensors" else torch.save(network.state_dict(), path)
    encoder = sketch(["edges.0"], weights=path)
    assert torch.equal(encoder.body.edges._modules["0"].weight, network.edges[0].weight)


def test_vgg16_is_known_by_the_names_of_the_papers() -> None:
    encoder = build_encoder("vgg16", layers=["conv1_1", "relu3_3", "pool4"], weights="random", normalized=False)
    with torch.device("meta"):
        positions = [str(index) for index, _ in enumerate(vgg16().features)]
    assert set(encoder.body.features._modules) == set(positions[: positions.index("23") + 1])  # up to pool4
    assert encoder.out_channels == (64, 256, 512) and encoder.strides == (1, 4, 16)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Sketch", {"layers": ["head"]}, r"layer 'head' gives \(1, 2\) .* needs"),
        ("Sketch", {"layers": []}, "needs at least one layer"),
        (
            "Sketch",
            {"layers": ["edges"], "trainable_from": "parts"},
            "nothing would be trained; name a shallower layer",
        ),
        ("Sketch", {"layers": ["edges"], "trainable_from": "eges"}, "unknown layer 'eges'"),
        ("Sketch", {"layers": ["edges"], "padding": "wrap"}, "unknown encoder padding 'wrap'"),
        ("Sketch", {"layers": ["edges"], "weights": "torchvision"}, "'torchvision' do not exist: give own or the path"),
        ("Sketch", {"layers": ["edges"], "weights": "a.pth"}, "'a.pth' do not exist"),
        ("Branching", {"layers": ["mean"]}, "cannot be traced"),
        ("NeedsArguments", {"layers": ["a"]}, "cannot be made without arguments: .*width"),
        ("not_a_module", {"layers": ["a"]}, "is not an nn.Module class"),
        ("Missing", {"layers": ["a"]}, "unknown encoder .*: choose from vgg19, a torchvision classifier"),
    ],
)
def test_mistakes_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_encoder(f"{__name__}.{name}", **({"weights": "own"} | options))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path, text = tmp_path / "other.safetensors", tmp_path / "text.pth"
    save_file({"edges.0.weight": torch.zeros(1)}, path)
    text.write_text("weights")
    with pytest.raises(UserError, match="are not a state dict of"):
        sketch(["edges"], weights=path)
    with pytest.raises(UserError, match="cannot be read"):
        sketch(["edges"], weights=text)


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from urllib.error import URLError

    def refused(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", refused)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match="torchvision's weights of resnet50 are not on disk and cannot be downloaded"):
        build_encoder("resnet50", layers=["relu"], weights="torchvision")
