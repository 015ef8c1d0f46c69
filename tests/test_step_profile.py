"""StepProfile: it looks at the steps it was asked to, and its shares are of their time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nst.step_profile import StepProfile


class Convolutions(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3)

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


@pytest.mark.parametrize("batches", [1, 2])
def test_the_table_counts_the_convolutions_of_the_profiled_steps(tmp_path: Path, batches: int) -> None:
    callback = StepProfile(tmp_path / "run" / "profile.txt", first_step=2, steps=3)
    trainer = pl.Trainer(
        max_steps=8, accelerator="cpu", logger=False, callbacks=[callback], enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accumulate_grad_batches=batches,
    )  # fmt: skip
    trainer.fit(Convolutions(), DataLoader(torch.rand(16, 3, 16, 16), batch_size=2))
    text = callback.path.read_text()
    share, ratio = re.search(r"convolutions take ([\d.]+)%.* is ([\d.]+) times", text).groups()  # type: ignore[union-attr]
    assert 1 / float(ratio) * 100 == pytest.approx(float(share), rel=0.02, abs=0.06)  # printed to a tenth
    row = next(line for line in text.splitlines() if line.strip().startswith("aten::convolution_backward"))
    assert row.split()[-1] == str(3 * batches)
