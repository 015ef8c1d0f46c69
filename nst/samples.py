"""The sample pictures of the repository."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from nst.errors import UserError

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
log = logging.getLogger(__name__)


def use_samples_where_missing(cfg: DictConfig) -> None:
    """Fill in ``data.content_dir`` and ``data.style_dir`` with the samples, and say so.

    Raises:
        UserError: a folder was left out and the samples are not there (nst was installed without its repository).
    """
    missing = [name for name in ("content", "style") if cfg.data[f"{name}_dir"] is None]
    if not missing:
        return
    if not SAMPLES.is_dir():
        keys = " and ".join(f"data.{name}_dir" for name in missing)
        raise UserError(f"no pictures to train on: set {keys} to folders of pictures.")
    for name in missing:
        cfg.data[f"{name}_dir"] = str(SAMPLES / name)
    log.warning("training on the few sample pictures (%s): see data/README.md for real sets", " and ".join(missing))


def sample_content() -> Path:
    """The photograph that is painted when none is given."""
    return _existing(SAMPLES / "content" / "astronaut.jpg", "content")


def sample_style() -> Path:
    """The painting in whose manner pictures are painted when none is given."""
    return _existing(SAMPLES / "style" / "impressionism" / "cypress_night.jpg", "style")


def _existing(path: Path, key: str) -> Path:
    if not path.exists():
        raise UserError(f"no {key} given and no sample pictures found: set {key}=PATH.")
    return path
