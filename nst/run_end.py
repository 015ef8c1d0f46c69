"""The end of a run: its figures, its model, and a word on why it ended."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from nst.checkpoints import read_model, save_model
from nst.data.data_module import StyleTransferDataModule
from nst.ema import ExponentialMovingAverage
from nst.errors import UserError
from nst.lightning_module import StyleTransferModule

log = logging.getLogger(__name__)


def finish(
    trainer: pl.Trainer, module: StyleTransferModule, data: StyleTransferDataModule, output: Path
) -> dict[str, float]:
    """Write ``output/model.safetensors`` and say how the run ended.

    Returns:
        The last validation's figures.

    Raises:
        UserError: the loss of validation is not finite; the best model before that is written.
    """
    figures = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    diverged = not math.isfinite(figures.get("val/total", 0.0))
    written = None
    if trainer.is_global_zero:
        for stopping in trainer.early_stopping_callbacks:
            if stopping.wait_count >= stopping.patience:
                words = "stopped early at step %d: %s has not improved in %d validations"
                log.info(words, trainer.global_step, stopping.monitor, stopping.wait_count)
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            written = _write_model(trainer, module, output, diverged)
        if unreadable := data.report.entries():
            log.warning("%d pictures could not be read and were passed over: see %s", len(unreadable), data.report.path)
    if diverged:
        raise UserError(
            f"training diverged: val/total is {figures['val/total']} at step {trainer.global_step}: lower optimizer.lr or "
            "raise scheduler.warmup_steps" + (f"; the best model before that is {written}." if written else ".")
        )
    return figures


def _write_model(trainer: pl.Trainer, module: StyleTransferModule, output: Path, diverged: bool) -> Path | None:
    """The model of the best checkpoint, else of the last one, else as it is now; what diverged is no model."""
    kept = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    found = {c.monitor is not None: c.best_model_path for c in kept if Path(c.best_model_path).is_file()}
    best, last = found.get(True), found.get(False)
    if best is None and diverged:
        return None
    if checkpoint := best or last:
        log.info("%s checkpoint: %s", "best" if best else "last", checkpoint)
        config, state = read_model(checkpoint)
    else:
        averages = [c for c in trainer.callbacks if isinstance(c, ExponentialMovingAverage)]  # type: ignore[attr-defined]
        config = module.config["model"]
        state = averages[0].averaged_state(module) if averages else module.network.own_state_dict()
    model = save_model(config, state, output / "model.safetensors")
    log.info("a small file of it, for stylize.py (ckpt=…): %s", model)
    return model
