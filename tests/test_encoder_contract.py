"""The one tester that every encoder passes, VGG-19 and any other."""

from __future__ import annotations

import math
import re
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn

from nst import UserError
from nst.calibration import mean_activations
from nst.checkpoints import load_model, save_model
from nst.encoder_contract import Encoder
from nst.encoders import build_encoder
from nst.image_objective import Objective
from nst.lightning_module import StyleTransferModule
from nst.losses import StyleTransferLoss
from nst.networks import build
from nst.statistics import mean_and_gram
from nst.training import train

ROOT = Path(__file__).parent.parent


class Sketch(nn.Module):
    """A user's own network."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True))
        self.parts = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ELU())
        self.head = nn.Linear(10, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.parts(self.edges(pictures)).mean(dim=(2, 3)))


SKETCH = f"{__name__}.Sketch"
LAYERS: dict[str, list[str]] = {
    "vgg19": ["relu1_1", "relu2_1"],
    "vgg16": ["relu1_1", "relu2_1"],
    "resnet50": ["relu", "layer1"],
    "convnext_tiny": ["features.1", "features.3"],
    "efficientnet_b0": ["features.1", "features.2", "features.3"],
    SKETCH: ["edges", "parts"],
}
SHAPES = {  # (channels, stride) of those layers, as the papers' tables give them
    "vgg19": [(64, 1), (128, 2)],
    "vgg16": [(64, 1), (128, 2)],
    "resnet50": [(64, 2), (256, 4)],
    "convnext_tiny": [(96, 4), (192, 8)],
    "efficientnet_b0": [(16, 2), (24, 4), (40, 8)],
    SKETCH: [(6, 1), (10, 2)],
}
every_encoder = pytest.mark.parametrize("name", LAYERS, ids=lambda name: name.rpartition(".")[2])
LARGE = ("vgg16", "resnet50", "convnext_tiny")  # these take their time to be made at random, three of them a test
every_model = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in LAYERS],
    ids=lambda name: name.rpartition(".")[2],
)


def options(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "layers": LAYERS[name], "weights": "own" if name == SKETCH else "random"} | changes


@cache
def encoder_of(name: str) -> Encoder:
    """Made once, with random weights and calibrated."""
    encoder = build_encoder(**options(name))
    encoder.set_mean_activations(mean_activations(encoder, [torch.rand(2, 3, 64, 64)]))
    return encoder


def model_config(name: str) -> dict[str, Any]:
    strides = [stride for _, stride in SHAPES[name]]
    return {
        "architecture": "multiscale",
        "content_encoder": options(name),
        "style_encoder": options(name),
        "fusion": {"layers": LAYERS[name]},
        "decoder": {"widths": {s: 4 for s in (8, 4, 2, 1) if s <= max(strides)}, "depth": 1, "upsampling": "nearest"},
    }


def loss_over(name: str) -> StyleTransferLoss:
    layers = {layer: 1.0 for layer in LAYERS[name]}
    network = {key: value for key, value in options(name).items() if key != "layers"}
    terms = {"content": {"weight": 1.0, "layers": layers}, "moment": {"weight": 1.0, "layers": layers}}
    return StyleTransferLoss(network=network, **terms)


# --- the tester ------------------------------------------------------------------------------------------------------


@every_encoder
def test_pictures_of_odd_sizes_give_the_channels_and_strides_it_states(name: str) -> None:
    encoder = encoder_of(name)
    assert list(zip(encoder.out_channels, encoder.strides, strict=True)) == SHAPES[name]
    features = encoder(torch.rand(2, 3, 45, 67))
    for level, channels, stride in zip(features, encoder.out_channels, encoder.strides, strict=True):
        assert level.shape[:2] == (2, channels) and bool(torch.isfinite(level).all())
        for side, pixels in zip(level.shape[2:], (45, 67), strict=True):
            assert side in (pixels // stride, -(-pixels // stride))


@every_encoder
def test_layers_come_in_the_order_asked_for(name: str) -> None:
    encoder, picture = encoder_of(name), torch.rand(1, 3, 32, 32)
    features = encoder.features(picture, reversed(LAYERS[name]))
    for layer, level in zip(encoder.layers, encoder(picture), strict=True):
        assert torch.equal(features[layer], level)


@every_encoder
def test_calibrated_layers_have_mean_absolute_activation_one(name: str) -> None:
    encoder, pictures = encoder_of(name), torch.rand(2, 3, 64, 64)
    encoder.set_mean_activations(mean_activations(encoder, [pictures]))
    assert not encoder.needs_calibration
    for level in encoder(pictures):
        means = level.abs().mean(dim=(0, 2, 3))
        assert float(means.median()) == pytest.approx(1, abs=1e-3)
        assert float(means.max()) < 1.01  # a channel that never fires stays below


@every_encoder
def test_gradients_reach_the_picture_and_no_frozen_weight(name: str) -> None:
    encoder, picture = encoder_of(name), torch.rand(1, 3, 32, 32, requires_grad=True)
    torch.stack([level.square().mean() for level in encoder(picture)]).sum().backward()
    assert picture.grad is not None and bool((picture.grad != 0).any()) and bool(torch.isfinite(picture.grad).all())
    assert not [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    assert encoder.trained_parameters() == []


@every_encoder
def test_gradients_of_statistics_are_those_of_plain_autograd(name: str) -> None:
    """Statistics and Gram matrices have a gradient of their own (nst.statistics), in a memory format of its own."""
    encoder, picture, gradients = encoder_of(name), torch.rand(1, 3, 45, 50), []
    for custom in (True, False):
        given = picture.clone().requires_grad_(True)
        level = encoder(given)[0]
        flat = level.flatten(2)
        found = feature_loss(mean_and_gram(level) if custom else (flat.mean(2), flat @ flat.mT / flat.shape[2]))
        found.backward()
        gradients.append(given.grad)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-3 * float(gradients[1].abs().max()))


def feature_loss(mean_and_gram_matrix: tuple[Tensor, Tensor]) -> Tensor:
    mean, gram = mean_and_gram_matrix
    return (mean - 1).square().sum() + gram.diagonal(dim1=1, dim2=2).sqrt().sum()


@every_encoder
def test_a_change_of_one_pixel_stays_within_the_margin(name: str) -> None:
    encoder, picture = encoder_of(name), torch.rand(1, 3, 128, 128)
    changed = picture.clone()
    changed[:, :, :, 120] += 1
    for layer, before, after, stride in zip(
        encoder.layers, encoder(picture), encoder(changed), encoder.strides, strict=True
    ):
        margin = encoder.margin(layer)
        differs = ((before - after).abs() > 1e-6 * before.abs().max()).any(dim=2)[0].any(dim=0).nonzero().flatten()
        assert int(differs.min()) * stride >= 120 - margin - stride
        assert (margin < 128) == (name != "efficientnet_b0")  # its squeeze-and-excitation looks at the whole picture


@every_encoder
def test_an_unknown_layer_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(UserError, match=rf"unknown layer 'relu9_9' for {name}: choose from .*{LAYERS[name][-1]}"):
        build_encoder(**options(name, layers=["relu9_9"]))


@every_model
def test_a_model_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    """Random weights are in the file: nothing else can bring them back."""
    network = build(model_config(name)).eval()
    for encoder in network.encoders:
        encoder.set_mean_activations(mean_activations(encoder, [torch.rand(1, 3, 32, 32)]))
    network.half().float()  # the precision of the file
    copy = load_model(save_model(model_config(name), network.own_state_dict(), tmp_path / "model.safetensors"))
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(copy(picture, picture), network(picture, picture), rtol=1e-2, atol=1e-2)
    assert copy.style_encoder_id.startswith(name)


@every_model
def test_two_steps_of_training_lower_its_own_loss(name: str) -> None:
    """As encoder of content and style and as loss network."""
    module = StyleTransferModule(build(model_config(name)), loss_over(name), partial(torch.optim.SGD, lr=1e-4))
    optimizer = module.configure_optimizers()
    batch = {"content": torch.rand(1, 3, 64, 64), "style": torch.rand(1, 3, 64, 64).square()}
    totals = []
    for _ in range(3):
        optimizer.zero_grad()
        _, values = module.stylize_and_measure(batch)
        values.total.backward()
        optimizer.step()
        totals.append(float(values.total.detach()))
    assert totals[2] < totals[1] < totals[0]


@every_model
def test_two_steps_of_image_optimisation_lower_its_own_loss(name: str) -> None:
    content, style = torch.rand(1, 3, 45, 50), torch.rand(1, 3, 64, 48).square()
    objective = Objective(loss_over(name), content, [style], [1.0], None, torch.autocast("cpu", enabled=False))
    picture = torch.rand_like(content).requires_grad_(True)
    optimizer = torch.optim.Adam([picture], lr=1e-3)
    totals = []
    for _ in range(3):
        optimizer.zero_grad()
        values = objective(picture)
        values.total.backward()
        optimizer.step()
        totals.append(float(values.total.detach()))
    assert totals[2] < totals[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg19", "vgg16", "resnet50", "convnext_tiny", "efficientnet_b0"])
def test_train_and_its_config_run_two_steps(name: str, tmp_path: Path) -> None:
    overrides = [
        f"encoder={name}", "encoder.content.weights=random", "encoder.style.weights=random", "decoder=slim",
        "loss.network.weights=random", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_steps=2",
        "trainer.val_check_interval=2", "data.crop=64", "data.content_size=64", "data.style_size=64",
        "data.validation_size=64", "data.validation_pairs=2", "data.batch_size=2", "data.workers=0",
        "callbacks.contact_sheet.pairs=2", f"output_root={tmp_path}",
    ]  # fmt: skip
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", overrides)
    assert math.isfinite(train(cfg)["val/total"])
    assert load_model(Path(cfg.output_dir) / "model.safetensors").style_encoder_id.startswith(name)


def test_a_class_of_one_s_own_is_used_as_the_readme_says() -> None:
    (row,) = [line for line in (ROOT / "README.md").read_text().splitlines() if "my_package.MyModule" in line]
    given = re.findall(r"encoder\.content=\{[^}]*\}", row)
    content = given[0].replace("my_package.MyModule", SKETCH).replace("stem", "edges").replace("stage1", "parts")
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [content, content.replace("content", "style"), "decoder=slim", "model.hidden=0"])
    config = OmegaConf.to_container(cfg.model, resolve=True)
    network = build(config)  # type: ignore[arg-type]
    picture = torch.rand(1, 3, 32, 32)
    assert network(picture, picture).shape == picture.shape
    assert [encoder.describe()["name"] for encoder in network.encoders] == [SKETCH, SKETCH]
