"""Exponential moving average of what is trained."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn


class ExponentialMovingAverage(pl.Callback):
    """Keeps ``average ← d·average + (1 − d)·weights`` after every step of the optimizer; validation and checkpoints use the average.

    Lightning's own callback averages the whole module; here most of that is frozen VGG-19, which would be copied every
    step and stored in every checkpoint. The decay is ``min(decay, (1 + n) / (10 + n))`` at step n, so that the first
    random weights are soon forgotten.

    Checkpoints get ``averaged_state_dict`` beside the ``state_dict`` that training goes on from.
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay
        self._average: dict[str, Tensor] = {}
        self._step = 0

    @staticmethod
    def _trained(module: pl.LightningModule) -> dict[str, nn.Parameter]:
        names = module.network.own_state_dict().keys()  # type: ignore[union-attr,operator]
        return {name: p for name, p in module.network.named_parameters() if name in names}  # type: ignore[union-attr]

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self._average:
            self._average = {name: p.detach().clone() for name, p in self._trained(module).items()}
        self._average = {name: tensor.to(module.device) for name, tensor in self._average.items()}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        step = trainer.global_step
        if step == self._step:  # gradients are still being accumulated
            return
        self._step = step
        decay = min(self.decay, (1 + step) / (10 + step))
        trained = self._trained(module)
        averages = [self._average[name] for name in trained]
        torch._foreach_lerp_(averages, [parameter.detach() for parameter in trained.values()], 1 - decay)

    @torch.no_grad()
    def _swap(self, module: pl.LightningModule) -> None:
        for name, parameter in self._trained(module).items():
            current = parameter.detach().clone()
            parameter.copy_(self._average[name])
            self._average[name] = current

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._average:
            self._swap(module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._average:  # before checkpoints are written in on_validation_end
            self._swap(module)

    def averaged_state(self, module: pl.LightningModule) -> dict[str, Tensor]:
        """The network's own state with the average in place of the weights."""
        return {**module.network.own_state_dict(), **self._average}  # type: ignore[operator,union-attr,dict-item]

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        state = self.averaged_state(module)
        checkpoint["averaged_state_dict"] = {f"network.{name}": tensor for name, tensor in state.items()}

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        stored = checkpoint.get("averaged_state_dict", checkpoint["state_dict"])
        names = self._trained(module)
        self._average = {name: stored[f"network.{name}"].clone() for name in names}
