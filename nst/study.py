"""tune(cfg): a study of hyper-parameters with Optuna; every trial is a training run.

Hydra's own Optuna sweeper asks for Optuna 2, and its sweepers see a run only when it has ended: a study of our own takes
today's Optuna and stops runs that fall behind.
"""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from hydra import compose
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from nst.config_numbers import Number, check_numbers
from nst.config_parts import build_part
from nst.errors import UserError
from nst.study_ranges import own_value, ranges_of, suggest
from nst.training import train

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)
NUMBERS = {
    "study.trials": Number(1, whole=True),
    "study.objective.content_bound": Number(),
    "study.objective.penalty": Number(0),
}


def tune(cfg: DictConfig, overrides: Sequence[str] = ()) -> optuna.Study:
    """Train with many values of some keys and find the best, as ``configs/tune.yaml`` says.

    A study is kept on disk: it goes on where it stopped, and several processes may work on it. Its first trial takes the
    config's own values, so that every other is compared with them; where it failed, a later call tries them again.
    Writes ``trials.csv`` and ``trials.md`` after each trial and prints the table.

    Args:
        cfg: the composed ``configs/tune.yaml``; Hydra must be initialised, as it is inside ``@hydra.main``.
        overrides: of every trial, as given to ``scripts/tune.py``.

    Raises:
        UserError: Optuna is not installed, values, ranges or figures that do not fit, or no trial that could be judged.
        KeyboardInterrupt: the study was interrupted; what it says is how to go on.
    """
    try:
        import optuna
    except ImportError:
        raise UserError('a study needs Optuna: pip install -e ".[tune]".') from None
    check_numbers(cfg, NUMBERS)
    _require_one_process(cfg)
    folder = Path(cfg.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    parameters: dict[str, Any] = OmegaConf.to_container(cfg.study.parameters, resolve=True)  # type: ignore[assignment]
    ranges = ranges_of(parameters)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'study.db'}",
        study_name=cfg.run_name,
        load_if_exists=True,
        sampler=build_part(cfg, "study.sampler"),
        pruner=build_part(cfg, "study.pruner"),
    )
    options = compose("tune", list(overrides), return_hydra_config=True).hydra.runtime.choices
    own = {name: own_value(cfg, name, values, options) for name, values in ranges.items()}
    if all(trial.state == optuna.trial.TrialState.FAIL or _values(trial) != own for trial in study.trials):
        study.enqueue_trial(own)

    mistakes: list[UserError] = []

    def run(trial: optuna.Trial) -> float:
        try:
            return judge(trial)
        except UserError as error:  # which Optuna would print with its whole traceback
            mistakes.append(error)
            study.stop()
            return math.nan  # counts as failed

    def judge(trial: optuna.Trial) -> float:
        values = [f"{name}={suggest(trial, name, values)}" for name, values in ranges.items()]
        trial.set_user_attr("overrides", values)
        log.info("trial %d: %s", trial.number, " ".join(values))
        trial_cfg = compose("tune", [*overrides, *values, f"output_dir={folder}/trial_{trial.number:03d}"])
        watch = ReportToTrial(trial, cfg.study.objective)
        train(trial_cfg, callbacks=[watch])
        return watch.value

    judged = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    enough = optuna.study.MaxTrialsCallback(cfg.study.trials, states=judged)  # counts those of other processes too
    left = max(0, cfg.study.trials - sum(trial.state in judged for trial in study.trials))
    try:
        study.optimize(run, n_trials=left, callbacks=[lambda *_: write_trials(study, folder), enough])
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on with the study") from None
    if mistakes:
        raise mistakes[0]
    print_trials(study)
    if not study.get_trials(deepcopy=False, states=judged[:1]):
        raise UserError(
            f"no trial of {str(folder)!r} has come to an end with a value: give rates (study.parameters.optimizer.lr) at "
            "which training does not diverge, and see that it validates."
        )
    print(
        f"\nthe best: {' '.join(study.best_trial.user_attrs['overrides'])}\nwritten to {folder}: trials.csv, trials.md"
    )
    return study


def _values(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """What a trial takes, also where it was told beforehand and has not started."""
    return trial.system_attrs.get("fixed_params", trial.params)


def _require_one_process(cfg: DictConfig) -> None:
    """Processes that share a trial would each ask the study for one of their own."""
    devices, nodes = OmegaConf.select(cfg, "trainer.devices"), OmegaConf.select(cfg, "trainer.num_nodes")
    named = len(devices) if OmegaConf.is_list(devices) else devices
    if named not in (1, "1") or nodes not in (1, None):
        raise UserError(
            f"tune trains on one device, found trainer.devices={devices} and trainer.num_nodes={nodes or 1}: set both to 1, "
            "and start the command several times for trials side by side."
        )


def objective(figures: Mapping[str, float], terms: Mapping[str, Any]) -> float:
    """Style distance, and a penalty where the content distance is beyond its bound: smaller is better.

    ``style + penalty · max(0, content − content_bound)``. Both are validation figures before the loss weights multiply
    them: a weighted loss would be won by the smallest weights. One figure alone would be won by copying content or style.

    Args:
        figures: of a validation, by name.
        terms: ``style`` and ``content``, the names; ``content_bound`` and ``penalty``.

    Raises:
        UserError: a figure that the validation does not give.
    """
    for name in (terms["style"], terms["content"]):
        if name not in figures:
            raise UserError(
                f"study.objective: validation gives no {name!r} but {sorted(figures)}: keep the weight of that loss term above 0."
            )
    excess = max(float(figures[terms["content"]]) - terms["content_bound"], 0.0)  # in this order NaN stays NaN
    return float(figures[terms["style"]]) + terms["penalty"] * excess


class ReportToTrial(pl.Callback):
    """Tells a trial its objective after every validation of the training, and stops a run that the pruner gives up or that
    diverged.

    Attributes:
        value: the objective at the last validation.
    """

    def __init__(self, trial: optuna.Trial, terms: Mapping[str, Any]) -> None:
        self.trial, self.terms, self.value = trial, terms, math.nan

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.global_step == 0:  # untrained: the same for every trial
            return
        import optuna

        figures = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self.value = objective(figures, self.terms)
        self.trial.report(self.value, trainer.global_step)
        for kind in ("style", "content"):
            self.trial.set_user_attr(kind, figures[self.terms[kind]])
        self.trial.set_user_attr("step", trainer.global_step)
        if not math.isfinite(self.value) or self.trial.should_prune():
            raise optuna.TrialPruned


def trial_rows(study: optuna.Study) -> list[dict[str, Any]]:
    """One dict a finished trial, the best first and those that were stopped last; all have the same keys, whatever each varied."""
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    varied = dict.fromkeys(name for trial in finished for name in trial.params)
    rows = []
    for trial in finished:
        attributes = {name: trial.user_attrs.get(name) for name in ("step", "style", "content")}
        row = {"trial": trial.number, "state": trial.state.name.lower(), "objective": trial.value}
        rows.append(row | attributes | varied | trial.params)
    unfinished = {"complete": 0, "pruned": 1}
    return sorted(rows, key=lambda row: (unfinished.get(row["state"], 2), -(row["step"] or 0), row["objective"] or 0))


def write_trials(study: optuna.Study, folder: Path) -> None:
    """``trials.csv`` and ``trials.md`` in ``folder``.

    Raises:
        UserError: the folder cannot be written.
    """
    rows = trial_rows(study)
    lines = [
        list(rows[0]),
        ["---", "---", *["---:"] * (len(rows[0]) - 2)],
        *([_cell(v) for v in r.values()] for r in rows),
    ]
    try:
        (folder / "trials.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))
        with (folder / "trials.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise UserError(f"output_dir={str(folder)!r} cannot be written: {error.strerror or error}.") from None


def print_trials(study: optuna.Study) -> None:
    """The table on standard output."""
    rows = trial_rows(study)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(width=max(Console().width, Console(width=10_000).measure(table).maximum)).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
