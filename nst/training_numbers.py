"""The numbers of a training config, checked before anything is read or built."""

from __future__ import annotations

import math

from omegaconf import DictConfig, OmegaConf

from nst.config_numbers import Number, check_numbers
from nst.errors import UserError

BELOW_ONE = math.nextafter(1.0, 0.0)  # a moving average of decay 1 never moves
NUMBERS = {
    "seed": Number(0, 2**32 - 1, whole=True, optional=True),
    "optimizer.lr": Number(0),
    "optimizer.momentum": Number(0, BELOW_ONE),
    "optimizer.weight_decay": Number(0),
    "scheduler.total_steps": Number(1, optional=True),
    "scheduler.warmup_steps": Number(0),
    "module.alpha": Number(0, 1, several=True),
    "module.styles_per_content": Number(1, whole=True),
    "module.identity_samples": Number(1, whole=True),
    "module.unfreeze_at": Number(0),
    "module.encoder_learning_rate": Number(0),
    "module.spectral_penalty": Number(0),
    "data.crop": Number(32, whole=True),  # two positions a side at relu5_1
    "data.validation_size": Number(32, whole=True),
    "data.validation_fraction": Number(0, 1),
    "data.batch_size": Number(1, whole=True),
    "data.distinct_samples": Number(1, whole=True, optional=True),
    "data.validation_pairs": Number(1, whole=True),
    "data.samples_per_epoch": Number(1, whole=True),
    "data.workers": Number(0, whole=True),
    "trainer.max_steps": Number(-1, whole=True),
    "trainer.max_epochs": Number(-1, whole=True, optional=True),
    "trainer.accumulate_grad_batches": Number(1, whole=True),
    "trainer.gradient_clip_val": Number(0, optional=True),
    "trainer.log_every_n_steps": Number(0, whole=True),
    "callbacks.ema.decay": Number(0, 1),
    "callbacks.early_stopping.patience": Number(0, whole=True),
}
WEIGHT = Number(0)
DECAY = Number(0, BELOW_ONE)
SIDE = Number(1, whole=True)
SIZES = ("data.content_size", "data.style_size")
BETAS = "optimizer.betas"
ACCUMULATED = "trainer.accumulate_grad_batches"
INTERVAL, STEPS = "trainer.val_check_interval", Number(1, whole=True)


def check_training_numbers(cfg: DictConfig) -> None:
    """Refuse what is no number or out of its range, and make whole numbers integers; keys that a config lacks are passed over.

    Raises:
        UserError: names the first such key, its value and what it takes.
    """
    weights = {
        f"loss.{term}.weight": WEIGHT
        for term, options in cfg.loss.items()
        if OmegaConf.is_dict(options) and "weight" in options
    }
    check_numbers(cfg, {key: number for key, number in NUMBERS.items() if _has(cfg, key)} | weights)
    for key in SIZES:
        value = OmegaConf.select(cfg, key)
        ends = list(value) if OmegaConf.is_list(value) else [value, value]
        if len(ends) != 2 or not all(map(SIDE.takes, ends)) or ends[0] > ends[1]:
            given = "null" if value is None else value
            raise UserError(f"{key}={given}: give one side in whole pixels, or a range [shortest,longest].")
    check_numbers(cfg, dict.fromkeys(SIZES, SIDE._replace(several=True)))
    if _has(cfg, BETAS):
        betas = OmegaConf.select(cfg, BETAS)
        if not OmegaConf.is_list(betas) or len(betas) != 2 or not all(map(DECAY.takes, betas)):
            given = "null" if betas is None else betas
            raise UserError(f"{BETAS}={given}: give two numbers of at least 0 and below 1, [mean,square].")
    _check_interval(cfg)


def _check_interval(cfg: DictConfig) -> None:
    """Validations come after whole steps, so that the checkpoints which they write can be resumed.

    Lightning takes shares of an epoch and times, too.
    """
    interval = OmegaConf.select(cfg, INTERVAL)
    share = isinstance(interval, float) and 0 < interval <= 1
    if isinstance(interval, int | float) and not share:
        check_numbers(cfg, {INTERVAL: STEPS})
    elif interval not in (None, 1.0) and (batches := OmegaConf.select(cfg, ACCUMULATED) or 1) > 1:
        raise UserError(
            f"{INTERVAL}={interval} may end within a step of {ACCUMULATED}={batches}: give a whole number of steps."
        )


def _has(cfg: DictConfig, key: str) -> bool:
    """Whether a config has a key, be it null."""
    group, _, name = key.rpartition(".")
    parent = OmegaConf.select(cfg, group) if group else cfg
    return OmegaConf.is_dict(parent) and name in parent
