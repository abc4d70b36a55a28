"""The flags of HiCache's and Chipmunk's FLUX launcher as overrides of this project:

    python -m sdaccel.compat.hicache --backend flux --mode HiCache --interval 5 --max_order 2 [--dry-run] [key=value ...]

prints the command it stands for and runs it. Overrides of this project may follow, and win; several GPUs are `trainer=ddp`.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sdaccel import registry
from sdaccel.compat.launch import launch
from sdaccel.errors import BadInput
from sdaccel.user_files import yaml_of

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
HALVES = ("attn", "mlp", "patchify")
FIX = "give a file like Chipmunk's chipmunk-config.yml, with options under attn, mlp, patchify"
USAGE = f"""usage: python -m sdaccel.compat.hicache [--backend NAME] [--mode NAME] [--FLAG VALUE] [--dry-run] [key=value ...]
--backend: {", ".join(BACKENDS)}
--mode: {", ".join(MODES)}
flags: {", ".join([*FLAGS, "--chipmunk_config"])}
key=value: as for sdaccel run, whose --help lists them"""


def overrides(argv: Sequence[str]) -> list[str]:
    """What the launcher's arguments mean here, in their order; `key=value` and flags of `sdaccel run` stay as they are."""
    given: dict[str, str] = {}
    own = []
    for flag, value in _pairs(argv):
        if value is None:
            own.append(flag)
        elif flag in given:
            raise BadInput(f"{flag} is given twice, as {given[flag]} and as {value}; give it once.")
        else:
            given[flag] = value
    backend, mode = given.pop("--backend", "flux"), given.pop("--mode", "original")
    small = {} if "--model_name" in given else {"generator": "flux_tiny"}  # any prompts, which no trained small model reads
    chosen = small | {"backend": _choice("--backend", backend, BACKENDS), "strategy": _choice("--mode", mode, MODES)}
    if mode.lower() == "chipmunk" and backend.lower() != "chipmunk":
        raise BadInput(f"--mode chipmunk is dense on --backend {backend}; write --backend chipmunk, or --mode original.")
    if mode.lower() == "original":
        chosen["backend"] = "dense"  # on either backend the launcher's original computes everything
    if "--model_name" in given:
        given["--model_name"] = given["--model_name"].replace("-", "_")
    config = given.pop("--chipmunk_config", None)
    replaced = dict(override.split("=", 1) for override in own if "=" in override)
    _check_used(given, mode, replaced.get("strategy", chosen["strategy"]))
    chosen |= {FLAGS[flag]: value for flag, value in given.items()}
    if config is not None:
        options = sparse_options(config)
        if replaced.get("backend", chosen["backend"]) == "dense":
            fix = "write --backend chipmunk with another mode than original, or leave it out"
            raise BadInput(f"--chipmunk_config {config} has no effect on --backend {backend} --mode {mode}; {fix}.")
        chosen |= options
    return [f"{key}={value}" for key, value in chosen.items() if key not in replaced] + own


def _check_used(given: Mapping[str, str], mode: str, strategy: str) -> None:
    """Raise BadInput for a flag of the strategy that this one has not."""
    registry.load_all()
    takes = {name: {field.name for field in fields(registry.CONFIGURABLES["strategy"][name])} for name in MODES.values()}
    for flag, value in given.items():
        group, _, key = FLAGS[flag].partition(".")
        if group == "strategy" and strategy in takes and key not in takes[strategy]:
            users = ", ".join(other for other, name in MODES.items() if key in takes[name])
            raise BadInput(f"{flag} {value} has no effect in --mode {mode}; leave it out, or choose one of --mode {users}.")


def sparse_options(path: str) -> dict[str, str]:
    """Keys of a chipmunk-config.yml that mean something here; the others are about where and how its kernels keep state."""
    from sdaccel.strategies.column_sparse.options import ColumnSparse

    read = yaml_of(Path(path), option="--chipmunk_config", fix=FIX)
    ours = ColumnSparse()
    found: dict[str, str] = {}
    for half in HALVES:
        options = read.get(half) or {}
        if not isinstance(options, dict):
            raise BadInput(f"--chipmunk_config={path}: {half} is {str(options)[:40]!r} and holds no options by name; {FIX}.")
        known = {field.name for field in fields(getattr(ours, half)) if not field.name.startswith("_")}
        found |= {f"backend.{half}.{key}": _written(options[key], f"{half}.{key}") for key in options if key in known}
    return found


def _written(value: Any, name: str) -> str:
    """A YAML value as Hydra's command line writes it."""
    if isinstance(value, list | set) and all(isinstance(entry, int) for entry in value):
        return f"[{','.join(map(str, sorted(value)))}]"
    if value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and re.fullmatch(r"\w+", value)):
        return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    raise BadInput(f"--chipmunk_config: {name} is {str(value)[:40]!r}; give a number, a word or a list of whole numbers.")


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
    return launch(overrides, usage=USAGE)


if __name__ == "__main__":
    sys.exit(main())
