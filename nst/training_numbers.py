"""The numbers of a training config, checked before anything is read or built."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from nst.errors import UserError

LEAST = {
    "optimizer.lr": 0,
    "optimizer.weight_decay": 0,
    "scheduler.warmup_steps": 0,
    "module.styles_per_content": 1,
    "module.unfreeze_at": 0,
    "module.encoder_learning_rate": 0,
    "module.spectral_penalty": 0,
    "data.crop": 32,  # two positions a side at relu5_1
    "data.validation_size": 32,
    "data.batch_size": 1,
    "data.validation_pairs": 1,
    "data.samples_per_epoch": 1,
    "data.workers": 0,
}
SIZES = ("data.content_size", "data.style_size")


def check_numbers(cfg: DictConfig) -> None:
    """Refuse what is no number or too small; keys that a config lacks or leaves open are passed over.

    Raises:
        UserError: names the first such key, its value and what it takes.
    """
    for key, least in LEAST.items():
        _require(cfg, key, least)
    for term, options in cfg.loss.items():
        if OmegaConf.is_dict(options) and "weight" in options:
            _require(cfg, f"loss.{term}.weight", 0)
    for key in SIZES:
        value = OmegaConf.select(cfg, key)
        ends = list(value) if OmegaConf.is_list(value) else [value, value]
        if len(ends) != 2 or not all(map(_is_number, ends)) or not 1 <= ends[0] <= ends[1]:
            raise UserError(f"{key}={value}: give one side in pixels, or a range [shortest,longest].")
    if cfg.seed is not None and (not isinstance(cfg.seed, int) or cfg.seed < 0):
        raise UserError(f"seed={cfg.seed}: give a whole number of at least 0, or null.")


def _require(cfg: DictConfig, key: str, least: int) -> None:
    value = OmegaConf.select(cfg, key)
    if value is not None and not (_is_number(value) and value >= least):
        raise UserError(f"{key}={value}: give a number of at least {least}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
