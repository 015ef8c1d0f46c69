"""What the C library does with freed memory: kept for speed, or given back where the bound matters more.

Linux with glibc; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # options of glibc's mallopt
KEPT = 2**31 - 1  # bytes of freed memory at the heap's end that are kept
LARGEST_MMAP_THRESHOLD = 2**25  # glibc's own limit
DEFAULT_MMAP_MAX = 65536
_reusing = False


def reuse_memory() -> None:
    """Large pages for torch's CPU tensors, and up to 2 GiB of freed memory kept for the next ones: far fewer page faults.

    (By default glibc hands every tensor above 32 MiB back to the system.)
    """
    global _reusing
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if (library := _glibc()) is not None:
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)
        library.mallopt(M_ARENA_MAX, 1)  # threads' own heaps, of 64 MiB at most, are given back whatever is asked for
        _reusing = True


@contextmanager
def returned_memory() -> Iterator[None]:
    """A time in which large tensors go back to the system when freed.

    Kept, they leave gaps in the heap that the next ones, of other sizes, do not fit: picture parts that need 1 GiB at a
    time come to hold 5.
    """
    library = _glibc() if _reusing else None
    if library is None:
        yield
        return
    library.malloc_trim(0)
    library.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    library.mallopt(M_MMAP_MAX, DEFAULT_MMAP_MAX)
    try:
        yield
    finally:
        reuse_memory()


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
