"""A batch across processes and nodes: Lightning's ``Trainer.predict`` with its own distributed sampler."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from nst.batch import Batch, Outcome
from nst.batch_plan import Job
from nst.errors import UserError
from nst.images import read_image
from nst.stylizer import Stylizer

PATIENCE = timedelta(days=30)  # for processes whose pictures take longer than the others'
Item = tuple[Job, Image.Image | UserError]


def predict(cfg: DictConfig, batch: Batch, jobs: Sequence[Job]) -> Outcome:
    """Paint every job exactly once, in the processes of ``cfg.trainer``.

    Each process runs the same script up to here; each paints its share on its own device.

    Returns:
        In the first process what became of all jobs; in the others nothing, so that it is reported once.
    """
    if not jobs:
        return batch.outcome
    for library in ("pytorch_lightning", "lightning_fabric"):  # what they say goes between the pictures' lines
        logging.getLogger(library).setLevel(logging.WARNING)
    for needless in (".*LeafSpec.*is deprecated.*", "predict returned None.*", ".*does not have many workers.*"):
        warnings.filterwarnings("ignore", message=needless)
    trainer: pl.Trainer = instantiate(
        cfg.trainer,
        precision="32-true",  # Stylizer has its own
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=sys.stdout.isatty(),
    )
    # The sampler refuses fewer items than processes: the last ones get nothing to do.
    shares = [*jobs, *[None] * (trainer.world_size - len(jobs))]
    loader = DataLoader(
        _Pictures(shares, cfg.max_pixels, cfg.first_frame), num_workers=1, collate_fn=_single, prefetch_factor=2
    )
    trainer.predict(_Share(batch, cfg.precision), loader, return_predictions=False)
    return batch.outcome if trainer.is_global_zero else Outcome()


class _Pictures(Dataset):
    """Jobs with their decoded contents, or with what is wrong with them."""

    def __init__(self, jobs: Sequence[Job | None], max_pixels: int | None, first_frame: bool) -> None:
        self._jobs, self._max_pixels, self._first_frame = jobs, max_pixels, first_frame

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, index: int) -> Item | None:
        job = self._jobs[index]
        if job is None:
            return None
        try:
            return job, read_image(job.content, first_frame=self._first_frame, max_pixels=self._max_pixels)
        except UserError as error:
            return job, error


class _Share(pl.LightningModule):
    """One process's part of the batch."""

    def __init__(self, batch: Batch, precision: str) -> None:
        super().__init__()
        self._batch, self._precision = batch, precision
        self._group: Any = None

    def on_predict_start(self) -> None:
        if dist.is_initialized():
            self._group = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._batch.stylizer = Stylizer(self._batch.stylizer.network, self.device, self._precision)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch  # Stylizer does it

    def predict_step(self, item: Item | None, index: int) -> None:
        if item is not None:
            self._batch.paint(*item)

    def on_predict_epoch_end(self) -> None:
        own = self._batch.finish()
        if self._group is None:
            return
        every: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(every, own, group=self._group)
        own.written = [path for one in every for path in one.written]
        own.failed = [failure for one in every for failure in one.failed]


def _single(items: list[Any]) -> Any:
    return items[0]
