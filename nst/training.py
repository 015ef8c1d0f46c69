"""train(cfg): from a composed config to a trained model."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, LearningRateMonitor, ProgressBar
from pytorch_lightning.utilities import rank_zero_only

from nst.calibration import calibrate, standardize
from nst.callbacks import CountedSteps, FinalValidation, KnownMonitors
from nst.checkpoints import load_weights, read_run_config
from nst.config_parts import build_group, build_part
from nst.data.data_module import StyleTransferDataModule, original_errors
from nst.errors import UserError
from nst.lightning_module import StyleTransferModule
from nst.losses import StyleTransferLoss
from nst.networks import build
from nst.resume import LAST, check_same, find_checkpoint, open_seed
from nst.run_end import finish
from nst.samples import use_samples_where_missing
from nst.training_numbers import check_training_numbers

log = logging.getLogger(__name__)
# The sampler starts where the checkpoint was written (nst.data.data_module), which Lightning cannot know.
warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")  # inside Lightning


@original_errors()
def train(cfg: DictConfig, callbacks: Sequence[pl.Callback] = ()) -> dict[str, float]:
    """Train, validate and keep checkpoints as ``configs/train.yaml`` says.

    Args:
        cfg: the composed config.
        callbacks: more of them than the config names.

    Returns:
        The last validation's figures, e.g. ``{"val/total": …, "val/style": …}``.

    Raises:
        UserError: folders, names or values that do not fit, or a loss that is no longer finite.
        KeyboardInterrupt: the run was interrupted; what it says is how to go on, if it has a checkpoint.
    """
    check_training_numbers(cfg)
    use_samples_where_missing(cfg)
    further_process = rank_zero_only.rank > 0  # type: ignore[attr-defined]
    if HydraConfig.initialized() and (further_process or HydraConfig.get().mode == RunMode.MULTIRUN):
        # The time in it is the first process's, or the sweep's, whose runs are numbered below.
        cfg.output_dir = HydraConfig.get().runtime.output_dir
    output = Path(cfg.output_dir)
    resume = find_checkpoint(cfg.ckpt_path, output) if cfg.ckpt_path else None
    stored = read_run_config(resume) if resume else {}
    if resume:
        check_same(cfg, resume, stored)
    if cfg.seed is None:  # left open: found here, so that the run's config.yaml says what it was
        cfg.seed = open_seed(stored)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    if not further_process:
        output.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(cfg, output / "config.yaml", resolve=True)

    if cfg.module.styles_per_content > cfg.data.batch_size:
        raise UserError(
            f"module.styles_per_content={cfg.module.styles_per_content} is more than a batch has "
            f"(data.batch_size={cfg.data.batch_size}): lower it, or raise the other."
        )
    data: StyleTransferDataModule = build_part(cfg, "data")
    data.setup()
    module = build_module(cfg)
    calibrate(module.network, module.loss, (batch["content"] for batch in data.val_dataloader()))
    standardize(module.network, (batch["style"] for batch in data.val_dataloader()))
    if cfg.init_from:
        load_weights(module.network, cfg.init_from)
    trainer = data.trainer = _build_trainer(cfg, callbacks)
    _check_epoch(trainer, data)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trainer.strategy.root_device.type == "cuda":
        # TF32: nothing of bfloat16 features is lost in it, and Gram matrices are quicker.
        torch.set_float32_matmul_precision("high")
    try:
        if resume:
            load_weights(module.network, resume)  # refuses what does not fit; the trainer loads all the rest
            log.info("resuming from %s", resume)
        else:
            trainer.validate(module, datamodule=data, verbose=False)  # step 0: what the later figures compare with
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        if "val/total" not in trainer.callback_metrics:  # the run that was resumed had ended: nothing was left to train
            trainer.validate(module, datamodule=data, verbose=False)
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning leaves interruptions ignored
        words = ["the same command with ckpt_path=last goes on from the last checkpoint"] * any(output.glob(LAST))
        raise KeyboardInterrupt(*words) from None
    return finish(trainer, module, data, output)


def _build_trainer(cfg: DictConfig, more: Sequence[pl.Callback]) -> pl.Trainer:
    """The trainer with the callbacks and loggers of the config, and nothing that Lightning would add to them."""
    loggers = list(build_group(cfg, "logger").values())
    configured = build_group(cfg, "callbacks")
    if not loggers:
        configured = {name: one for name, one in configured.items() if not isinstance(one, LearningRateMonitor)}
    monitors = {name: one.monitor for name, one in configured.items() if getattr(one, "monitor", None)}
    callbacks = [KnownMonitors(monitors), FinalValidation(), CountedSteps(), *configured.values(), *more]
    switches = {
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
    }
    wanted: dict[str, Any] = {name: value for name, value in switches.items() if name not in cfg.trainer}
    interval = cfg.trainer.get("val_check_interval")
    if isinstance(interval, int):  # in steps here, in batches there
        wanted["val_check_interval"] = interval * cfg.trainer.get("accumulate_grad_batches", 1)
    return build_part(cfg, "trainer", callbacks=callbacks, logger=loggers, **wanted)


def _check_epoch(trainer: pl.Trainer, data: StyleTransferDataModule) -> None:
    """Refuse an interval of validations that is longer than the epochs within which it counts.

    Raises:
        UserError: names it, and the epoch's length.
    """
    interval = trainer.val_check_interval
    if trainer.check_val_every_n_epoch is None or not isinstance(interval, int):
        return
    steps = interval // trainer.accumulate_grad_batches
    if steps > data.steps_per_epoch:
        raise UserError(
            f"trainer.val_check_interval={steps} is more steps than an epoch has ({data.steps_per_epoch}, by "
            "data.samples_per_epoch): lower it, or count over epochs with trainer.check_val_every_n_epoch=null."
        )


def build_module(cfg: DictConfig) -> StyleTransferModule:
    """The Lightning module that a config describes."""
    model: dict[str, Any] = OmegaConf.to_container(cfg.model, resolve=True)  # type: ignore[assignment]
    loss: dict[str, Any] = OmegaConf.to_container(cfg.loss, resolve=True)  # type: ignore[assignment]
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return StyleTransferModule(
        network=build(model),
        loss=StyleTransferLoss(**loss),
        optimizer=build_part(cfg, "optimizer", _convert_="all"),  # plain lists: its options go into checkpoints
        scheduler=build_part(cfg, "scheduler") if cfg.get("scheduler") else None,
        config=plain,
        **cfg.module,
    )
