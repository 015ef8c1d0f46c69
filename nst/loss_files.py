"""The loss of image optimisation as its config names it: a file of configs/loss or one's own, and weights over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nst.errors import UserError
from nst.image_optimization import LOSS
from nst.losses import TERMS

LOSSES = Path(__file__).parent.parent / "configs" / "loss"
WEIGHTS = ("content", "style", "total_variation")


def loss_options(cfg: DictConfig) -> dict[str, Any]:
    """The options of the loss that ``loss`` names, with the weights that were given (``style_weight`` and its like).

    Raises:
        UserError: there is no such file, it says no loss, or lacks the term of a weight.
    """
    loss = dict(LOSS) if cfg.loss is None else _file_options(cfg.loss)
    for name in WEIGHTS:
        weight = cfg[f"{name}_weight"]
        if weight is None:
            continue
        held = loss.get(name)
        options = held if isinstance(held, dict) else {}
        if weight and TERMS[name].layered and not options.get("layers"):
            raise UserError(
                f"{name}_weight={weight}: the loss {cfg.loss!r} has no layers for {name!r}: leave it out, take another loss "
                f"(loss=gatys), or give a file of your own with {name}.layers."
            )
        loss[name] = {**options, "weight": weight}
    return loss


def _file_options(name: str) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(_read(name), resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(f"the loss {name!r} does not fit: {str(error).splitlines()[0]}.") from None


def _read(name: str) -> DictConfig:
    """A loss file over those that its ``defaults`` name, as Hydra would compose them."""
    named = LOSSES / f"{name}.yaml"
    path = named if named.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LOSSES.glob("*.yaml")))
        raise UserError(f"unknown loss {name!r}: choose from {known}, or give a file.")
    try:
        own = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the loss {name!r} ({error}): write it as those in configs/loss.") from None
    bases = own.pop("defaults", ListConfig([])) if isinstance(own, DictConfig) else None
    if not isinstance(bases, ListConfig) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"loss {name!r} is no file of loss terms: write it as those in configs/loss.")
    return OmegaConf.merge(*(_read(base) for base in bases if base != "_self_"), own)  # type: ignore[return-value]
