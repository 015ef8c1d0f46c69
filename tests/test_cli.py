"""What scripts do before their job."""

from __future__ import annotations

import subprocess
import sys

import pytest

JOB = """
import resource
from nst.cli import entry_point

def main():
    import torch
    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.empty(2**25, dtype=torch.uint8).fill_(1)
        torch.empty(2**26, dtype=torch.uint8).fill_(1)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    first, *later = [faults() for _ in range(5)]
    print(max(later))

entry_point(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_the_memory_of_a_large_tensor_is_used_again_without_page_faults() -> None:
    run = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 10
