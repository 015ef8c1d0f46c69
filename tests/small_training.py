"""Training runs that take seconds, and what they logged."""

from __future__ import annotations

import csv
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

ROOT = Path(__file__).parent.parent
SMALL = [
    "decoder=slim", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.log_every_n_steps=1",
    "data.crop=64", "data.content_size=64", "data.style_size=64", "data.validation_size=64", "data.validation_pairs=2",
    "data.batch_size=2", "data.samples_per_epoch=32", "data.workers=0", "scheduler.warmup_steps=5",
]  # fmt: skip
QUICK_CALLBACKS = [
    "callbacks.contact_sheet.pairs=2", "callbacks.last.every_n_train_steps=10", "callbacks.metrics=null",
]  # fmt: skip


def small_config(root: Path, *overrides: str) -> DictConfig:
    """The config of such a run below ``root``."""
    quick = [] if "callbacks=none" in overrides else QUICK_CALLBACKS
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", [*SMALL, *quick, f"output_root={root}", *overrides])


def logged(run: Path, column: str) -> list[dict[str, str]]:
    """The rows of a run's log that have a figure."""
    with (run / "logs" / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row.get(column)]


def losses_by_step(run: Path) -> dict[int, dict[str, float]]:
    """Every training loss that a run logged."""
    rows = logged(run, "train/total")
    names = [name for name in rows[0] if name.startswith("train/")]
    return {int(row["step"]): {name: float(row[name]) for name in names} for row in rows}


def newest_run(root: Path, name: str = "any") -> Path:
    return max((root / name).iterdir(), key=lambda path: path.stat().st_mtime)
