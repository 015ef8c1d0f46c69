"""StepProfile: where the time of a training step goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch.profiler import ProfilerActivity, profile


class StepProfile(pl.Callback):
    """Profiles a few steps and writes the operations that took longest, and what share convolutions have.

    On a CPU every operation is waited for, so the shares add up to the step; on a GPU the columns of the device count.

    Args:
        path: text file for the table.
        first_step: the steps before it warm up.
        steps: how many are profiled.
        rows: operations in the table.
    """

    def __init__(self, path: str | Path, first_step: int = 3, steps: int = 5, rows: int = 25) -> None:
        self.path, self.first_step, self.steps, self.rows = Path(path), first_step, steps, rows
        self._profiler: profile | None = None
        self._start = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.first_step and self._profiler is None:  # a step may have several batches
            activities = [ProfilerActivity.CPU]
            if trainer.strategy.root_device.type == "cuda":
                activities.append(ProfilerActivity.CUDA)
            self._profiler = profile(activities=activities)
            self._profiler.start()
            self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if self._profiler is None or trainer.global_step < self.first_step + self.steps:
            return
        seconds = time.perf_counter() - self._start
        self._profiler.stop()
        events, self._profiler = self._profiler.key_averages(), None
        total = sum(event.self_cpu_time_total for event in events)
        convolutions = sum(event.self_cpu_time_total for event in events if "convolution" in event.key)
        summary = (
            f"{self.steps} steps in {seconds:.2f} s; convolutions take {convolutions / total:.1%} of the processor's time: "
            f"the whole is {total / convolutions:.2f} times their own.\n"
        )
        table = events.table(sort_by="self_cpu_time_total", row_limit=self.rows, max_name_column_width=48)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(summary + table)
        print(summary, end="")
