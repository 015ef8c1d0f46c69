"""The moving average of the weights follows the optimiser's steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nst.ema import ExponentialMovingAverage
from nst.networks import build


def test_accumulated_batches_move_the_average_once_a_step(tiny_config: dict[str, Any]) -> None:
    module: Any = SimpleNamespace(network=build(tiny_config), device="cpu")
    trainer: Any = SimpleNamespace(global_step=7)  # as after a resumption
    weight = module.network.decoder.to_picture.weight
    before = weight.detach().clone()
    average = ExponentialMovingAverage(decay=0.9)
    average.on_fit_start(trainer, module)
    average.on_train_start(trainer, module)
    expected = before
    for step in (8, 9):
        average.on_train_batch_end(trainer, module)  # a batch after which the optimiser does not step
        with torch.no_grad():
            weight.add_(1.0)
        trainer.global_step = step
        average.on_train_batch_end(trainer, module)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    checkpoint = {"state_dict": {}}
    average.on_save_checkpoint(trainer, module, checkpoint)
    found = checkpoint["averaged_state_dict"]["network.decoder.to_picture.weight"]
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-5)
