"""train(cfg): what a run leaves behind, exact resume, loggers."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer
from safetensors.torch import load_file
from small_training import QUICK_CALLBACKS, ROOT, SMALL, logged, losses_by_step, newest_run, small_config

from nst import Stylizer, UserError
from nst.training import train

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    return lambda *overrides: small_config(tmp_path, *overrides)


def test_a_short_run_leaves_sheets_logs_checkpoints_and_a_model_that_stylizes(
    composed: Compose, tmp_path: Path
) -> None:
    metrics = train(composed("trainer.max_steps=4", "trainer.val_check_interval=2", "style=impressionism"))
    run = newest_run(tmp_path, "impressionism")

    assert math.isfinite(metrics["val/total"])
    assert {path.name for path in (run / "sheets").iterdir()} == {f"step_00000{step}.jpg" for step in (0, 2, 4)}
    validations = [float(row["val/style"]) for row in logged(run, "val/style")]
    assert len(validations) == 3 and validations[-1] < validations[0]
    first = losses_by_step(run)[0]
    weighted = sum(value for name, value in first.items() if name.startswith("train/weighted/"))
    assert first["train/total"] == pytest.approx(weighted, rel=1e-5)
    assert first["train/weighted/moment"] == pytest.approx(50 * first["train/moment"], rel=1e-5)

    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    held = [*checkpoint["state_dict"], *checkpoint["averaged_state_dict"]]
    assert not [name for name in held if name.startswith("loss.") or "convolutions" in name]
    picture = torch.rand(1, 3, 40, 56)
    for file in ("model.safetensors", "checkpoints/best.ckpt"):
        assert Stylizer.from_checkpoint(run / file)(picture, picture).shape == picture.shape


def test_the_average_is_what_a_checkpoint_gives_and_the_raw_weights_are_what_training_goes_on_from(
    composed: Compose, tmp_path: Path
) -> None:
    train(composed("trainer.max_steps=4", "trainer.val_check_interval=4"))
    checkpoint = torch.load(newest_run(tmp_path) / "checkpoints" / "best.ckpt", weights_only=True)
    name = "network.decoder.to_picture.weight"
    assert not torch.equal(checkpoint["state_dict"][name], checkpoint["averaged_state_dict"][name])


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_run_with_weight_decay_is_resumed(composed: Compose, tmp_path: Path, optimizer: str) -> None:
    options = [
        f"optimizer={optimizer}",
        "regularization=weight_decay",
        "trainer.val_check_interval=2",
        "callbacks.last.every_n_train_steps=2",
    ]
    train(composed("trainer.max_steps=2", *options))
    train(composed("trainer.max_steps=4", "ckpt_path=last", *options))
    assert set(losses_by_step(newest_run(tmp_path))) == {2, 3}
    assert Stylizer.from_checkpoint(newest_run(tmp_path) / "model.safetensors")


def test_a_run_killed_in_mid_epoch_and_resumed_logs_the_losses_of_one_never_stopped(
    composed: Compose, tmp_path: Path
) -> None:
    steps = ["trainer.max_steps=40", "trainer.val_check_interval=25"]
    train(composed(*steps, "run_name=whole"))
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *SMALL, *QUICK_CALLBACKS, *steps]
    command += [f"output_root={tmp_path}", "run_name=killed"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not list((tmp_path / "killed").glob("*/checkpoints/last.ckpt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = newest_run(tmp_path, "killed")
    stopped_at = torch.load(killed / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert stopped_at % 16 != 0 and stopped_at < 40  # an epoch has 16 steps

    time.sleep(1)  # run folders are named to the second
    train(composed(*steps, "run_name=killed", "ckpt_path=last"))
    whole, resumed = losses_by_step(newest_run(tmp_path, "whole")), losses_by_step(newest_run(tmp_path, "killed"))
    assert set(resumed) == set(range(stopped_at, 40))
    for step, losses in resumed.items():
        assert losses == pytest.approx(whole[step], abs=1e-5, rel=1e-5)


class Interruption(Callback):
    """Presses Ctrl+C in the middle of a step, as often as asked."""

    def __init__(self, step: int, times: int = 1) -> None:
        self.step, self.times = step, times

    def on_after_backward(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.global_step == self.step:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
            self.times = 0  # a step may have several batches


@pytest.mark.parametrize("batches", [1, 2])
def test_an_interrupted_run_finishes_its_step_and_goes_on_after_it(
    composed: Compose, tmp_path: Path, batches: int
) -> None:
    steps = ["trainer.max_steps=8", "trainer.val_check_interval=4", f"trainer.accumulate_grad_batches={batches}"]
    train(composed(*steps, "run_name=whole"))
    with pytest.raises(KeyboardInterrupt, match="ckpt_path=last goes on"):
        train(composed(*steps, "run_name=stopped"), [Interruption(step=5)])
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    time.sleep(1)  # run folders are named to the second
    train(composed(*steps, "run_name=stopped", "ckpt_path=last"))
    whole, resumed = losses_by_step(newest_run(tmp_path, "whole")), losses_by_step(newest_run(tmp_path, "stopped"))
    assert set(resumed) == {6, 7}
    for step, losses in resumed.items():
        assert losses == pytest.approx(whole[step], abs=1e-5, rel=1e-5)


def test_a_run_interrupted_where_a_validation_is_due_validates_as_one_never_stopped(
    composed: Compose, tmp_path: Path
) -> None:
    steps = ["trainer.max_steps=5", "trainer.val_check_interval=3", "callbacks.last.every_n_train_steps=100"]
    train(composed(*steps, "run_name=whole"))
    whole = newest_run(tmp_path, "whole")
    for step, name in ((2, "middle"), (4, "end")):
        with pytest.raises(KeyboardInterrupt, match="ckpt_path=last goes on"):
            train(composed(*steps, f"run_name={name}"), [Interruption(step=step)])
        stopped = newest_run(tmp_path, name)
        time.sleep(1)  # run folders are named to the second
        figures = train(composed(*steps, f"run_name={name}", "ckpt_path=last"))
        resumed = newest_run(tmp_path, name)
        sheets = {path.name for run in (stopped, resumed) for path in (run / "sheets").glob("*")}
        assert sheets == {path.name for path in (whole / "sheets").iterdir()}
        assert figures["val/total"] == pytest.approx(float(logged(whole, "val/total")[-1]["val/total"]), rel=1e-5)
        models = [load_file(run / "model.safetensors") for run in (whole, resumed)]
        assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])


def test_validations_come_after_whole_steps_and_their_checkpoint_goes_on_exactly(
    composed: Compose, tmp_path: Path
) -> None:
    steps = ["trainer.accumulate_grad_batches=2", "trainer.val_check_interval=3", "callbacks.last=null"]
    train(composed(*steps, "trainer.max_steps=5", "+callbacks.best.save_top_k=-1", "callbacks.best.filename='{step}'"))
    whole = newest_run(tmp_path)
    assert [int(row["step"]) + 1 for row in logged(whole, "val/total")] == [1, 3, 5]  # after 0, 3 and 5 steps
    checkpoint = whole / "checkpoints" / "step=3.ckpt"
    train(composed(*steps, "trainer.max_steps=5", f"ckpt_path='{checkpoint}'", "run_name=resumed"))
    expected, resumed = losses_by_step(whole), losses_by_step(newest_run(tmp_path, "resumed"))
    assert set(resumed) == {3, 4}
    for step, losses in resumed.items():
        assert losses == pytest.approx(expected[step], abs=1e-5, rel=1e-5)


def test_a_second_interruption_does_not_wait_for_the_step(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as stop:
        train(composed("trainer.max_steps=8", "trainer.val_check_interval=8"), [Interruption(step=2, times=2)])
    assert not list(tmp_path.rglob("last.ckpt")) and str(stop.value) == ""  # there is nothing to go on from


def test_wandb_offline_writes_its_run_folder(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(composed("logger=wandb", "trainer.max_steps=2", "trainer.val_check_interval=2"))
    import wandb

    wandb.finish()
    (folder,) = (newest_run(tmp_path) / "wandb").glob("offline-run-*")
    (log,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 30  # wandb's own service writes the last of it after finish() has returned
    while b"train/total" not in log.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert b"train/total" in log.read_bytes()
    assert list((folder / "files" / "media" / "images").rglob("*.png"))


def test_tensorboard_gets_the_losses_and_the_sheet(composed: Compose, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(composed("logger=tensorboard", "trainer.max_steps=2", "trainer.val_check_interval=2"))
    events = EventAccumulator(str(newest_run(tmp_path) / "tensorboard"))
    events.Reload()
    assert {"train/total", "val/style"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["val/sheet"]


def test_early_stopping_ends_a_run_that_no_longer_improves_and_says_so(
    composed: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = composed(
        "trainer.max_steps=30", "trainer.val_check_interval=2", "optimizer.lr=0", "callbacks.early_stopping.patience=2"
    )
    with caplog.at_level(logging.INFO):
        train(cfg)
    steps = len(losses_by_step(Path(cfg.output_dir)))
    assert steps < 12
    assert f"stopped early at step {steps}: val/total has not improved in 2 validations" in caplog.text
    last = torch.load(Path(cfg.output_dir) / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == steps


def test_encoder_layers_are_trained_from_the_step_asked_for(composed: Compose) -> None:
    cfg = composed(
        "encoder=vgg19_finetuned", "trainer.max_steps=3", "trainer.val_check_interval=3", "module.unfreeze_at=1"
    )
    cfg.encoder.content.trainable_from = "conv4_1"
    train(cfg)
    states = torch.load(Path(cfg.output_dir) / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    trained = {name for name in states if "convolutions" in name}
    assert trained == {f"network.content_encoder.convolutions.conv4_1.{part}" for part in ("weight", "bias")}
    from nst.encoders import VGG19

    original = VGG19(("relu4_1",)).convolutions["conv4_1"].weight
    change = (states["network.content_encoder.convolutions.conv4_1.weight"] - original).abs().max().item()
    assert 0 < change <= 2.1 * cfg.module.encoder_learning_rate  # Adam moves a weight by its rate at most, two steps


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("style=expressionism", "no pictures of expressionism"),
        ("data.content_dir=/nowhere", "does not exist"),
        ("ckpt_path=last", "no run"),
        ("ckpt_path=/nowhere.ckpt", "does not exist"),
        (f"ckpt_path={ROOT / 'README.md'}", "not a model of nst"),
        (f"ckpt_path={ROOT / 'nst' / 'pretrained' / 'fast.safetensors'}", "init_from="),
        ("init_from=/nowhere.ckpt", "does not exist"),
        ("fusion.layers=[relu9_1]", "relu9_1"),
        ("encoder.content.layers=[relu9_1]", "unknown layer"),
        ("loss.reduction=median", "unknown loss reduction"),
        ("decoder.upsampling=magic", "unknown decoder upsampling"),
        ("model.architecture=none", "unknown model architecture"),
        ("encoder.content.trainable_from=relu5_1", "nothing would be trained"),
        ("optimizer._target_=torch.optim.SGD", "optimizer or scheduler does not fit: .*'betas'"),
        ("optimizer._target_=torch.optim.Nothing", "optimizer does not fit"),
        ("logger.csv._target_=nowhere.Logger", "logger.csv does not fit"),
        ("callbacks.last.every_n_train_steps=-1", "callbacks.last does not fit: .*-1"),
        (
            "callbacks.best.monitor=val/totl",
            "callbacks.best.monitor=val/totl: validation gives val/content, .*val/total",
        ),
        ("callbacks.early_stopping.monitor=loss", "callbacks.early_stopping.monitor=loss: validation gives"),
        ("trainer.val_check_interval=abc", "trainer does not fit"),
        (
            "trainer.check_val_every_n_epoch=1",
            r"val_check_interval=250 is more steps than an epoch has \(16, .*lower it",
        ),
    ],
)
def test_a_mistake_in_the_config_is_one_line(composed: Compose, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(composed(override, "trainer.max_steps=1"))


def test_a_checkpoint_of_another_network_is_refused(composed: Compose, tmp_path: Path) -> None:
    state = {"network.decoder.to_picture.weight": torch.zeros(3, 1, 3, 3)}
    torch.save({"config": {"model": {}}, "state_dict": state}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="do not fit this network at 'decoder.to_picture.weight'"):
        train(composed(f"ckpt_path={tmp_path / 'other.ckpt'}", "trainer.max_steps=1"))


def test_a_seed_left_open_is_drawn_and_noted(composed: Compose) -> None:
    seeds = set()
    for name in ("one", "other"):
        cfg = composed("seed=null", "debug=fast_dev_run", "trainer.accelerator=cpu", f"run_name={name}")
        train(cfg)
        seeds.add(OmegaConf.load(Path(cfg.output_dir) / "config.yaml").data.seed)
    assert len(seeds) == 2 and all(isinstance(seed, int) for seed in seeds)


@pytest.mark.slow
def test_two_processes_train_an_encoder_that_waits(composed: Compose, tmp_path: Path) -> None:
    options = ["encoder=vgg19_finetuned", "module.unfreeze_at=2", "trainer.max_steps=4", "trainer.val_check_interval=4"]
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", f"output_root={tmp_path}"]
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *SMALL, *QUICK_CALLBACKS, *options, *ddp]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert "sync_dist" not in done.stderr  # validation figures are those of both processes
    (run,) = (tmp_path / "any").iterdir()  # one folder, also for what the second process notes
    assert set(losses_by_step(run)) == {0, 1, 2, 3}
    assert (run / "train_ddp_process_1.log").is_file()


def test_every_option_of_every_group_composes() -> None:
    groups = [path for path in (ROOT / "configs").iterdir() if path.is_dir() and path.name != "inference"]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        for option in [path for group in groups for path in group.glob("*.yaml")]:
            if option.parent.name != "hparams_search":  # these set up a sweep, which needs Hydra's own main
                assert compose("train", [f"{option.parent.name}={option.stem}"]).run_name


def test_every_key_of_every_config_has_a_comment() -> None:
    for path in (ROOT / "configs").rglob("*.yaml"):
        for line in path.read_text().splitlines():
            values = [part for part in ("_target_", "defaults:", "- ") if part in line]
            is_value = ":" in line and not line.rstrip().endswith(":") and not line.lstrip().startswith("#")
            assert not is_value or values or "#" in line, f"{path.name}: {line}"
