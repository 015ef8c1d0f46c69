"""scripts/optimize.py's job: files in, a file out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from nst import UserError
from nst.optimization_job import _loss, run_optimization

CONFIGS = Path(__file__).parent.parent / "configs" / "inference"


def config(*overrides: str):  # type: ignore[no-untyped-def]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("optimize", overrides=list(overrides))


def test_a_sample_is_painted_and_intermediate_pictures_are_kept(tmp_path: Path) -> None:
    output = tmp_path / "painted.jpg"
    cfg = config("size=64", "steps=4", "save_every=2", f"output={output}", "loss=gatys")
    assert run_optimization(cfg) == output
    with Image.open(output) as picture:
        assert min(picture.size) == 64
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "painted.jpg", "painted_64px_step00002.jpg", "painted_64px_step00004.jpg",
    ]  # fmt: skip


def test_weights_override_the_loss_file(tmp_path: Path) -> None:
    loss = _loss(config("loss=gatys", "style_weight=7", "total_variation_weight=0"))
    assert (loss["style"]["weight"], loss["total_variation"]["weight"], loss["content"]["weight"]) == (7, 0, 1.0)
    with pytest.raises(UserError, match="unknown loss 'nothing': choose from .*gatys"):
        _loss(config("loss=nothing"))


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS.parent / "loss").glob("*.yaml")))
def test_every_loss_file_means_what_it_means_in_training(name: str) -> None:
    with initialize_config_dir(str(CONFIGS.parent), version_base="1.3"):
        in_training = compose("train", [f"loss={name}"]).loss
    assert _loss(config(f"loss={name}")) == in_training


def test_a_loss_file_of_ones_own_can_stand_on_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("defaults: [balanced]\nbalanced: {weight: 7.0}\n")
    loss = _loss(config(f"loss={own}"))
    assert loss["balanced"]["weight"] == 7.0 and loss["style"]["weight"] == 0.0
    own.write_text("- balanced\n")
    with pytest.raises(UserError, match="no file of loss terms"):
        _loss(config(f"loss={own}"))
