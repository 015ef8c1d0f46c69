"""Freed memory is kept for speed, and given back where memory is bounded."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import ctypes, resource
from nst.memory import returned_memory, reuse_memory

library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
SIZE = 64 * 2**20

def held():
    'MiB resident more than at the start.'
    return round((int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() - start) / 2**20)

def use_and_free():
    block, above = library.malloc(SIZE), library.malloc(100)  # a small one stays in use above it
    library.memset(block, 1, SIZE)
    library.free(block)
    return held()

start = 0
start = held() * 2**20
print(use_and_free())
with returned_memory():
    print(use_and_free())
reuse_memory()
print(use_and_free())
with returned_memory():
    print(held(), use_and_free())  # what was kept before goes, too
print(use_and_free())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's options")
def test_freed_memory_is_kept_once_asked_for_and_returned_while_memory_is_bounded() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    default, unasked, reusing, before, bounded, after = (int(number) for number in done.stdout.split())
    assert max(abs(default), abs(unasked)) < 5
    assert min(reusing, after) > 50
    assert max(abs(before), abs(bounded)) < 5
