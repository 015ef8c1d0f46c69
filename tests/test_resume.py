"""Going on with a run: with its seed, and only where its checkpoint fits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from small_training import losses_by_step, newest_run, small_config

from nst import UserError
from nst.resume import check_same, find_checkpoint, open_seed
from nst.training import train


def test_the_newest_last_checkpoint_of_the_run_name_is_taken(tmp_path: Path) -> None:
    for age, name in ((30, "a"), (10, "b"), (20, "c")):
        path = tmp_path / "mine" / name / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    (tmp_path / "other" / "d" / "checkpoints").mkdir(parents=True)
    (tmp_path / "other" / "d" / "checkpoints" / "last.ckpt").touch()
    assert find_checkpoint("last", tmp_path / "mine" / "now").parent.parent.name == "b"
    with pytest.raises(UserError, match="no run in .*third.* has a checkpoint yet"):
        find_checkpoint("last", tmp_path / "third" / "now")


def test_a_seed_left_open_is_the_checkpoint_s_when_a_run_goes_on(tmp_path: Path) -> None:
    options = [
        "seed=null",
        "callbacks.last.every_n_train_steps=2",
        "trainer.val_check_interval=4",
        "scheduler=constant",
    ]
    train(small_config(tmp_path, *options, "trainer.max_steps=2"))
    drawn = OmegaConf.load(newest_run(tmp_path) / "config.yaml").seed
    time.sleep(1)  # run folders are named to the second
    train(small_config(tmp_path, *options, "trainer.max_steps=4", "ckpt_path=last"))
    resumed = newest_run(tmp_path)
    assert OmegaConf.load(resumed / "config.yaml").seed == OmegaConf.load(resumed / "config.yaml").data.seed == drawn
    whole = small_config(tmp_path, *options, "trainer.max_steps=4", f"seed={drawn}", "run_name=whole")
    train(whole)
    expected = losses_by_step(Path(whole.output_dir))
    for step, losses in losses_by_step(resumed).items():
        assert losses == pytest.approx(expected[step], abs=1e-5, rel=1e-5)


def test_further_processes_take_the_first_one_s_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "11")
    assert {open_seed({}), open_seed({})} != {11}  # the first process itself draws
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert open_seed({}) == 11
    monkeypatch.delenv("PL_GLOBAL_SEED")
    with pytest.raises(UserError, match="seed=null: .*give a seed"):
        open_seed({})
    assert open_seed({"seed": 5}) == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer=muon", r"optimizer\._target_=nst\.muon\.Muon cannot go on .* had torch\.optim\.AdamW"),
        ("encoder=vgg19_finetuned", r"encoder\.content\.trainable_from=conv3_1 cannot go on .* had null"),
        ("encoder.style.trainable_from=conv4_1", r"encoder\.style\.trainable_from=conv4_1 cannot go on"),
        ("optimizer.lr=1e-5", r"optimizer\.lr=1e-05 cannot go on .* had 0\.001"),
        ("regularization=weight_decay", r"optimizer\.weight_decay=0\.01 cannot go on .* had 0\.0"),
        ("optimizer.betas=[0.8,0.99]", r"optimizer\.betas=\[0\.8, 0\.99\] cannot go on .* had \[0\.9, 0\.99\]"),
        ("+optimizer.eps=1e-6", r"optimizer\.eps=1e-06 cannot go on .* had null"),
        ("module.encoder_learning_rate=1e-4", r"module\.encoder_learning_rate=0\.0001 cannot go on .* had 1e-05"),
        ("callbacks.early_stopping.patience=9", r"callbacks\.early_stopping\.patience=9 cannot go on .* had 20"),
    ],
)
def test_what_the_checkpoint_cannot_go_on_with_is_named(tmp_path: Path, override: str, message: str) -> None:
    stored = OmegaConf.to_container(small_config(tmp_path), resolve=True)
    assert isinstance(stored, dict)
    with pytest.raises(UserError, match=f"{message}.* with init_from=run/last.ckpt instead of ckpt_path"):
        check_same(small_config(tmp_path, override), Path("run/last.ckpt"), stored)  # type: ignore[arg-type]


def test_another_length_schedule_or_seed_may_go_on_and_so_may_a_checkpoint_that_says_nothing(tmp_path: Path) -> None:
    stored = OmegaConf.to_container(small_config(tmp_path), resolve=True)
    free = ["trainer.max_steps=7", "seed=4", "scheduler=constant", "callbacks.early_stopping=null"]
    changed = small_config(tmp_path, *free)
    check_same(changed, Path("last.ckpt"), stored)  # type: ignore[arg-type]
    check_same(changed, Path("last.ckpt"), {"model": {}})
