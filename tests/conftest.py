"""One thread per test process: workers share the cores, and forked children must not inherit a thread pool."""

from pathlib import Path

import torch

from sdaccel.studies import compose

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"

torch.set_num_threads(1)
compose.register()
