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
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from nst.errors import UserError
from nst.training import train

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)
Range = Mapping[str, Any]


def tune(cfg: DictConfig, overrides: Sequence[str] = ()) -> optuna.Study:
    """Train with many values of some keys and find the best, as ``configs/tune.yaml`` says.

    A study is kept on disk: it goes on where it stopped, and several processes may work on it. Its first trial takes the
    config's own values, so that every other is compared with them. Writes ``trials.csv`` and ``trials.md`` after each trial and prints the table.

    Args:
        cfg: the composed ``configs/tune.yaml``; Hydra must be initialised, as it is inside ``@hydra.main``.
        overrides: of every trial, as given to ``scripts/tune.py``.

    Raises:
        UserError: Optuna is not installed, or ranges or figures that do not fit.
    """
    try:
        import optuna
    except ImportError:
        raise UserError('a study needs Optuna: pip install -e ".[tune]".') from None
    if not isinstance(cfg.study.trials, int) or cfg.study.trials < 1:
        raise UserError(f"study.trials={cfg.study.trials}: give their number, at least 1.")
    folder = Path(cfg.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    ranges: dict[str, Range] = OmegaConf.to_container(cfg.study.parameters, resolve=True)  # type: ignore[assignment]
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'study.db'}",
        study_name=cfg.run_name,
        load_if_exists=True,
        sampler=instantiate(cfg.study.sampler),
        pruner=instantiate(cfg.study.pruner),
    )
    if not study.trials:
        study.enqueue_trial({name: own_value(cfg, name, values) for name, values in ranges.items()})

    def run(trial: optuna.Trial) -> float:
        values = [f"{name}={suggest(trial, name, values)}" for name, values in ranges.items()]
        trial.set_user_attr("overrides", values)
        log.info("trial %d: %s", trial.number, " ".join(values))
        trial_cfg = compose("tune", [*overrides, *values, f"output_dir={folder}/trial_{trial.number:03d}"])
        watch = ReportToTrial(trial, cfg.study.objective)
        train(trial_cfg, callbacks=[watch])
        return watch.value

    ended = [state for state in optuna.trial.TrialState if state.is_finished()]
    enough = optuna.study.MaxTrialsCallback(cfg.study.trials, states=ended)  # counts those of other processes too
    left = max(0, cfg.study.trials - sum(trial.state in ended for trial in study.trials))
    study.optimize(run, n_trials=left, callbacks=[lambda *_: write_trials(study, folder), enough])
    print_trials(study)
    print(
        f"\nthe best: {' '.join(study.best_trial.user_attrs['overrides'])}\nwritten to {folder}: trials.csv, trials.md"
    )
    return study


def suggest(trial: optuna.Trial, name: str, values: Range) -> Any:
    """A value of ``{low, high[, log][, step]}``, whole if both ends are, or of ``{choices}``.

    Raises:
        UserError: a range of another form.
    """
    options = {"log", "step"} & set(values)
    if set(values) == {"choices"}:
        return trial.suggest_categorical(name, list(values["choices"]))
    if set(values) - options != {"low", "high"}:
        raise UserError(
            f"study.parameters: {name} has {dict(values)}: give {{low, high[, log][, step]}} or {{choices}}."
        )
    low, high = values["low"], values["high"]
    kind = trial.suggest_int if isinstance(low, int) and isinstance(high, int) else trial.suggest_float
    return kind(name, low, high, **{option: values[option] for option in options})


def own_value(cfg: DictConfig, name: str, values: Range) -> Any:
    """What the config has under a key that a study varies; of a config group, the first choice.

    Raises:
        UserError: there is no such key.
    """
    found = OmegaConf.select(cfg, name)
    if OmegaConf.is_config(found) and values.get("choices"):
        return values["choices"][0]
    if found is None or OmegaConf.is_config(found):
        raise UserError(f"study.parameters: {name!r} is no value of the training config: see configs/train.yaml.")
    return found


def objective(figures: Mapping[str, float], terms: Range) -> float:
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
    excess = max(0.0, float(figures[terms["content"]]) - terms["content_bound"])
    return float(figures[terms["style"]]) + terms["penalty"] * excess


class ReportToTrial(pl.Callback):
    """Tells a trial its objective after every validation of the training, and stops a run that the pruner gives up.

    Attributes:
        value: the objective at the last validation.
    """

    def __init__(self, trial: optuna.Trial, terms: Range) -> None:
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
        if self.trial.should_prune():
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
