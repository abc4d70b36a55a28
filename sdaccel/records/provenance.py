"""Where a record comes from: command, versions, device, git state."""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import sdaccel
from sdaccel.errors import BadInput

TOLD = "SDACCEL_COMMIT"
"""Environment variable with the commit of code that lies in no checkout, as on a machine that it was copied to."""
LIBRARIES = ("torch", "diffusers", "transformers", "pytorch-lightning", "numpy", "triton")


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


def provenance(
    script: str, overrides: Sequence[str], *, bits: dict[str, Any], code: Mapping[str, str], git: dict[str, Any] | None
) -> dict[str, Any]:
    """`bits` are the numerics the samples were made with, `code` the fingerprint of what decides them, by arm."""
    return {
        "command": [script, *(o for o in overrides if not o.startswith(("output=", "logger", "objective=")))],
        "code": code,
        "git": git,
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "python": platform.python_version(),
        **bits,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_state() -> dict[str, Any] | None:
    """Commit, and a hash of what differs from it. Outside a checkout the commit that SDACCEL_COMMIT tells, or None.

    A checkout knows better, so one that contradicts it is refused: asked before anything runs, not when the record is written.
    """
    told, root = os.environ.get(TOLD, "").strip(), Path(sdaccel.__file__).parent.parent
    if told and not re.fullmatch("[0-9a-f]{7,40}", told):
        raise BadInput(f"{TOLD}={told} is no commit; give 7 to 40 digits of 0-9 and a-f, as `git rev-parse HEAD` prints them.")
    found = _checkout(root) if (root / ".git").exists() else None  # a package may be installed inside another repository
    if found is None:
        return {"commit": told, "dirty": None, "told": True} if told else None
    if not found["commit"].startswith(told):
        raise BadInput(f"{TOLD}={told} contradicts the checkout {root}, which is at {found['commit'][:12]}; leave it out here.")
    return found


def _checkout(root: Path) -> dict[str, Any] | None:
    """None where git cannot be asked."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
        diff = subprocess.run(["git", "diff", "HEAD"], cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "dirty": hashlib.sha256(diff).hexdigest()[:16] if diff else None}
