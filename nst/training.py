"""train(cfg): from a composed config to a trained model."""

from __future__ import annotations

import logging
import secrets
import signal
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from nst.calibration import calibrate
from nst.checkpoints import load_weights, read_model, save_model
from nst.data.data_module import StyleTransferDataModule
from nst.errors import UserError
from nst.lightning_module import StyleTransferModule
from nst.losses import StyleTransferLoss
from nst.networks import build
from nst.samples import use_samples_where_missing
from nst.training_numbers import check_numbers

log = logging.getLogger(__name__)
# The sampler starts where the checkpoint was written (nst.data.data_module), which Lightning cannot know.
warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")  # inside Lightning


def train(cfg: DictConfig, callbacks: Sequence[pl.Callback] = ()) -> dict[str, float]:
    """Train, validate and keep checkpoints as ``configs/train.yaml`` says.

    Args:
        cfg: the composed config.
        callbacks: more of them than the config names.

    Returns:
        The last validation's figures, e.g. ``{"val/total": …, "val/style": …}``.

    Raises:
        UserError: folders, names or values that do not fit.
        KeyboardInterrupt: the run was interrupted; what it says is how to go on.
    """
    check_numbers(cfg)
    use_samples_where_missing(cfg)
    further_process = rank_zero_only.rank > 0  # type: ignore[attr-defined]
    if HydraConfig.initialized() and (further_process or HydraConfig.get().mode == RunMode.MULTIRUN):
        # The time in it is the first process's, or the sweep's, whose runs are numbered below.
        cfg.output_dir = HydraConfig.get().runtime.output_dir
    output = Path(cfg.output_dir)
    if cfg.seed is None:  # left open: drawn here, so that the run's config.yaml says what it was
        cfg.seed = secrets.randbits(32)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    if not further_process:
        output.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(cfg, output / "config.yaml", resolve=True)

    if cfg.module.styles_per_content > cfg.data.batch_size:
        raise UserError(
            f"module.styles_per_content={cfg.module.styles_per_content} is more than a batch has "
            f"(data.batch_size={cfg.data.batch_size}): lower it, or raise the other."
        )
    data: StyleTransferDataModule = instantiate(cfg.data)
    data.setup()
    module = build_module(cfg)
    calibrate(module.network, module.loss, (batch["content"] for batch in data.val_dataloader()))
    if cfg.init_from:
        load_weights(module.network, cfg.init_from)
    callbacks = [*(instantiate(callback) for callback in cfg.callbacks.values() if callback), *callbacks]
    loggers = [instantiate(logger) for logger in cfg.logger.values() if logger]
    trainer = _build_trainer(cfg, callbacks, loggers)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trainer.strategy.root_device.type == "cuda":
        # TF32: nothing of bfloat16 features is lost in it, and Gram matrices are quicker.
        torch.set_float32_matmul_precision("high")
    resume = find_checkpoint(cfg.ckpt_path, output) if cfg.ckpt_path else None
    try:
        if resume:
            load_weights(module.network, resume)  # refuses what does not fit; the trainer loads all the rest
            log.info("resuming from %s", resume)
        else:
            trainer.validate(module, datamodule=data, verbose=False)  # step 0: what the later figures compare with
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning leaves interruptions ignored
        raise KeyboardInterrupt("the same command with ckpt_path=last goes on from the last checkpoint") from None

    if trainer.is_global_zero:
        _report(trainer, data, output)
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}


def _build_trainer(cfg: DictConfig, callbacks: Sequence[pl.Callback], loggers: Sequence[Logger]) -> pl.Trainer:
    try:
        trainer: pl.Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=loggers)
    except InstantiationException as error:  # what Lightning refuses, e.g. an accelerator that is not there
        raise UserError(f"trainer does not fit: {error.__cause__ or error}") from error
    return trainer


def build_module(cfg: DictConfig) -> StyleTransferModule:
    """The Lightning module that a config describes."""
    model: dict[str, Any] = OmegaConf.to_container(cfg.model, resolve=True)  # type: ignore[assignment]
    loss: dict[str, Any] = OmegaConf.to_container(cfg.loss, resolve=True)  # type: ignore[assignment]
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return StyleTransferModule(
        network=build(model),
        loss=StyleTransferLoss(**loss),
        optimizer=instantiate(cfg.optimizer, _convert_="all"),  # plain lists: its options go into checkpoints
        scheduler=instantiate(cfg.scheduler) if cfg.scheduler else None,
        config=plain,
        **cfg.module,
    )


def find_checkpoint(wanted: str, output: Path) -> Path:
    """The checkpoint to resume from: a path, or ``last``: the newest ``last.ckpt`` of this run name.

    Raises:
        UserError: there is none.
    """
    if wanted != "last":
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"checkpoint {wanted!r} does not exist: give a path, or ckpt_path=last.")
        if path.suffix == ".safetensors":
            raise UserError(
                f"{wanted!r} holds weights alone, from which no run is resumed: start from it with init_from=."
            )
        return path
    runs = output.parent
    found = sorted(runs.glob("*/checkpoints/last*.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"ckpt_path=last: no run in {str(runs)!r} has a checkpoint yet: start without ckpt_path.")
    return found[-1]


def _report(trainer: pl.Trainer, data: StyleTransferDataModule, output: Path) -> None:
    best = [c.best_model_path for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    if best and best[0]:
        log.info("best checkpoint: %s", best[0])
        model = save_model(*read_model(best[0]), output / "model.safetensors")
        log.info("the same as a small file, for stylize.py (ckpt=…): %s", model)
    if unreadable := data.report.entries():
        log.warning("%d pictures could not be read and were passed over: see %s", len(unreadable), data.report.path)
