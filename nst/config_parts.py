"""The objects that a config names by ``_target_``."""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nst.errors import UserError


def build_part(cfg: DictConfig, key: str, **more: Any) -> Any:
    """What the ``_target_`` of a key makes of its options and ``more``.

    Raises:
        UserError: there is no such target, or it refuses its options; names the key.
    """
    try:
        return instantiate(OmegaConf.select(cfg, key), **more)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(f"{key} does not fit: {error.__cause__ or error}") from error


def build_group(cfg: DictConfig, group: str) -> dict[str, Any]:
    """The parts of a group of named ones.

    Entries without a ``_target_`` are passed over: null switches one off, and where a group has none of a name
    (``callbacks=none``), an experiment may still set one of its values.
    """
    entries = cfg.get(group) or {}
    named = [name for name, options in entries.items() if OmegaConf.is_dict(options) and "_target_" in options]
    return {name: build_part(cfg, f"{group}.{name}") for name in named}
