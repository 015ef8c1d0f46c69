"""The end of a run: nothing that was trained is lost, and a run that failed does not pass for one that succeeded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningModule, Trainer
from safetensors.torch import load_file
from small_training import logged, losses_by_step, newest_run, small_config

from nst import Stylizer, UserError
from nst.training import train

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    return lambda *overrides: small_config(tmp_path, *overrides)


def step_of(checkpoint: Path) -> int:
    return torch.load(checkpoint, weights_only=True)["global_step"]


def test_steps_after_the_last_validation_are_validated_and_kept(composed: Compose, tmp_path: Path) -> None:
    figures = train(composed("trainer.max_steps=3"))
    run = newest_run(tmp_path)
    assert math.isfinite(figures["val/total"])
    assert [int(row["step"]) for row in logged(run, "val/total")][-1] == 2  # steps are counted from 0
    assert (run / "sheets" / "step_000003.jpg").is_file()
    assert step_of(run / "checkpoints" / "best.ckpt") == step_of(run / "checkpoints" / "last.ckpt") == 3
    picture = torch.rand(1, 3, 32, 32)
    assert Stylizer.from_checkpoint(run / "model.safetensors")(picture, picture).shape == picture.shape


def test_a_run_that_ended_goes_on_as_if_it_had_been_longer(composed: Compose, tmp_path: Path) -> None:
    options = ["scheduler=constant", "trainer.val_check_interval=4"]
    train(composed(*options, "trainer.max_steps=6", "run_name=whole"))
    train(composed(*options, "trainer.max_steps=3", "run_name=parts"))
    time.sleep(1)  # run folders are named to the second
    train(composed(*options, "trainer.max_steps=6", "run_name=parts", "ckpt_path=last"))
    whole, resumed = losses_by_step(newest_run(tmp_path, "whole")), losses_by_step(newest_run(tmp_path, "parts"))
    assert set(resumed) == {3, 4, 5}
    for step, losses in resumed.items():
        assert losses == pytest.approx(whole[step], abs=1e-5, rel=1e-5)


def test_a_run_that_has_nothing_left_to_train_still_gives_its_figures_and_model(
    composed: Compose, tmp_path: Path
) -> None:
    figures = train(composed("trainer.max_steps=2"))
    time.sleep(1)
    again = train(composed("trainer.max_steps=2", "ckpt_path=last"))
    assert again == pytest.approx(figures, rel=1e-4)
    assert (newest_run(tmp_path) / "model.safetensors").is_file()


def test_epochs_end_a_run_too_and_the_cosine_with_them(composed: Compose, tmp_path: Path) -> None:
    epochs = ["trainer.max_steps=-1", "trainer.max_epochs=2", "data.samples_per_epoch=6"]  # three steps an epoch
    figures = train(composed(*epochs, "scheduler.warmup_steps=0", "optimizer.lr=1e-3"))
    run = newest_run(tmp_path)
    assert math.isfinite(figures["val/total"]) and step_of(run / "checkpoints" / "last.ckpt") == 6
    rates = [float(row["lr-AdamW"]) for row in logged(run, "lr-AdamW")]
    expected = [1e-3 * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / 6))) for step in range(6)]
    assert rates == pytest.approx(expected)


def test_without_a_best_checkpoint_the_model_is_the_last_one_s_average(composed: Compose, tmp_path: Path) -> None:
    train(composed("trainer.max_steps=2", "callbacks.best=null"))
    run = newest_run(tmp_path)
    average = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["averaged_state_dict"]
    model = load_file(run / "model.safetensors")
    assert model.keys() == {name.removeprefix("network.") for name in average}
    assert all(torch.equal(tensor, average[f"network.{name}"].half()) for name, tensor in model.items())


def test_without_callbacks_there_is_a_model_and_nothing_of_lightning_s_own(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    figures = train(composed("trainer.max_steps=2", "callbacks=none", "~logger", "experiment=vgg19_gpu"))
    assert math.isfinite(figures["val/total"])
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"config.yaml", "model.safetensors"}
    assert "Epoch" not in "".join(capsys.readouterr())


def test_no_progress_bar_means_none(composed: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    train(composed("trainer.max_steps=1", "callbacks.progress=null", "logger.csv=null"))
    assert "Epoch" not in "".join(capsys.readouterr())


def test_a_try_leaves_no_files_but_the_config(composed: Compose, tmp_path: Path) -> None:
    figures = train(composed("debug=fast_dev_run"))
    assert math.isfinite(figures["val/total"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["config.yaml"]


class Divergence(Callback):
    """Makes a weight NaN after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: object) -> None:
        if trainer.global_step == self.step:
            next(module.network.decoder.parameters()).data.fill_(math.nan)


def test_a_run_that_diverged_is_an_error_and_leaves_no_model(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"diverged: val/total is nan at step 3: lower optimizer\.lr or .*steps\.$"):
        train(composed("trainer.max_steps=3", "optimizer.lr=1e12"))
    assert not list(tmp_path.rglob("model.safetensors")) and not list(tmp_path.rglob("best.ckpt"))


def test_a_run_that_diverges_late_leaves_the_best_model_before(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"at step 4: .* the best model before that is .*model\.safetensors\.$"):
        train(composed("trainer.max_steps=9", "trainer.val_check_interval=2"), [Divergence(step=3)])
    run = newest_run(tmp_path)
    assert step_of(run / "checkpoints" / "best.ckpt") == 2
    assert all(torch.isfinite(tensor).all() for tensor in load_file(run / "model.safetensors").values())
