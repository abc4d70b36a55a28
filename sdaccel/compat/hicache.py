"""The flags of HiCache's and Chipmunk's FLUX launcher as overrides of this project:

    python -m sdaccel.compat.hicache --backend flux --mode HiCache --interval 5 --max_order 2 [--dry-run] [key=value ...]

prints the command it stands for and runs it. Overrides of this project may follow, and win; several GPUs are `trainer=ddp`.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from sdaccel.cli import RUN, SAFE
from sdaccel.errors import BadInput

FLAGS = {
    "--model_name": "generator",
    "--prompt_file": "data.prompt_file",
    "--limit": "data.limit",
    "--width": "generator.width",
    "--height": "generator.height",
    "--num_steps": "generator.num_steps",
    "--guidance": "generator.guidance",
    "--interval": "strategy.interval",
    "--max_order": "strategy.max_order",
    "--first_enhance": "strategy.first_enhance",
    "--hicache_scale": "strategy.hicache_scale",
    "--run_name": "study.name",
}
"""Flag -> what it overrides. `--backend`, `--mode` and `--chipmunk_config` stand below."""
BACKENDS = {"flux": "dense", "chipmunk": "chipmunk"}
MODES = {
    "original": "original",
    "chipmunk": "original",  # the sparse operators alone: which steps run is not theirs to say
    "Taylor": "taylor",
    "Taylor-Scaled": "taylor_scaled",
    "HiCache": "hicache",
    "HiCache-Analytic": "hicache_analytic",
    "Delta": "delta",
}


def overrides(argv: Sequence[str]) -> list[str]:
    """What the launcher's arguments mean here, in their order; `key=value` and flags of `sdaccel run` stay as they are."""
    given, own = {}, []
    for flag, value in _pairs(argv):
        if value is None:
            own.append(flag)
        else:
            given[flag] = value
    backend, mode = given.pop("--backend", "flux"), given.pop("--mode", "original")
    chosen = {"backend": _choice("--backend", backend, BACKENDS), "strategy": _choice("--mode", mode, MODES)}
    if mode.lower() == "chipmunk" and backend.lower() != "chipmunk":
        raise BadInput(f"--mode chipmunk is dense on --backend {backend}; write --backend chipmunk, or --mode original.")
    if mode.lower() == "original":
        chosen["backend"] = "dense"  # on either backend the launcher's original computes everything
    if "--model_name" in given:
        given["--model_name"] = given["--model_name"].replace("-", "_")
    config = given.pop("--chipmunk_config", None)
    chosen |= {FLAGS[flag]: value for flag, value in given.items()}
    if config is not None and chosen["backend"] == "chipmunk":
        chosen |= sparse_options(config)
    replaced = {override.partition("=")[0] for override in own}
    return [f"{key}={value}" for key, value in chosen.items() if key not in replaced] + own


def sparse_options(path: str) -> dict[str, str]:
    """Keys of a chipmunk-config.yml that mean something here; the others are about where and how its kernels keep state."""
    from sdaccel.strategies.column_sparse.options import ColumnSparse

    try:
        read = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"--chipmunk_config {path} cannot be read ({str(error).splitlines()[0]}).") from None
    ours = ColumnSparse()
    found = {}
    for half in ("attn", "mlp", "patchify"):
        for key, value in ((read or {}).get(half) or {}).items():
            if hasattr(getattr(ours, half), key):
                found[f"backend.{half}.{key}"] = _written(value)
    return found


def _written(value: Any) -> str:
    """A YAML value as Hydra's command line writes it."""
    if isinstance(value, list | set | tuple):
        return f"[{','.join(map(str, sorted(value)))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(argv: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """(flag, value), and (argument, None) for what is `sdaccel run`'s own."""
    known = [*FLAGS, "--backend", "--mode", "--chipmunk_config"]
    rest = iter(argv)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-") or argument == "--dry-run":
            yield argument, None
            continue
        flag = "--" + name.lstrip("-").replace("-", "_")
        if flag not in known:
            near = get_close_matches(flag, known, n=1, cutoff=0) or known
            raise BadInput(f"{name} is not a flag of the launcher that is known here; the nearest is {near[0]}.")
        if not equals:
            value = next(rest, "")
        if not value or value.startswith("--"):
            raise BadInput(f"{name} needs a value.")
        yield flag, value


def _choice(flag: str, value: str, known: dict[str, str]) -> str:
    """By name, whatever the case."""
    for name, ours in known.items():
        if value.lower() == name.lower():
            return ours
    raise BadInput(f"{flag} {value} is not offered here; choose one of {', '.join(known)}.")


def main() -> int:
    """Exit codes of `sdaccel run`; 2 for arguments that mean nothing."""
    try:
        means = overrides(sys.argv[1:])
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print("sdaccel run", *means, flush=True)
    return os.execve(RUN[0], [*RUN, *means], os.environ | SAFE)


if __name__ == "__main__":
    sys.exit(main())
