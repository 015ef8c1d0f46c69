"""The best checkpoint: of a run that was resumed in a folder of its own, and never of a score that is not finite; the last one:
of whole steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel

from nst.callbacks import BestCheckpoint, LastCheckpoint


class Validated(BoringModel):
    """Logs the figures it is given, one a validation."""

    def __init__(self, figures: list[float]) -> None:
        super().__init__()
        self.figures = iter(figures)

    def on_validation_epoch_end(self) -> None:
        self.log("figure", torch.tensor(next(self.figures)))


def run(folder: Path, module: LightningModule, epochs: int, resume: Path | None = None) -> BestCheckpoint:
    best = BestCheckpoint(folder, "best", monitor="figure", enable_version_counter=False)
    trainer = Trainer(
        callbacks=[best], max_epochs=epochs, limit_train_batches=1, limit_val_batches=1, num_sanity_val_steps=0,
        logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(module, ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    return best


@pytest.mark.parametrize(("later", "place", "score"), [([3.0, 2.0], "first", 1.0), ([3.0, 0.5], "second", 0.5)])
def test_the_best_of_a_resumed_run_is_the_best_of_all_of_it(
    tmp_path: Path, later: list[float], place: str, score: float
) -> None:
    run(tmp_path / "first", Validated([1.0]), epochs=1)
    best = run(tmp_path / "second", Validated(later), epochs=3, resume=tmp_path / "first" / "last.ckpt")
    assert Path(best.best_model_path) == tmp_path / place / "best.ckpt" and float(best.best_model_score) == score
    assert (tmp_path / "first" / "best.ckpt").is_file()


def test_an_earlier_best_whose_file_is_gone_is_forgotten(tmp_path: Path) -> None:
    run(tmp_path / "first", Validated([1.0]), epochs=1)
    (tmp_path / "first" / "best.ckpt").unlink()
    best = run(tmp_path / "second", Validated([3.0]), epochs=2, resume=tmp_path / "first" / "last.ckpt")
    assert Path(best.best_model_path) == tmp_path / "second" / "best.ckpt"


@pytest.mark.parametrize(
    ("figures", "score"), [([math.nan, 2.0, 3.0], 2.0), ([math.inf, 2.0], 2.0), ([2.0, math.nan, -math.inf], 2.0)]
)
def test_a_score_that_is_not_finite_is_never_the_best(tmp_path: Path, figures: list[float], score: float) -> None:
    best = run(tmp_path, Validated(figures), epochs=len(figures))
    assert float(best.best_model_score) == score


def test_without_a_finite_score_there_is_no_best(tmp_path: Path) -> None:
    best = run(tmp_path, Validated([math.nan, math.nan]), epochs=2)
    assert best.best_model_path == "" and not (tmp_path / "best.ckpt").exists()


class TimeIsUp(Callback):
    """Asks for the end from a batch on, as max_time does."""

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        trainer.should_stop = trainer.should_stop or index >= 4


def test_a_run_whose_time_is_up_finishes_the_step_that_it_accumulates(tmp_path: Path) -> None:
    last = LastCheckpoint(tmp_path, "last", every_n_train_steps=100, enable_version_counter=False)
    trainer = Trainer(
        callbacks=[TimeIsUp(), last], max_steps=20, accumulate_grad_batches=3, logger=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(BoringModel())
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
    assert (checkpoint["global_step"], batches) == (2, 6)


class Order(Callback):
    """Notes at each validation by how many steps the last checkpoint is behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.behind: list[int] = []

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        found = torch.load(self.path, weights_only=True)["global_step"] if self.path.is_file() else 0
        self.behind.append(trainer.global_step - found)


def test_the_last_checkpoint_is_written_after_the_validation_that_is_due(tmp_path: Path) -> None:
    last = LastCheckpoint(tmp_path, "last", every_n_train_steps=1, enable_version_counter=False)
    order = Order(tmp_path / "last.ckpt")
    trainer = Trainer(
        callbacks=[order, last], max_steps=4, val_check_interval=2, check_val_every_n_epoch=None, limit_val_batches=1,
        num_sanity_val_steps=0, logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(BoringModel())
    assert order.behind == [1, 1]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4
