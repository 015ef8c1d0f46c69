"""What a study varies: ranges of the config's values, as ``study.parameters`` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from nst.errors import UserError

if TYPE_CHECKING:
    import optuna

Range = Mapping[str, Any]
WORDS = {"low", "high", "log", "step", "choices"}  # of a range
FORM = "give {low, high[, log][, step]} or {choices}"


def ranges_of(parameters: Mapping[str, Any], group: str = "") -> dict[str, Range]:
    """``{optimizer: {lr: {low: …}}}`` as ``{optimizer.lr: {low: …}}``; null leaves a key out.

    Raises:
        UserError: a value that is neither a range nor a group of them.
    """
    found: dict[str, Range] = {}
    for name, values in parameters.items():
        key = f"{group}{name}"
        if isinstance(values, Mapping) and not WORDS & set(values):
            found |= ranges_of(values, f"{key}.")
        elif isinstance(values, Mapping):
            found[key] = values
        elif values is not None:
            raise UserError(f"study.parameters: {key} has {values}: {FORM}, or null.")
    return found


def suggest(trial: optuna.Trial, name: str, values: Range) -> Any:
    """A value of ``{low, high[, log][, step]}``, whole if both ends are, or of ``{choices}``.

    Raises:
        UserError: a range of another form, or one that Optuna refuses, be it only because the study has had another.
    """
    options = {"log", "step"} & set(values)
    if set(values) != {"choices"} and set(values) - options != {"low", "high"}:
        raise UserError(f"study.parameters: {name} has {dict(values)}: {FORM}.")
    try:
        if "choices" in values:
            return trial.suggest_categorical(name, list(values["choices"]))
        low, high = values["low"], values["high"]
        kind = trial.suggest_int if isinstance(low, int) and isinstance(high, int) else trial.suggest_float
        return kind(name, low, high, **{option: values[option] for option in options})
    except (TypeError, ValueError) as error:
        raise UserError(
            f"study.parameters: {name} has {dict(values)}: {str(error).rstrip('.')}: mend the range, or where a study "
            "that is there had another, give a run_name of its own."
        ) from error


def own_value(cfg: DictConfig, name: str, values: Range, options: Mapping[str, Any]) -> Any:
    """What the config has under a key that a study varies.

    Args:
        cfg: the config.
        name: the key; of a value, or of a config group.
        values: the range.
        options: of each config group, the one that the config takes.

    Raises:
        UserError: there is no such key, or what it has is none of the choices.
    """
    found = OmegaConf.select(cfg, name)
    choices = values.get("choices")
    if OmegaConf.is_config(found) and choices:
        found = options.get(name, choices[0])
    if found is None or OmegaConf.is_config(found):
        raise UserError(f"study.parameters: {name!r} is no value of the training config: see configs/train.yaml.")
    if choices and found not in choices:
        raise UserError(
            f"study.parameters: {name} has the choices {choices}, without the config's own {found}: add it, or set "
            "another."
        )
    return found
