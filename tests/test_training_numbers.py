"""Numbers of a training config that cannot be right are named before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from nst import UserError
from nst.training_numbers import check_training_numbers

CONFIGS = Path(__file__).parent.parent / "configs"


def check(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", list(overrides))
    check_training_numbers(cfg)
    return cfg


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
        "data.style_size=64.5",
        "data.validation_fraction=abc",
        "data.batch_size=null",
        "data.samples_per_epoch=1.5",
        "seed=abc",
        "seed=4294967296",
        "module.alpha=null",
        "module.alpha=abc",
        "module.alpha=[0.5,2]",
        "module.identity_samples=0",
        "module.unfreeze_at=null",
        "optimizer.betas=[0.9,2]",
        "optimizer.betas=[0.9]",
        "optimizer.betas=[0.9,0.99,0.999]",
        "optimizer.betas=0.9",
        "optimizer.betas=null",
        "trainer.accumulate_grad_batches=0",
        "trainer.val_check_interval=0",
        "trainer.val_check_interval=2.5",
        "callbacks.early_stopping.patience=-1",
    ],
)
def test_one_line_names_the_key_and_its_value(override: str) -> None:
    with pytest.raises(UserError) as error:
        check(override)
    key, value = override.split("=")
    assert str(error.value).startswith(f"{key}={value[:3]}") and "give" in str(error.value)


@pytest.mark.parametrize("interval", ["0.5", "00:15:00"])
def test_a_validation_that_may_come_within_a_step_is_refused(interval: str) -> None:
    with pytest.raises(UserError, match=f"val_check_interval={interval} may end within a step .* give a whole number"):
        check(f"trainer.val_check_interval='{interval}'".replace("'0.5'", "0.5"), "trainer.accumulate_grad_batches=2")


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml")))
def test_the_recipes_pass(experiment: str) -> None:
    check(f"experiment={experiment}")


@pytest.mark.parametrize(
    "override",
    [
        "data.content_size=256",
        "seed=null",
        "data.distinct_samples=null",
        "loss=gatys",
        "module.alpha=[0.5,1,1,1]",
        "trainer.val_check_interval=0.5",
        "trainer.val_check_interval='00:15:00'",
        "trainer.val_check_interval=null",
        "callbacks=none",
        "~scheduler",
    ],
)
def test_what_may_be_left_open_or_out_passes(override: str) -> None:
    check(override)


def test_a_whole_epoch_between_validations_stays_an_epoch_also_of_accumulated_steps() -> None:
    cfg = check("trainer.val_check_interval=1.0", "trainer.accumulate_grad_batches=2")
    assert isinstance(cfg.trainer.val_check_interval, float)


@pytest.mark.parametrize(
    ("override", "number"),
    [
        ("data.samples_per_epoch=1e5", 100_000),
        ("data.content_size=64.0", 64),
        ("data.style_size=[64.0,128]", [64, 128]),
        ("trainer.max_steps=2e3", 2000),
        ("trainer.val_check_interval=5e2", 500),
        ("seed=1e3", 1000),
    ],
)
def test_whole_numbers_may_be_written_as_fractions(override: str, number: object) -> None:
    found = OmegaConf.select(check(override), override.split("=")[0])
    assert found == number
    assert not any(isinstance(one, float) for one in (found if OmegaConf.is_list(found) else [found]))
