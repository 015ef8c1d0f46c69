"""The most memory that a piece of work takes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """What the code in a ``with`` block adds to the memory in use, at its highest.

    On a GPU its allocator is asked; on a CPU the process's resident memory (Linux only).

    Attributes:
        mebibytes: after the block; None where the system cannot tell.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.mebibytes: float | None = None

    def __enter__(self) -> PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before: int | None = torch.cuda.memory_allocated(self.device)
        else:
            self._before = _reset_and_read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is None:
            return
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _resident("VmHWM")
        self.mebibytes = max(0, peak - self._before) / 2**20


def _reset_and_read() -> int | None:
    """Set the process's peak back to what it uses now (proc(5), clear_refs) and return that in bytes."""
    try:
        _CLEAR.write_text("5")
        return _resident("VmRSS")
    except (OSError, StopIteration):
        return None


def _resident(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
