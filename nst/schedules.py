"""Learning-rate schedules, each a factor on the optimiser's learning rate by step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import pytorch_lightning as pl
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / (warmup_steps + 1))


def constant(optimizer: Optimizer, warmup_steps: int = 0) -> LambdaLR:
    """Linear warm-up, then constant."""
    return LambdaLR(optimizer, lambda step: _warmup(step, warmup_steps))


def cosine(optimizer: Optimizer, total_steps: float, warmup_steps: int = 0, final_factor: float = 0.02) -> LambdaLR:
    """Linear warm-up, then half a cosine down to ``final_factor`` at ``total_steps`` (Loshchilov & Hutter 2017)."""

    def factor(step: int) -> float:
        progress = min(max(step - warmup_steps, 0) / max(total_steps - warmup_steps, 1), 1.0)
        return _warmup(step, warmup_steps) * (
            final_factor + (1 - final_factor) * 0.5 * (1 + math.cos(math.pi * progress))
        )

    return LambdaLR(optimizer, factor)


def inverse_time(optimizer: Optimizer, decay: float = 5e-5, warmup_steps: int = 0) -> LambdaLR:
    """``1 / (1 + decay · step)``, the schedule of Huang & Belongie's published training code."""
    return LambdaLR(optimizer, lambda step: _warmup(step, warmup_steps) / (1 + decay * step))


def schedule_of_run(schedule: Callable[..., LRScheduler], optimizer: Optimizer, trainer: pl.Trainer) -> LRScheduler:
    """The schedule of a run; one that takes ``total_steps`` and was not told is told how many the run has."""
    asked = inspect.signature(schedule).parameters.get("total_steps")
    if asked is None or asked.default not in (None, inspect.Parameter.empty):
        return schedule(optimizer)
    return schedule(optimizer, total_steps=steps_of_run(trainer))


def steps_of_run(trainer: pl.Trainer) -> float:
    """Optimiser steps of a run: ``max_steps`` or ``max_epochs``, what comes first; infinite where neither is set.

    (Lightning's own estimate starts the loaders before a resumed run knows at which sample.)
    """
    limits = [trainer.max_steps] if trainer.max_steps != -1 else []
    if trainer.max_epochs not in (None, -1):
        limits.append(trainer.max_epochs * trainer.datamodule.steps_per_epoch)  # type: ignore[attr-defined,operator]
    return min(limits, default=math.inf)
