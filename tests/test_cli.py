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
    first, *later = [faults() for _ in range(6)]
    print(sorted(later)[2])  # of five: now and then the system moves something

entry_point(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_the_memory_of_a_large_tensor_is_used_again_without_page_faults() -> None:
    run = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 10


INTERRUPTED = """
from nst.cli import entry_point

def main():
    raise KeyboardInterrupt{words}

entry_point(main)
"""


@pytest.mark.parametrize(
    ("words", "line"), [("", "interrupted\n"), ("('resume with x')", "interrupted: resume with x\n")]
)
def test_an_interruption_is_a_line_and_exit_code_130(words: str, line: str) -> None:
    run = subprocess.run([sys.executable, "-c", INTERRUPTED.format(words=words)], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (130, line)
