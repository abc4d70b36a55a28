"""Where a record comes from: versions, device, git state, and per arm a fingerprint of the code that decides its samples."""

import hashlib
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import sdaccel
from sdaccel.closure import closure
from sdaccel.strategies.controls import MUTANTS, OBSERVERS
from sdaccel.studies.arms import Arm

ROOTS = ("sdaccel.predict", "sdaccel.noise", "sdaccel.conditions", "sdaccel.samples", "sdaccel.world")
"""What every sample is a function of, beside the modules of its arm."""
LIBRARIES = ("torch", "diffusers", "transformers", "pytorch-lightning", "numpy", "triton")


def code_fingerprint(arm: Arm) -> str:
    """Of all code that may run while the arm's samples are made: what its parts import, and what those import."""
    parts = [arm.generator, arm.backend, arm.strategy, *arm.beside.values(), *(OBSERVERS[name] for name in arm.observers)]
    modules = [(part if isinstance(part, type) else type(part)).__module__ for part in parts]
    modules += [MUTANTS[arm.mutant].plant.__module__] if arm.mutant else []
    return closure([*ROOTS, *modules]).fingerprint()


def numerics(device: torch.device, *, threads: int) -> dict[str, Any]:
    """What besides code and config the bits depend on."""
    if device.type == "cuda":
        return {"device": device.type, "device_name": torch.cuda.get_device_name(device), "torch": torch.__version__}
    return {"device": device.type, "device_name": cpu_name(), "threads": threads, "torch": torch.__version__}


def cpu_name() -> str:
    """Vector instructions and maker's model: libraries choose their kernels by both, so two models may differ in last bits."""
    vectors = torch.backends.cpu.get_cpu_capability()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{vectors} {platform.processor() or platform.machine()}"
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    parts = [facts.get(key, "") for key in ("model name", "cpu family", "model", "stepping")]
    return " ".join([vectors, *(part for part in parts if part)])


def provenance(bits: dict[str, Any], arms: Sequence[Arm], command: Sequence[str]) -> dict[str, Any]:
    """`bits` are the numerics the samples were made with."""
    return {
        "command": ["experiments/run.py", *(o for o in command if not o.startswith(("output=", "logger")))],
        "code": {arm.name: code_fingerprint(arm) for arm in arms},
        "git": _git(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "python": platform.python_version(),
        **bits,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Commit, and a hash of what differs from it; None outside a checkout."""
    root = Path(sdaccel.__file__).parent.parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
        diff = subprocess.run(["git", "diff", "HEAD"], cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "dirty": hashlib.sha256(diff).hexdigest()[:16] if diff else None}
