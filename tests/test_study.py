"""tune(cfg): what a study tries, what it minimises, which runs it stops and what it leaves behind."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from nst import study
from nst.errors import UserError
from nst.study_ranges import suggest

optuna = pytest.importorskip("optuna")
CONFIGS = Path(__file__).parent.parent / "configs"
TERMS = {"style": "val/moment", "content": "val/content", "content_bound": 0.6, "penalty": 2.0}
VALIDATIONS = (50, 100)


@pytest.fixture(autouse=True)
def _hydra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(optuna.logging, "get_verbosity", lambda: optuna.logging.WARNING)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[DictConfig]:
    """The configs of the trials, whose training is replaced: the style distance is the distance of lr from 1e-3 in decades."""
    seen: list[DictConfig] = []

    def train(cfg: DictConfig, callbacks: Sequence[pl.Callback]) -> None:
        seen.append(cfg)
        style = abs(math.log10(cfg.optimizer.lr / 1e-3))
        for step in (0, *VALIDATIONS):
            figures = {"val/moment": style, "val/content": 0.5, "train/total": 1.0}
            trainer = SimpleNamespace(global_step=step, callback_metrics=figures)
            for callback in callbacks:
                callback.on_validation_end(trainer, SimpleNamespace())  # type: ignore[arg-type]

    monkeypatch.setattr(study, "train", train)
    return seen


def overrides(tmp_path: Path, *more: str) -> list[str]:
    return [f"output_root={tmp_path}", "run_name=mine", "loss.content.weight=0.7", *more]


def tune(tmp_path: Path, *more: str) -> Any:
    given = overrides(tmp_path, *more)
    return study.tune(compose("tune", given), given)


def test_the_first_trial_takes_the_config_s_own_values_and_the_others_vary_them(
    tmp_path: Path, configs: list[DictConfig]
) -> None:
    tune(tmp_path, "study.trials=6")
    assert len(configs) == 6
    first = configs[0]
    assert (first.optimizer.lr, first.loss.content.weight, first.decoder.widths[1]) == (1e-3, 0.7, 32)
    assert len({cfg.optimizer.lr for cfg in configs}) == 6
    assert {cfg.decoder.widths[1] for cfg in configs} == {16, 32}, "the decoder's group was never changed"
    assert all(2e-4 <= cfg.optimizer.lr <= 4e-3 for cfg in configs)
    assert len({cfg.output_dir for cfg in configs}) == 6
    assert all(cfg.trainer.max_steps == 300 for cfg in configs)


def test_runs_that_fall_behind_the_median_are_stopped_and_the_table_has_the_best_first(
    tmp_path: Path, configs: list[DictConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    result = tune(tmp_path, "study.trials=12")
    states = {trial.state.name for trial in result.trials}
    assert states == {"COMPLETE", "PRUNED"} and result.best_trial.number == 0
    for trial in result.trials:
        assert set(trial.intermediate_values) == ({50} if trial.state.name == "PRUNED" else set(VALIDATIONS))
    rows = list(csv.DictReader((tmp_path / "mine" / "trials.csv").open()))
    assert len(rows) == 12 and rows[0]["trial"] == "0"
    complete = [float(row["objective"]) for row in rows if row["state"] == "complete"]
    assert complete == sorted(complete)
    assert len((tmp_path / "mine" / "trials.md").read_text().splitlines()) == 14
    assert "the best: optimizer.lr=0.001 " in capsys.readouterr().out


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, configs: list[DictConfig]) -> None:
    tune(tmp_path, "study.trials=2")
    result = tune(tmp_path, "study.trials=5")
    assert len(configs) == 5 and [trial.number for trial in result.trials] == [0, 1, 2, 3, 4]
    tune(tmp_path, "study.trials=5")
    assert len(configs) == 5


def test_a_study_that_goes_on_with_other_parameters_has_one_table(tmp_path: Path, configs: list[DictConfig]) -> None:
    tune(tmp_path, "study.trials=2", "~study.parameters.decoder")
    tune(tmp_path, "study.trials=4")
    rows = {row["trial"]: row for row in csv.DictReader((tmp_path / "mine" / "trials.csv").open())}
    assert len(rows) == 4 and rows["0"]["decoder"] == "" and rows["3"]["decoder"] in ("half", "slim")
    lines = (tmp_path / "mine" / "trials.md").read_text().splitlines()
    assert len({line.count("|") for line in lines}) == 1


def test_every_range_can_be_left_out_and_changed(tmp_path: Path, configs: list[DictConfig]) -> None:
    left_out = ["~study.parameters.loss.style.weight", "study.parameters.loss.moment.weight=null"]
    tune(tmp_path, "study.trials=4", *left_out, "study.parameters.optimizer.lr.high=5e-4", "optimizer.lr=4e-4")
    assert {(cfg.loss.style.weight, cfg.loss.moment.weight) for cfg in configs} == {(10.0, 50.0)}
    assert len({cfg.loss.content.weight for cfg in configs}) == 4
    assert all(2e-4 <= cfg.optimizer.lr <= 5e-4 for cfg in configs)


def test_a_run_that_diverges_is_stopped_and_one_that_failed_does_not_count(
    tmp_path: Path, configs: list[DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, calls = study.train, iter(range(100))

    def sometimes(cfg: DictConfig, callbacks: Sequence[pl.Callback]) -> None:
        call = next(calls)
        if call == 1:  # diverges
            figures = {"val/moment": math.nan, "val/content": math.nan}
            callbacks[0].on_validation_end(SimpleNamespace(global_step=50, callback_metrics=figures), SimpleNamespace())  # type: ignore[arg-type]
            raise AssertionError("it went on")
        if call != 2:  # the third ends without a validation
            train(cfg, callbacks)

    monkeypatch.setattr(study, "train", sometimes)
    assert [trial.state.name for trial in tune(tmp_path, "study.trials=3").trials] == ["COMPLETE", "PRUNED", "FAIL"]
    result = tune(tmp_path, "study.trials=3")
    assert [trial.state.name for trial in result.trials] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]


def test_the_config_s_own_values_are_tried_until_they_can_be_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configs: list[DictConfig], capfd: pytest.CaptureFixture[str]
) -> None:
    train = study.train

    def fails(cfg: DictConfig, callbacks: Sequence[pl.Callback]) -> None:
        raise UserError("no pictures")

    monkeypatch.setattr(study, "train", fails)
    with pytest.raises(UserError, match="no pictures"):
        tune(tmp_path, "study.trials=2")
    assert "Traceback" not in capfd.readouterr().err
    monkeypatch.setattr(study, "train", train)
    tune(tmp_path, "study.trials=2")
    tune(tmp_path, "study.trials=4")
    assert [(cfg.optimizer.lr, cfg.loss.content.weight) == (1e-3, 0.7) for cfg in configs] == [True] + 3 * [False]


@pytest.mark.parametrize(("option", "width"), [("half", 32), ("slim", 16)])
def test_of_a_group_the_first_trial_takes_the_config_s_own_option(
    tmp_path: Path, configs: list[DictConfig], option: str, width: int
) -> None:
    tune(tmp_path, "study.trials=1", f"decoder={option}")
    assert configs[0].decoder.widths[1] == width


def test_choices_that_a_study_cannot_change_are_one_line(tmp_path: Path, configs: list[DictConfig]) -> None:
    tune(tmp_path, "study.trials=1")
    with pytest.raises(UserError, match="decoder has .*'full'.*: Categorical.* give a run_name of its own"):
        tune(tmp_path, "study.trials=2", "study.parameters.decoder.choices=[half,slim,full]")


def test_a_study_without_a_single_value_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configs: list[DictConfig]
) -> None:
    monkeypatch.setattr(study, "train", lambda cfg, callbacks: None)
    with pytest.raises(UserError, match="no trial of .*mine.* has come to an end with a value"):
        tune(tmp_path, "study.trials=2")
    assert len(list(csv.DictReader((tmp_path / "mine" / "trials.csv").open()))) == 2


def test_an_interrupted_study_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configs: list[DictConfig]
) -> None:
    def interrupted(cfg: DictConfig, callbacks: Sequence[pl.Callback]) -> None:
        raise KeyboardInterrupt("the same command with ckpt_path=last goes on from the last checkpoint")

    monkeypatch.setattr(study, "train", interrupted)
    with pytest.raises(KeyboardInterrupt, match="goes on with the study"):
        tune(tmp_path)


def test_the_objective_is_the_style_distance_and_a_penalty_beyond_the_content_bound() -> None:
    assert study.objective({"val/moment": 0.2, "val/content": 0.59}, TERMS) == 0.2
    assert study.objective({"val/moment": 0.2, "val/content": 0.7}, TERMS) == pytest.approx(0.2 + 2 * 0.1)
    with pytest.raises(UserError, match="validation gives no 'val/moment'"):
        study.objective({"val/content": 0.7}, TERMS)
    assert math.isnan(study.objective({"val/moment": 0.2, "val/content": math.nan}, TERMS))


def test_ranges_become_suggestions() -> None:
    trial = optuna.trial.FixedTrial({"a": 3, "b": 0.5, "c": "slim", "d": 0.01})
    assert suggest(trial, "a", {"low": 1, "high": 9}) == 3
    assert suggest(trial, "b", {"low": 0, "high": 1.0, "step": 0.25}) == 0.5
    assert suggest(trial, "c", {"choices": ["half", "slim"]}) == "slim"
    assert suggest(trial, "d", {"low": 1e-3, "high": 1.0, "log": True}) == 0.01
    assert trial.distributions["d"].log and not hasattr(trial.distributions["c"], "log")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("study.trials=0", "study.trials=0"),
        ("study.objective.penalty=much", "study.objective.penalty=much: give a number"),
        ("study.sampler._target_=optuna.samplers.Nothing", "study.sampler does not fit"),
        ("trainer=ddp", "trains on one device, found trainer.devices=auto"),
        ("trainer.devices=2", "trains on one device, found trainer.devices=2"),
        ("trainer=ddp trainer.devices=1 trainer.num_nodes=2", "trainer.num_nodes=2"),
        ("+study.parameters.seed=3", "seed has 3: give"),
        ("+study.parameters.seed={low: 1}", "seed has {'low': 1}: give"),
        ("+study.parameters.seed={low: 5, high: 1}", "seed has .*: `low <= high` must hold.*: mend the range"),
        ("+study.parameters.seed={low: much, high: 1}", "seed has .*much.*: mend the range"),
        (
            "+study.parameters.seed={choices: [4, 8]}",
            r"seed has the choices \[4, 8\], without the config's own 0: add it",
        ),
        ("decoder=full", r"decoder has the choices \['half', 'slim'\], without the config's own full: add it"),
        ("+study.parameters={nothing: {low: 1, high: 2}}", "'nothing' is no value of the training config"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, configs: list[DictConfig], override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        tune(tmp_path, *(override.split(" ") if override.startswith("trainer") else [override]))


@pytest.mark.slow
def test_trials_are_training_runs(tmp_path: Path) -> None:
    sizes = [f"data.{name}=32" for name in ("crop", "content_size", "style_size", "validation_size")]
    small = [*sizes, "data.validation_pairs=1", "data.batch_size=1", "data.workers=0", "trainer.accelerator=cpu"]
    steps = ["trainer.max_steps=3", "trainer.val_check_interval=2", "study.trials=2"]
    result = tune(tmp_path, *small, *steps)
    assert [list(trial.intermediate_values) for trial in result.trials] == [[2, 3], [2, 3]]
    assert len(list(tmp_path.glob("mine/trial_00?/model.safetensors"))) == 2
