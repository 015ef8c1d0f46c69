"""Models in Hugging Face's layout: what comes back is what was saved, and nothing else is taken for a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub import LocalHub
from huggingface_hub import ModelCard
from PIL import Image

from nst import Stylizer, UserError
from nst.networks import StyleTransferNetwork, build


@pytest.fixture
def stylizer(tiny_config: dict[str, Any]) -> Stylizer:
    """A model whose weights are float32, so that float16 would lose some."""
    for part in ("content_encoder", "style_encoder"):
        tiny_config[part] |= {"weights": "caffe", "normalized": True}
    network = build(tiny_config)
    torch.nn.init.normal_(network.decoder.to_picture.weight)  # a new one paints grey only
    return Stylizer(network, precision="float32", device="cpu")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    return LocalHub(tmp_path / "hub", monkeypatch)


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8))


def painted(stylizer: Stylizer) -> bytes:
    return stylizer(noise(0), noise(1)).tobytes()


def loaded(source: str | Path, **options: Any) -> Stylizer:
    return Stylizer.from_pretrained(source, precision="float32", device="cpu", **options)


def test_a_saved_model_paints_the_same_picture_to_the_byte(stylizer: Stylizer, tmp_path: Path) -> None:
    folder = stylizer.save_pretrained(tmp_path / "models" / "tiny")
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    before = stylizer.network.own_state_dict()
    assert not all(torch.equal(tensor, tensor.half().float()) for tensor in before.values())  # float16 would lose some
    assert painted(loaded(folder)) == painted(stylizer)
    assert painted(Stylizer.from_checkpoint(str(folder), precision="float32", device="cpu")) == painted(stylizer)


@pytest.mark.parametrize("name", ["fast", "vgg19"])
def test_a_bundled_model_comes_back_to_the_byte_and_no_larger(name: str, tmp_path: Path) -> None:
    stylizer = loaded(name)
    folder = stylizer.save_pretrained(tmp_path / name)
    assert painted(loaded(folder)) == painted(stylizer)
    parameters = sum(tensor.numel() for tensor in stylizer.network.own_state_dict().values())
    assert (folder / "model.safetensors").stat().st_size < 2 * parameters + 50_000  # float16 and a header


def test_the_card_is_one_that_the_hub_reads(stylizer: Stylizer, tmp_path: Path) -> None:
    folder = stylizer.save_pretrained(
        tmp_path / "tiny", license="cc-by-4.0", description="Trained on *twenty* pictures."
    )
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "nst" and card.data.pipeline_tag == "image-to-image"
    assert card.data.license == "cc-by-4.0" and "style-transfer" in card.data.tags
    assert "Trained on *twenty* pictures." in card.text and f'from_pretrained("{folder}")' in card.text


def test_a_card_of_ones_own_stays_unless_there_is_a_new_description(stylizer: Stylizer, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("by hand")
    stylizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="license='cc-by-4.0' would not get into the README.md"):
        stylizer.save_pretrained(tmp_path, license="cc-by-4.0")
    assert card.read_text() == "by hand"
    stylizer.save_pretrained(tmp_path, description="new")
    assert "new" in card.read_text() and "by hand" not in card.read_text()


def spoil(folder: Path, how: str) -> None:
    config = folder / "config.json"
    if how == "pickle":
        (folder / "model.safetensors").unlink()
        torch.save({"state_dict": {}}, folder / "pytorch_model.bin")
    elif how == "no config":
        config.unlink()
    elif how == "no json":
        config.write_text("{")
    elif how == "list":
        config.write_text("[1, 2]")
    elif how == "other config":
        described = json.loads(config.read_text())
        described["model"]["decoder"]["depth"] = 2
        config.write_text(json.dumps(described))
    elif how == "no model":
        (folder / "model.safetensors").write_bytes(b"text")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("pickle", "has no model.safetensors"),
        ("no config", "has no config.json"),
        ("no json", "is not the config of a model of nst"),
        ("list", "is not the config of a model of nst"),
        ("other config", "describes another model than model.safetensors"),
        ("no model", "is not a model of nst"),
    ],
)
def test_folders_that_are_no_model_are_refused_in_one_line(
    how: str, message: str, stylizer: Stylizer, tmp_path: Path
) -> None:
    spoil(stylizer.save_pretrained(tmp_path / "tiny"), how)
    with pytest.raises(UserError, match=message) as error:
        loaded(tmp_path / "tiny")
    assert "\n" not in str(error.value)


def test_a_model_goes_to_the_hub_and_comes_back(stylizer: Stylizer, hub: LocalHub) -> None:
    address = stylizer.push_to_hub("me/tiny", description="First.", commit_message="First model")
    assert address.endswith("me/tiny") and hub.commits == ["First model"]
    assert {path.name for path in hub.folder("me/tiny").iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert 'from_pretrained("me/tiny")' in (hub.folder("me/tiny") / "README.md").read_text()
    assert painted(loaded("me/tiny")) == painted(stylizer)

    (hub.folder("me/tiny") / "README.md").write_text("written on the hub")
    stylizer.push_to_hub("me/tiny")
    assert (hub.folder("me/tiny") / "README.md").read_text() == "written on the hub"


def test_a_revision_is_another_model(stylizer: Stylizer, hub: LocalHub) -> None:
    stylizer.push_to_hub("me/tiny")
    hub.folder("me/tiny").rename(hub.folder("me/tiny", "v1"))
    torch.nn.init.normal_(stylizer.network.decoder.to_picture.weight)
    stylizer.push_to_hub("me/tiny")
    assert painted(loaded("me/tiny")) == painted(stylizer) != painted(loaded("me/tiny", revision="v1"))
    with pytest.raises(UserError, match=r"the hub gave no model at revision 'v2': 404 Client Error.* not found\.$"):
        loaded("me/tiny", revision="v2")


def test_a_folder_here_comes_before_the_hub(
    stylizer: Stylizer, hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stylizer.save_pretrained("me/tiny")
    assert painted(loaded("me/tiny")) == painted(stylizer)
    for source in ("me/tiny", "fast"):
        with pytest.raises(UserError, match=f"revision is for repositories on the hub: '{source}' is on this machine"):
            loaded(source, revision="main")


def test_what_the_hub_has_not_is_named(hub: LocalHub, stylizer: Stylizer) -> None:
    with pytest.raises(UserError, match="'me/nothing' is no file or folder here, and the hub gave no model: 404"):
        loaded("me/nothing")
    for name in (
        "nothing",
        "me/nothing.safetensors",
        "../me/nothing",
        "a/b/c",
    ):  # no repository's name: never asked for
        with pytest.raises(UserError, match="does not exist: give a file"):
            loaded(name)
    with pytest.raises(UserError, match="'nothing' is not a name on the hub"):
        stylizer.push_to_hub("nothing")


@pytest.mark.parametrize("how", ["pickle", "no config", "other config"])
def test_repositories_of_something_else_are_refused(how: str, stylizer: Stylizer, hub: LocalHub) -> None:
    stylizer.push_to_hub("me/tiny")
    spoil(hub.folder("me/tiny"), how)
    with pytest.raises(UserError, match="has no |another model"):
        loaded("me/tiny")


def test_a_refusal_of_the_hub_is_one_line(stylizer: Stylizer, hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ConnectionError("401 Client Error\n\nlog in")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    with pytest.raises(UserError, match="^'me/tiny' could not be pushed: 401 Client Error$"):
        stylizer.push_to_hub("me/tiny")


def test_without_the_client_only_the_hub_is_out_of_reach(
    stylizer: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert painted(loaded(stylizer.save_pretrained(tmp_path))) == painted(stylizer)
    for call in (lambda: stylizer.push_to_hub("me/tiny"), lambda: loaded("me/tiny")):
        with pytest.raises(UserError, match=r'install its client: pip install -e "\.\[hub\]"'):
            call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "their_package.Net"}, "no code of their own: content_encoder is 'their_package.Net'"),
        ({"weights": "/home/me/vgg.pth"}, "no other file: content_encoder takes its weights from '/home/me/vgg.pth'"),
    ],
)
def test_code_and_files_of_one_machine_are_neither_sent_nor_fetched(
    change: dict[str, str], message: str, stylizer: Stylizer, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(json.dumps(stylizer.network.config))
    config["content_encoder"] |= change
    stylizer.network.config = config
    with pytest.raises(UserError, match=message):
        stylizer.push_to_hub("me/tiny")
    with monkeypatch.context() as other_program:
        other_program.setattr("nst.sharing.require_portable", lambda config: None)
        stylizer.push_to_hub("me/tiny")
    with pytest.raises(UserError, match=message):
        loaded("me/tiny")


def test_a_network_made_by_hand_is_not_saved(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    tiny_config.pop("architecture")
    with pytest.raises(UserError, match="was not made by nst.networks.build"):
        Stylizer(StyleTransferNetwork(**tiny_config)).save_pretrained(tmp_path)


def test_a_place_that_cannot_be_written_is_named(stylizer: Stylizer, tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UserError, match=r"config\.json' cannot be written"):
        stylizer.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*.part"))
