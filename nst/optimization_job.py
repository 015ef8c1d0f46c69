"""run_optimization(cfg): a content file and style files in, an optimised picture out, with a progress bar."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from nst.errors import UserError
from nst.image_optimization import Progress, optimize
from nst.image_shapes import to_image
from nst.images import read_image, write_image
from nst.samples import sample_content, sample_style

LOSSES = Path(__file__).parent.parent / "configs" / "loss"
WEIGHTS = ("content", "style", "total_variation")


def run_optimization(cfg: DictConfig) -> Path:
    """Optimise a picture as ``configs/inference/optimize.yaml`` says.

    Returns:
        The file that was written.

    Raises:
        UserError: a file, a name or a value does not fit.
    """
    content = read_image(cfg.content or sample_content())
    styles = [read_image(path) for path in _list(cfg.style) or [sample_style()]]
    output = Path(cfg.output or Path(cfg.output_dir) / "optimized.png")
    start, options = time.perf_counter(), _options(cfg, output)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns) as bar:
        task = bar.add_task("", total=cfg.steps * cfg.scales)

        def on_step(progress: Progress) -> None:
            values = " ".join(f"{name} {value.item():.4g}" for name, value in progress.losses.raw.items())
            bar.update(task, advance=1, description=f"total {progress.losses.total.item():.4g}  {values}")
            if cfg.save_every and progress.step % cfg.save_every == 0:
                height = progress.picture.shape[2]
                name = f"{output.stem}_{height}px_step{progress.step:05d}{output.suffix}"
                write_image(to_image(progress.picture), output.with_name(name), quality=cfg.quality)

        result = optimize(content, styles, on_step=on_step, **options)
    write_image(result, output, quality=cfg.quality)
    print(f"{output}  {result.width}×{result.height}  {time.perf_counter() - start:.1f} s")
    return output


def _options(cfg: DictConfig, output: Path) -> dict[str, Any]:
    keys = ("steps", "init", "size", "max_size", "style_size", "scales", "optimizer", "learning_rate", "tolerance",
            "preserve_color", "tile", "ckpt", "seed", "device", "precision")  # fmt: skip
    options: dict[str, Any] = {key: cfg[key] for key in keys}
    options |= {key: _list(cfg[key]) for key in ("weights", "masks")}
    options["mask"] = cfg.mask if cfg.mask in (None, "segment") else _list(cfg.mask)
    options["state"] = output.with_name(f".{output.stem}.state") if cfg.resume else None
    options["loss"] = _loss(cfg)
    return options


def _loss(cfg: DictConfig) -> dict[str, Any]:
    """The options of the loss: a file of configs/loss by name or any file by path, with the weights that were given."""
    loss: dict[str, Any] = OmegaConf.to_container(_read_loss(cfg.loss), resolve=True)  # type: ignore[assignment]
    for name in WEIGHTS:
        weight = cfg[f"{name}_weight"]
        if weight is not None:
            loss[name] = {**(loss.get(name) or {}), "weight": weight}
    return loss


def _read_loss(name: str) -> DictConfig:
    """A loss file over those that its ``defaults`` name, as Hydra would compose them."""
    named = LOSSES / f"{name}.yaml"
    path = named if named.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LOSSES.glob("*.yaml")))
        raise UserError(f"unknown loss {name!r}: choose from {known}, or give a file.")
    own = OmegaConf.load(path)
    if not isinstance(own, DictConfig):
        raise UserError(f"loss {name!r} is no file of loss terms: write it as those in configs/loss.")
    bases = [base for base in own.pop("defaults", []) if base != "_self_"]
    return OmegaConf.merge(*(_read_loss(base) for base in bases), own)  # type: ignore[return-value]


def _list(value: Any) -> list[Any] | None:
    if value is None:
        return None
    return list(value) if isinstance(value, ListConfig) else [value]
