"""Numbers of a training config that cannot be right are named before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from nst import UserError
from nst.training_numbers import check_numbers

CONFIGS = Path(__file__).parent.parent / "configs"


def check(*overrides: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        check_numbers(compose("train", list(overrides)))


@pytest.mark.parametrize(
    "override",
    [
        "optimizer.lr=abc",
        "optimizer.lr=-1",
        "optimizer.lr=nan",
        "scheduler.warmup_steps=-1",
        "module.styles_per_content=0",
        "module.unfreeze_at=-1",
        "data.crop=7",
        "data.validation_size=8",
        "data.batch_size=0",
        "data.validation_pairs=0",
        "data.workers=-1",
        "data.content_size=[96,64]",
        "data.style_size=[96,128,160]",
        "data.style_size=0",
        "loss.content.weight=-1",
        "loss.identity.weight=much",
        "seed=abc",
    ],
)
def test_one_line_names_the_key_and_its_value(override: str) -> None:
    with pytest.raises(UserError) as error:
        check(override)
    key, value = override.split("=")
    assert (
        str(error.value).startswith(f"{key}={value[:3]}")
        and "give" in str(error.value)
        and "\n" not in str(error.value)
    )


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml")))
def test_the_recipes_pass(experiment: str) -> None:
    check(f"experiment={experiment}")


@pytest.mark.parametrize("override", ["data.content_size=256", "seed=null", "module.unfreeze_at=null", "loss=gatys"])
def test_what_may_be_left_open_passes(override: str) -> None:
    check(override)
