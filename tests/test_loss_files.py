"""The loss that scripts/optimize.py's keys name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from nst import UserError
from nst.image_optimization import LOSS
from nst.loss_files import loss_options

CONFIGS = Path(__file__).parent.parent / "configs"


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS / "inference"), version_base="1.3"):
        return compose("optimize", overrides=list(overrides))


def test_left_out_it_is_the_loss_of_optimize_and_its_weights_can_be_given() -> None:
    assert loss_options(config()) == LOSS
    changed = loss_options(config("style_weight=7", "total_variation_weight=0"))
    assert changed == LOSS | {"style": LOSS["style"] | {"weight": 7}, "total_variation": {"weight": 0}}


def test_weights_override_the_loss_file() -> None:
    loss = loss_options(config("loss=gatys", "style_weight=7", "total_variation_weight=0"))
    assert (loss["style"]["weight"], loss["total_variation"]["weight"], loss["content"]["weight"]) == (7, 0, 1.0)
    assert loss_options(config("loss=adain", "total_variation_weight=2"))["total_variation"] == {"weight": 2}


def test_a_weight_of_a_term_that_the_loss_has_no_layers_for_is_refused() -> None:
    with pytest.raises(UserError, match="style_weight=7: the loss 'adain' has no layers for 'style': leave it out"):
        loss_options(config("loss=adain", "style_weight=7"))
    assert loss_options(config("loss=adain", "style_weight=0"))["style"]["weight"] == 0


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "loss").glob("*.yaml")))
def test_every_loss_file_means_what_it_means_in_training(name: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        in_training = compose("train", [f"loss={name}"]).loss
    assert loss_options(config(f"loss={name}")) == in_training


def test_a_loss_file_of_ones_own_can_stand_on_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("defaults: [balanced]\nbalanced: {weight: 7.0}\n")
    loss = loss_options(config(f"loss={own}"))
    assert loss["balanced"]["weight"] == 7.0 and loss["style"]["weight"] == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"- balanced\n", "no file of loss terms"),
        (b"7\n", "write it as those in configs/loss"),
        (b"content: {weight: 1.0\n", "cannot read the loss .*line"),
        (b"\xff\xd8\xff\xe0 a JPEG", "cannot read the loss"),
        (b"defaults: balanced\n", "no file of loss terms"),
        (b"defaults: [{loss: balanced}]\n", "no file of loss terms"),
        (b"defaults: [nothing]\n", "unknown loss 'nothing'"),
        (b"content: {weight: '${nowhere}'}\n", "does not fit: .*nowhere"),
        (b"style:\n  weight: ???\n", "does not fit: .*weight"),
    ],
)
def test_a_file_that_is_no_loss_is_refused_in_one_line(tmp_path: Path, text: bytes, said: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes(text)
    with pytest.raises(UserError, match=said):
        loss_options(config(f"loss={own}"))


def test_an_unknown_loss_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(UserError, match="unknown loss 'nothing': choose from .*gatys"):
        loss_options(config("loss=nothing"))
