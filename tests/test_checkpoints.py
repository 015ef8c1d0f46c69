"""Models on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.torch import save_file

import nst.checkpoints
from nst.checkpoints import bundled_models, load_model, load_weights, read_model, save_model
from nst.errors import UserError
from nst.networks import StyleTransferNetwork, build

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.fixture
def network(tiny_config: dict[str, Any]) -> StyleTransferNetwork:
    """A network whose encoders have the Caffe weights, so that what it learned is all there is to store."""
    for part in ("content_encoder", "style_encoder"):
        tiny_config[part] |= {"weights": "caffe", "normalized": True}
    network = build(tiny_config)
    torch.nn.init.normal_(network.decoder.to_picture.weight)  # a new one paints grey only
    return network


def painted(network: StyleTransferNetwork) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        return network(*(torch.rand(1, 3, 16, 16, generator=generator) for _ in "ab"))


def lightning_like(config: dict[str, Any], state: dict[str, torch.Tensor]) -> dict[str, Any]:
    named = {f"network.{name}": tensor for name, tensor in state.items()}
    return {
        "config": {"model": config, "seed": 1},
        "state_dict": named,
        "epoch": 3,
        "optimizer_states": [{"state": {}}],
    }


def test_a_saved_model_paints_as_it_did_to_half_precision(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    path = save_model(tiny_config, network.own_state_dict(), tmp_path / "models" / "tiny.safetensors")
    loaded = load_model(path)
    assert not loaded.training
    expected = painted(network)
    assert float((painted(loaded) - expected).norm() / expected.norm()) < 5e-3


def test_a_saved_model_keeps_config_and_weights(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    path = save_model(tiny_config, network.own_state_dict(), tmp_path / "tiny.safetensors")
    config, state = read_model(path)
    assert config["fusion"] == tiny_config["fusion"]
    assert {int(stride): width for stride, width in config["decoder"]["widths"].items()} == {2: 8, 1: 4}
    assert set(state) == set(network.own_state_dict())
    for name, tensor in network.own_state_dict().items():
        assert state[name].dtype == torch.float16
        assert torch.equal(state[name], tensor.half())


def test_a_model_of_the_default_architecture_is_under_20_megabytes(tmp_path: Path) -> None:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = OmegaConf.to_container(compose("train").model, resolve=True)
    assert isinstance(config, dict)
    network = build(config)  # type: ignore[arg-type]
    path = save_model(config, network.own_state_dict(), tmp_path / "default.safetensors")  # type: ignore[arg-type]
    assert 1e6 < path.stat().st_size < 20e6
    assert load_model(path).fusion.layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def test_a_training_checkpoint_is_a_model(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning_like(tiny_config, network.own_state_dict()), path)
    assert torch.equal(painted(load_model(path)), painted(network))


def test_the_average_of_the_weights_is_preferred(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    state = network.own_state_dict()
    shifted = state | {"decoder.to_picture.bias": state["decoder.to_picture.bias"] + 1}
    checkpoint = lightning_like(tiny_config, shifted)
    checkpoint["averaged_state_dict"] = {f"network.{name}": tensor for name, tensor in state.items()}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    assert torch.equal(painted(load_model(tmp_path / "last.ckpt")), painted(network))


def test_weights_alone_can_start_another_network(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning_like(tiny_config, network.own_state_dict()), path)
    other = build(tiny_config)
    load_weights(other, path)
    assert torch.equal(painted(other), painted(network))
    tiny_config["decoder"]["widths"] = {2: 16, 1: 4}
    with pytest.raises(UserError, match="do not fit this network"):
        load_weights(build(tiny_config), path)


def test_bundled_models_are_read_by_name(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nst.checkpoints, "PRETRAINED_FOLDER", tmp_path)
    save_model(tiny_config, network.own_state_dict(), tmp_path / "tiny.safetensors")
    save_model(tiny_config, network.own_state_dict(), tmp_path / "no_card.safetensors")
    (tmp_path / "tiny.md").write_text("# A model card")
    (tmp_path / "no_model.md").write_text("# A card alone")
    assert list(bundled_models()) == ["tiny"]
    assert load_model("tiny").fusion.layers == network.fusion.layers
    with pytest.raises(
        UserError, match=r"model 'large' does not exist: give a file, a folder or a bundled name \(tiny\)"
    ):
        load_model("large")


class Intruder:
    """Unpickled without care, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"config": {"model": Intruder(tmp_path / "made")}, "state_dict": {}}, path)
    with pytest.raises(UserError, match="is not a model of nst"):
        read_model(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("text", ["", "some text", "a list of things", "just text", "model: vgg19", "{}"])
def test_text_files_are_refused(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_text(text)
    with pytest.raises(UserError, match="is not a model of nst"):
        read_model(path)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"network.a": torch.zeros(1)}},
        {"config": {"model": {"architecture": "multiscale"}}},
        {"config": "multiscale", "state_dict": {}},
        {"config": {"model": {"architecture": "multiscale"}}, "state_dict": None},
        {"config": {"model": {"architecture": "multiscale"}}, "state_dict": [1, 2]},
        [1, 2],
        None,
        torch.zeros(3),
    ],
    ids=["no config", "no state", "config of text", "state of None", "state of a list", "list", "None", "tensor"],
)
def test_other_peoples_checkpoints_are_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "model.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match="is not a model of nst"):
        read_model(path)


def test_other_peoples_safetensors_are_refused(tmp_path: Path) -> None:
    metadata = [
        None,
        {"format": "pt"},
        {"format": nst.checkpoints.FORMAT},
        {"format": nst.checkpoints.FORMAT, "config": "{"},
    ]
    for number, entries in enumerate(metadata):
        path = tmp_path / f"{number}.safetensors"
        save_file({"weight": torch.zeros(1)}, path, entries)
        with pytest.raises(UserError, match="is not a model of nst"):
            read_model(path)


def test_a_file_cut_off_is_refused(network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    model = save_model(tiny_config, network.own_state_dict(), tmp_path / "a.safetensors")
    checkpoint = tmp_path / "b.ckpt"
    torch.save(lightning_like(tiny_config, network.own_state_dict()), checkpoint)
    for path in (model, checkpoint):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match="is not a model of nst|cannot be read"):
            read_model(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"model '{tmp_path / 'missing.ckpt'}' does not exist"):
        read_model(tmp_path / "missing.ckpt")
    with pytest.raises(UserError, match=f"folder '{tmp_path}' is not a model of nst: it has no model.safetensors"):
        read_model(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.safetensors").mkdir()
    for path in (tmp_path / "file" / "model.safetensors", tmp_path / "folder.safetensors"):
        with pytest.raises(UserError, match="cannot be written"):
            save_model({}, {"a": torch.zeros(1)}, path)


def test_fine_tuning_starts_from_a_model_whose_encoder_was_frozen(
    network: StyleTransferNetwork, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    path = save_model(tiny_config, network.own_state_dict(), tmp_path / "frozen.safetensors")
    for part in ("content_encoder", "style_encoder"):
        tiny_config[part]["trainable_from"] = "conv2_1"
    tuned = build(tiny_config)
    load_weights(tuned, path)
    expected = painted(network)
    assert float((painted(tuned) - expected).norm() / expected.norm()) < 5e-3


def test_a_failed_save_leaves_the_model_that_was_there(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    path = save_model({"a": 1}, {"weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with full_disk(), pytest.raises(UserError, match="cannot be written"):
        save_model({"a": 2}, {"weight": torch.zeros(100_000)}, path)
    assert read_model(path)[0] == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
