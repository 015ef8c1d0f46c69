"""The best checkpoint of a run that was resumed in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel

from nst.callbacks import BestCheckpoint


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
