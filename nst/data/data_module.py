"""StyleTransferDataModule: two folders in, batches of pairs out."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from nst.data.folders import UnreadableReport, find_movements, name_fraction, split_by_name
from nst.data.pairs import FixedPairs, PairDataset, Size, collate, readable
from nst.errors import UserError
from nst.images import find_images

Loader = DataLoader[dict[str, Tensor]]


class ResumableSampler(DistributedSampler[int]):
    """Sample numbers from ``start`` to the end of that epoch, then epoch after epoch, shared among processes.

    Being a DistributedSampler, it is left alone by Lightning, which would otherwise shuffle over it.
    """

    def __init__(self, samples_per_epoch: int, start: int, replicas: int, rank: int) -> None:
        super().__init__(range(samples_per_epoch), num_replicas=replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.samples_per_epoch, self.start = samples_per_epoch, start

    def __iter__(self) -> Iterator[int]:
        start = self.start
        self.start = (start // self.samples_per_epoch + 1) * self.samples_per_epoch
        return iter(range(start + self.rank, self.start, self.num_replicas))


class StyleTransferDataModule(pl.LightningDataModule):
    """Training pairs drawn at random and fixed validation pairs from a content and a style folder of any depth.

    A picture belongs to validation by its name alone, so it never slips into training.

    Args:
        content_dir: photographs.
        style_dir: one sub-folder a movement, or pictures directly.
        movements: sub-folders to use, see :func:`nst.data.folders.find_movements`; ``None`` takes all.
        crop, content_size, style_size, flip, squash, seed: see :class:`nst.data.pairs.PairDataset`.
        batch_size: pairs a step and process.
        distinct_samples: start again after so many pairs; ``None``: never.
        samples_per_epoch: pairs that count as an epoch, over all processes.
        validation_fraction: share of pictures held out.
        validation_pairs: number of fixed pairs.
        validation_size: shorter side and crop of validation pictures.
        workers: loader processes.
        report: file that lists unreadable pictures.
    """

    def __init__(
        self,
        content_dir: str | Path,
        style_dir: str | Path,
        movements: str | Sequence[str | Sequence[str]] | None = None,
        crop: int = 256,
        content_size: Size = 400,
        style_size: Size = 400,
        flip: bool = True,
        squash: bool = False,
        batch_size: int = 4,
        distinct_samples: int | None = None,
        samples_per_epoch: int = 2000,
        validation_fraction: float = 0.05,
        validation_pairs: int = 16,
        validation_size: int = 256,
        workers: int = 1,
        seed: int = 0,
        report: str | Path = "unreadable.txt",
    ) -> None:
        super().__init__()
        self.content_dir, self.style_dir, self.movements = Path(content_dir), Path(style_dir), movements
        self.crop, self.content_size, self.style_size = crop, content_size, style_size
        self.flip, self.squash, self.seed, self.distinct_samples = flip, squash, seed, distinct_samples
        self.batch_size, self.samples_per_epoch, self.workers = batch_size, samples_per_epoch, workers
        self.validation_fraction, self.validation_pairs = validation_fraction, validation_pairs
        self.validation_size = validation_size
        self.report = UnreadableReport(report)

    def setup(self, stage: str | None = None) -> None:
        """List and split the pictures.

        Raises:
            UserError: a folder is missing, empty or has no readable picture, or no share of them is held out.
        """
        if not 0 < self.validation_fraction < 1:
            raise UserError(
                f"data.validation_fraction must lie between 0 and 1, and be neither: found {self.validation_fraction}."
            )
        if not self.content_dir.is_dir():
            raise UserError(f"content folder {str(self.content_dir)!r} does not exist: set data.content_dir.")
        self.contents, contents = split_by_name(find_images(self.content_dir), self.validation_fraction)
        self.styles: dict[str, list[Path]] = {}
        held_out: list[Path] = []
        for movement, paths in find_movements(self.style_dir, self.movements).items():
            self.styles[movement], validation = split_by_name(paths, self.validation_fraction)
            held_out += validation
        # In the order of their hash: a mixture of movements, and the same one whatever is added.
        contents, held_out = sorted(contents, key=name_fraction), sorted(held_out, key=name_fraction)
        self.validation_contents = readable(contents[: self.validation_pairs], self.report, self.validation_size)
        self.validation_styles = readable(held_out[: self.validation_pairs], self.report, self.validation_size)
        for name, paths in (("content", self.validation_contents), ("style", self.validation_styles)):
            if not paths:
                raise UserError(
                    f"none of the {name} pictures held out for validation can be read: see {self.report.path}."
                )

    def train_dataloader(self) -> Loader:
        dataset = PairDataset(
            self.contents,
            self.styles,
            self.crop,
            self.content_size,
            self.style_size,
            self.flip,
            self.squash,
            self.seed,
            self.report,
            self.distinct_samples,
        )
        replicas, rank, steps = 1, 0, 0
        if self.trainer is not None:
            replicas, rank, steps = self.trainer.world_size, self.trainer.global_rank, self.trainer.global_step
        # Whole optimiser steps make an epoch: at its end Lightning would take one of fewer batches.
        samples = self._samples_per_step
        sampler = ResumableSampler(self.steps_per_epoch * samples, steps * samples, replicas, rank)
        return self._loader(dataset, sampler)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps that count as an epoch."""
        return max(self.samples_per_epoch // self._samples_per_step, 1)

    @property
    def _samples_per_step(self) -> int:
        """Pairs that all processes together see before the optimiser steps."""
        if self.trainer is None:
            return self.batch_size
        return self.batch_size * self.trainer.world_size * self.trainer.accumulate_grad_batches

    def val_dataloader(self) -> Loader:
        size = self.validation_size
        return self._loader(
            FixedPairs(self.validation_contents, self.validation_styles, self.validation_pairs, size, size)
        )

    def _loader(self, dataset: PairDataset | FixedPairs, sampler: ResumableSampler | None = None) -> Loader:
        return DataLoader(
            dataset, self.batch_size, sampler=sampler, num_workers=self.workers, collate_fn=collate,
            persistent_workers=self.workers > 0, worker_init_fn=_leave_interruptions_to_the_run, pin_memory=self._for_cuda(),
        )  # fmt: skip

    def _for_cuda(self) -> bool:
        """Whether batches go to a GPU, which copies page-locked memory while it computes."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


def _leave_interruptions_to_the_run(worker: int) -> None:
    """Ctrl+C reaches every process of a terminal; loaders are still needed for the step that the run finishes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def original_errors() -> Iterator[None]:
    """Lets a UserError of a loader process come out as it was: torch makes its message of the process's whole traceback."""
    try:
        yield
    except UserError as error:
        _, found, message = str(error).rpartition(f"{UserError.__module__}.{UserError.__name__}: ")
        if not found:
            raise
        raise UserError(message) from error
