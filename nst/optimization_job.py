"""run_optimization(cfg): a content file and style files in, an optimised picture out, with a progress bar."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from nst.config_numbers import Number, check_numbers
from nst.errors import UserError
from nst.image_optimization import Progress, optimize
from nst.images import check_output, read_image, write_image
from nst.loss_files import WEIGHTS, loss_options
from nst.optimization_checks import SMALLEST_SIDE
from nst.pictures import MINIMUM_STYLE_SIDE
from nst.samples import sample_content, sample_style

NUMBERS = {
    "weights": Number(0, optional=True, several=True),
    "size": Number(SMALLEST_SIDE, whole=True, optional=True),
    "max_size": Number(SMALLEST_SIDE, whole=True, optional=True),
    "style_size": Number(MINIMUM_STYLE_SIDE, whole=True, optional=True),
    "steps": Number(1, whole=True),
    "scales": Number(1, whole=True),
    "learning_rate": Number(0, optional=True),
    "tolerance": Number(0),
    **{f"{name}_weight": Number(0, optional=True) for name in WEIGHTS},
    "save_every": Number(1, whole=True, optional=True),
    "seed": Number(0, whole=True),
    "quality": Number(1, 100, whole=True),
}
NAMES = ("init", "ckpt", "output_dir")
NAMES_OR_NULL = ("content", "output", "loss")


def run_optimization(cfg: DictConfig) -> Path:
    """Optimise a picture as ``configs/inference/optimize.yaml`` says.

    Returns:
        The file that was written.

    Raises:
        UserError: a file, a name or a value does not fit.
    """
    check_numbers(cfg, NUMBERS)
    _check_names(cfg)
    output = Path(cfg.output or Path(cfg.output_dir) / "optimized.png")
    check_output(output, cfg.quality)
    start, options = time.perf_counter(), _options(cfg, output)
    content = read_image(cfg.content or sample_content())
    styles = [read_image(path) for path in _paths(cfg, "style") or [str(sample_style())]]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns) as bar:
        task = bar.add_task("", total=cfg.steps * cfg.scales)

        def on_step(progress: Progress) -> None:
            values = " ".join(f"{name} {value.item():.4g}" for name, value in progress.losses.raw.items())
            done = progress.scale * cfg.steps + progress.step  # not one more: a resumed run goes on in the middle
            bar.update(task, completed=done, description=f"total {progress.losses.total.item():.4g}  {values}")
            if cfg.save_every and progress.step % cfg.save_every == 0:
                height = progress.picture.shape[2]
                name = f"{output.stem}_{height}px_step{progress.step:05d}{output.suffix}"
                write_image(progress.result(), output.with_name(name), quality=cfg.quality)

        result = optimize(content, styles, on_step=on_step, **options)
    write_image(result, output, quality=cfg.quality)
    if options["state"]:
        options["state"].unlink(missing_ok=True)  # not before: what cannot be written would be lost
    print(f"{output}  {result.width}×{result.height}  {time.perf_counter() - start:.1f} s")
    return output


def _options(cfg: DictConfig, output: Path) -> dict[str, Any]:
    keys = ("steps", "init", "size", "max_size", "style_size", "scales", "optimizer", "learning_rate", "tolerance",
            "preserve_color", "tile", "ckpt", "seed", "device", "precision")  # fmt: skip
    options: dict[str, Any] = {key: cfg[key] for key in keys}
    options["weights"] = None if cfg.weights is None else _list(cfg.weights)
    options["masks"] = _paths(cfg, "masks")
    options["mask"] = cfg.mask if cfg.mask == "segment" else _paths(cfg, "mask")
    options["state"] = output.with_name(f".{output.stem}.state") if cfg.resume else None
    options["loss"] = loss_options(cfg)
    return options


def _check_names(cfg: DictConfig) -> None:
    for key in (*NAMES, *NAMES_OR_NULL):
        value = cfg[key]
        if not isinstance(value, str) and not (value is None and key in NAMES_OR_NULL):
            raise UserError(f"{key}={'null' if value is None else value}: give one name or path.")


def _paths(cfg: DictConfig, key: str) -> list[str] | None:
    """One path or several as a list; ``None`` where there is none."""
    if cfg[key] is None:
        return None
    paths = _list(cfg[key])
    if not paths or not all(isinstance(path, str) for path in paths):
        raise UserError(f"{key}={cfg[key]}: give a path, or several in brackets.")
    return paths


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, ListConfig) else [value]
