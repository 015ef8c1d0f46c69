"""The most memory that a piece of work takes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class PeakMemory:
    """``mebibytes`` is None until the work is done, and where the system cannot tell."""

    mebibytes: float | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """What the work in the ``with`` block adds to the memory in use, at its highest.

    Of a GPU its allocator is asked; elsewhere, and where the work took nothing there as it computes on the processor, the
    process's resident memory (Linux only). What other processes take is not seen.
    """
    peak, on_gpu, before = PeakMemory(), device.type == "cuda", 0
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    resident = _start_again()
    yield peak
    if on_gpu and (added := torch.cuda.max_memory_allocated(device) - before):
        peak.mebibytes = added / 2**20
    elif resident is not None:
        peak.mebibytes = max(0, _bytes("VmHWM") - resident) / 2**20


def release_memory() -> None:
    """Give memory that is free inside the process back to the system (glibc), or the next peak would not show its reuse."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # another C library
        return


def _start_again() -> int | None:
    """Set the process's peak back to what it uses now (proc(5), clear_refs) and return that in bytes."""
    try:
        _CLEAR.write_text("5")
        return _bytes("VmRSS")
    except (OSError, StopIteration):
        return None


def _bytes(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
