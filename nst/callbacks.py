"""Lightning callbacks of our own: the contact sheet of validation pairs, the best checkpoint across resumptions, the last one
of an interrupted run, and what every run has: a validation at its end, checkpoints that know its steps, and known figures
to watch."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from nst.contact_sheet import contact_sheet
from nst.errors import UserError
from nst.images import write_image


class ContactSheet(pl.Callback):
    """After each validation, writes content, style and result of the first fixed pairs to a folder and to the loggers.

    Args:
        folder: gets ``step_000500.jpg`` and so on.
        pairs: number of rows.
        side: side of each picture in pixels.
    """

    def __init__(self, folder: str | Path, pairs: int = 8, side: int = 192) -> None:
        self.folder, self.pairs, self.side = Path(folder), pairs, side
        self._rows: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._rows = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Mapping[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for row in zip(batch["content"], batch["style"], outputs, strict=True):
            if len(self._rows) < self.pairs:
                self._rows.append((row[0].cpu(), row[1].cpu(), row[2].cpu()))

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        passing = trainer.sanity_checking or trainer.fast_dev_run  # type: ignore[attr-defined]
        if passing or not trainer.is_global_zero or not self._rows:
            return
        sheet = contact_sheet(self._rows, self.side)
        write_image(sheet, self.folder / f"step_{trainer.global_step:06d}.jpg", quality=90)
        for logger in trainer.loggers:
            _log_picture(logger, np.asarray(sheet), trainer.global_step)
        self._rows = []


class FinalValidation(pl.Callback):
    """Has the last step validated whatever the interval, so that none is trained in vain: before it stops early, Lightning
    validates."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        last_batch = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
        if last_batch or trainer.global_step == trainer.max_steps:
            trainer.should_stop = True


class CountedSteps(pl.Callback):
    """Has what a validation writes resumed like a checkpoint of the batch before it.

    Else Lightning would log later steps one too low where that validation is not due again, as the one at the end of a run.
    """

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.validating:
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                counts["completed"] = counts["processed"] - 1  # a batch is complete after its callbacks


class KnownMonitors(pl.Callback):
    """Refuses, at the first validation, callbacks that watch a figure which validation does not give.

    Args:
        monitors: name of a callback in the config → the figure that it watches.
    """

    def __init__(self, monitors: Mapping[str, str]) -> None:
        self.monitors = monitors

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for name, figure in self.monitors.items():
            if figure not in trainer.callback_metrics and not figure.startswith("train/"):
                known = sorted(given for given in trainer.callback_metrics if given.startswith("val/"))
                raise UserError(f"callbacks.{name}.monitor={figure}: validation gives {', '.join(known)}: choose one.")


class BestCheckpoint(ModelCheckpoint):
    """Keeps a run's best checkpoint, also where the run is resumed in a folder of its own.

    Lightning forgets the best score when the folder has changed: the first validation after it would count as the best. Here
    the earlier best stays what later ones are compared with, as long as its file is there. And the first score would be the
    best so far whatever it is: here one that is not finite never is.
    """

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        return current is not None and bool(torch.isfinite(current)) and super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if Path(state_dict["best_model_path"]).is_file():
            here = {"dirpath": self.dirpath, "last_model_path": self.last_model_path}
            super().load_state_dict({**state_dict, **here})


class LastCheckpoint(ModelCheckpoint):
    """Keeps the newest checkpoint, also that of the run's last step and of the one in which it is interrupted (Ctrl+C): the step
    is finished first, and the validation that is due after it, so that a resumed run is one that was never stopped. A
    second interruption stops at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._step = 0
        self._interrupted = False
        self._previous: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_train_start(trainer, module)
        self._step = trainer.global_step
        if threading.current_thread() is threading.main_thread():  # no other may ask for signals
            self._previous = signal.signal(signal.SIGINT, self._interrupt)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:  # gradients are still being accumulated, and in no checkpoint
            trainer.should_stop = False  # max_time, which asks again after every batch
            return
        self._step = trainer.global_step
        loop = trainer.fit_loop
        if not loop.epoch_loop._should_check_val_fx(loop._data_fetcher):  # type: ignore[arg-type]
            self._after_step(trainer, module)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_validation_end(trainer, module)
        self._after_step(trainer, module)

    def _after_step(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_train_batch_end(trainer, module, None, None, 0)  # every so many steps
        if self._interrupted or trainer.should_stop:
            self._save(trainer)
        if self._interrupted:
            raise KeyboardInterrupt

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_train_end(trainer, module)
        self._save(trainer)  # early stopping comes after the last batch
        self._restore()

    def _save(self, trainer: pl.Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        super().on_exception(trainer, module, exception)
        self._restore()

    def _interrupt(self, number: int, frame: Any) -> None:
        self._interrupted = True
        words = "writing a checkpoint after this step, and its validation if one is due; Ctrl+C again stops at once"
        print(f"\ninterrupted: {words}", file=sys.stderr)
        self._restore()

    def _restore(self) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None


def _log_picture(logger: Logger, picture: np.ndarray, step: int) -> None:
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image("val/sheet", picture, step, dataformats="HWC")
    elif isinstance(logger, WandbLogger):
        logger.log_image("val/sheet", [picture], step=step)
