"""Lightning callbacks of our own: the contact sheet of validation pairs, the best checkpoint across resumptions, the last one
of an interrupted run."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from nst.contact_sheet import contact_sheet
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
        if trainer.sanity_checking or not trainer.is_global_zero or not self._rows:
            return
        sheet = contact_sheet(self._rows, self.side)
        write_image(sheet, self.folder / f"step_{trainer.global_step:06d}.jpg", quality=90)
        for logger in trainer.loggers:
            _log_picture(logger, np.asarray(sheet), trainer.global_step)
        self._rows = []


class BestCheckpoint(ModelCheckpoint):
    """Keeps a run's best checkpoint, also where the run is resumed in a folder of its own.

    Lightning forgets the best score when the folder has changed: the first validation after it would count as the best. Here
    the earlier best stays what later ones are compared with, as long as its file is there.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if Path(state_dict["best_model_path"]).is_file():
            here = {"dirpath": self.dirpath, "last_model_path": self.last_model_path}
            super().load_state_dict({**state_dict, **here})


class LastCheckpoint(ModelCheckpoint):
    """Keeps the newest checkpoint, also that of the step in which the run is interrupted (Ctrl+C): the step is finished first,
    so that a resumed run is one that was never stopped. A second interruption stops at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._interrupted = False
        self._previous: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_train_start(trainer, module)
        if threading.current_thread() is threading.main_thread():  # no other may ask for signals
            self._previous = signal.signal(signal.SIGINT, self._interrupt)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)
        if self._interrupted:
            trainer.save_checkpoint(self.format_checkpoint_name({}))
            raise KeyboardInterrupt

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        super().on_train_end(trainer, module)
        self._restore()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        super().on_exception(trainer, module, exception)
        self._restore()

    def _interrupt(self, number: int, frame: Any) -> None:
        self._interrupted = True
        print("\ninterrupted: writing a checkpoint after this step; Ctrl+C again stops at once", file=sys.stderr)
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
