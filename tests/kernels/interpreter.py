"""Where kernels run in tests: compiled on a GPU, or in Triton's interpreter.

Triton reads TRITON_INTERPRET when a kernel is defined, so what is interpreted runs in a process of its own.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu")
runnable = pytest.mark.skipif(DEVICE.type == "cpu" and not INTERPRETED, reason="runs in the interpreter's process")
outside = pytest.mark.skipif(INTERPRETED, reason="this is the interpreter's process")


def laws_hold(files: Iterable[Path]) -> None:
    """Every test of the files, in the interpreter's process."""
    pytest.importorskip("triton")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, files)],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
