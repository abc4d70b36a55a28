"""Where a record comes from: versions, device, git state, and a fingerprint of the code that decides the numbers."""

import hashlib
import inspect
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import sdaccel
from sdaccel.studies.arms import Arm

DECIDING = (
    "noise.py",
    "conditions.py",
    "shipped.py",
    "world",
    "generators",
    "kernels",
    "strategies",
    "predict",
    "studies/audit.py",
    "studies/mutants.py",
)
"""Parts of the package that a sample is a function of."""
LIBRARIES = ("torch", "diffusers", "transformers", "pytorch-lightning", "numpy", "triton")


def code_fingerprint(arms: Sequence[Arm]) -> str:
    """Hash of what decides a sample: our sources, those of outside generators and strategies, the libraries' versions."""
    root = Path(sdaccel.__file__).parent
    files = {path for part in DECIDING for path in [root / part, *(root / part).rglob("*.py")] if path.is_file()}
    for arm in arms:
        files |= {path for part in (arm.generator, arm.backend, arm.strategy) for path in _sources(type(part), root)}
    texts = sorted((path.name, path.read_bytes()) for path in files)
    texts += [(name, str(_version(name)).encode()) for name in LIBRARIES]
    return hashlib.sha256(b"".join(name.encode() + b"\0" + text + b"\0" for name, text in texts)).hexdigest()[:16]


def _sources(cls: type, root: Path) -> set[Path]:
    """The files of the package that a plugin's class comes from; ours are listed already."""
    own = Path(inspect.getfile(cls))
    if own.is_relative_to(root):
        return set()
    top = sys.modules[cls.__module__.partition(".")[0]]
    folders = [Path(folder) for folder in getattr(top, "__path__", [])]
    return {own, *(path for folder in folders for path in folder.rglob("*.py"))}


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
        "code": code_fingerprint(arms),
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
