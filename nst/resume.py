"""Going on with a run: which checkpoint, whether this config can go on from it, and with which seed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from nst.errors import UserError

LAST = "checkpoints/last*.ckpt"  # below a run's folder
# What decides which tensors the optimiser and the average of the weights keep …
TENSORS = ("optimizer._target_", "encoder.content.trainable_from", "encoder.style.trainable_from")
# … and, with all of `optimizer`, whose values a checkpoint's would silently replace.
REPLACED = ("module.encoder_learning_rate", "callbacks.early_stopping.patience")


def find_checkpoint(wanted: str, output: Path) -> Path:
    """The checkpoint to resume from: a path, or ``last``: the newest ``last.ckpt`` of this run name.

    Raises:
        UserError: there is none.
    """
    if wanted != "last":
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"checkpoint {wanted!r} does not exist: give a path, or ckpt_path=last.")
        if path.suffix == ".safetensors":
            raise UserError(
                f"{wanted!r} holds weights alone, from which no run is resumed: start from it with init_from=."
            )
        return path
    runs = output.parent
    found = sorted(runs.glob(f"*/{LAST}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"ckpt_path=last: no run in {str(runs)!r} has a checkpoint yet: start without ckpt_path.")
    return found[-1]


def check_same(cfg: DictConfig, checkpoint: Path, stored: Mapping[str, Any]) -> None:
    """Refuse to go on with other encoder layers trained, or with another optimiser, than ``checkpoint``'s config says;
    other values of its options, too: those stored with its state would replace them.

    Raises:
        UserError: names the first such key.
    """
    before = OmegaConf.create(dict(stored))
    options = (f"optimizer.{name}" for name in {**before.get("optimizer", {}), **cfg.optimizer})
    for key in (*TENSORS, *options, *REPLACED):
        was, now = OmegaConf.select(before, key), OmegaConf.select(cfg, key)
        only_one_has_it = key in REPLACED and None in (was, now)  # then none is replaced
        if key.partition(".")[0] in before and was != now and not only_one_has_it:
            was, now = ("null" if value is None else value for value in (was, now))
            raise UserError(
                f"{key}={now} cannot go on from {str(checkpoint)!r}, whose run had {was}: keep that, or start a run from "
                f"its weights alone with init_from={checkpoint} instead of ckpt_path."
            )


def open_seed(stored: Mapping[str, Any]) -> int:
    """The seed of a run whose config leaves it open: its checkpoint's, that of its first process, or one drawn.

    Raises:
        UserError: this is a further process, and the first one did not start it.
    """
    if stored.get("seed") is not None:
        return stored["seed"]
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        return secrets.randbits(32)
    if "PL_GLOBAL_SEED" not in os.environ:  # where seed_everything leaves it to the processes that Lightning starts
        raise UserError("seed=null: processes that are started one by one would each draw their own: give a seed.")
    return int(os.environ["PL_GLOBAL_SEED"])
