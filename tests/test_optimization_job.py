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
